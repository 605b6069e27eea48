//! Scopes whose guards, Runners and late registrations meet on several threads.

use std::convert::Infallible;
use std::future::{Future, Pending, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use loom::sync::Notify;
use loom::thread;
use tenure_core::{Instant, Scope, ScopeError, Spawn, Timer, scope};

use crate::explore::{block_on, cancel_after, join, with_interruptions};
use crate::source::Source;

/// Runs each task on a thread of its own.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<Vec<Arc<End>>>>);

/// The end of a thread. Whoever waits for it may be woken before.
struct End {
    came: AtomicBool,
    told: Notify,
}

impl Threads {
    /// Waits until all that was spawned has ended.
    fn join(&self) {
        loop {
            let last = self.0.lock().unwrap().pop();
            let Some(end) = last else {
                return;
            };
            while !end.came.load(Ordering::Relaxed) {
                end.told.wait();
            }
        }
    }
}

impl Timer for Threads {
    type Sleep = Pending<()>;

    fn now(&self) -> Instant {
        Instant::EPOCH
    }

    fn sleep_until(&self, _: Instant) -> Self::Sleep {
        pending()
    }
}

impl Spawn for Threads {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        let end = Arc::new(End {
            came: AtomicBool::new(false),
            told: Notify::new(),
        });
        self.0.lock().unwrap().push(end.clone());
        thread::spawn(move || {
            block_on(future);
            end.came.store(true, Ordering::Relaxed);
            end.told.notify();
        });
    }
}

#[test]
fn b11_a_guard_comes_back_while_its_scope_ends() {
    with_interruptions(3, || {
        let (threads, source) = (Threads::default(), Source::default());
        let body = async |s: Scope<Threads>| {
            let held = s.open(source.clone()).await.unwrap();
            let holder = thread::spawn(move || drop(held));
            Ok::<_, Infallible>((s, holder))
        };
        let (s, holder) = match block_on(scope(&threads, body)) {
            Ok(given) => given,
            Err(ScopeError::Cleanup { value, report }) => {
                assert_eq!(report.still_in_use, 1, "{report}");
                value
            }
            Err(error) => panic!("{error}"),
        };
        join([holder]);
        threads.join();
        assert_closed(&s, &source);
    });
}

#[test]
fn b11_a_late_finalizer_meets_the_end_of_the_runner() {
    with_interruptions(3, || {
        let (threads, source) = (Threads::default(), Source::default());
        let body = async |s: Scope<Threads>| {
            drop(s.open(source.clone()).await.unwrap());
            Ok::<_, Infallible>(s)
        };
        let Ok(s) = block_on(scope(&threads, body)) else {
            panic!("all is closed");
        };
        s.defer(|_| async { Ok(()) });
        threads.join();
        assert_eq!(s.audit().finalized, 1);
        assert_closed(&s, &source);
    });
}

#[test]
fn n10_a_dropped_scope_is_closed_by_the_runner() {
    with_interruptions(3, || {
        let (threads, source) = (Threads::default(), Source::slow());
        let mut handle = None;
        let body = async |s: Scope<Threads>| {
            let s = handle.insert(s);
            let _held = s.open(source.clone()).await.unwrap();
            drop(s.open(source.clone()).await.unwrap());
            pending::<Result<(), Infallible>>().await
        };
        cancel_after(3, scope(&threads, body));
        threads.join();
        assert_closed(&handle.unwrap(), &source);
    });
}

/// All that was opened was closed, and once.
fn assert_closed(s: &Scope<Threads>, source: &Source) {
    let (audit, counts) = (s.audit(), source.counts());
    assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
    assert_eq!((audit.opened, audit.closed), (counts.opened, counts.closed));
    assert_eq!((counts.closed, counts.abandoned), (counts.dropped, 0));
}
