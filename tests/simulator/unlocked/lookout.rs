//! Looks whether a holder can be asked from within code that it has called.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tenure_core::{Backoff, Event, EventSink};
use tenure_test_wakers::{WakerHooks, waker};

use super::MOMENT;

std::thread_local! {
    /// Whether this thread was made to ask: what it runs into is not looked at again.
    static ASKS: Cell<bool> = const { Cell::new(false) };

    /// Who looks from a custom backoff, which is a plain function.
    static DELAYS: RefCell<Option<Lookout>> = const { RefCell::new(None) };
}

/// What every holder of a resource that fails runs, when a waker of the user's waits for it.
pub(super) const TOLD_AND_WOKEN: [&str; 9] = [
    "conversion of an error",
    "display of an error",
    "debug of an error",
    "source of an error",
    "drop of an error",
    "sink",
    "wake",
    "clone of a waker",
    "drop of a waker",
];

/// Looks whether the holder can be asked, and takes note of where it could not.
#[derive(Clone, Default)]
pub(super) struct Lookout(Arc<Notes>);

#[derive(Default)]
struct Notes {
    ask: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
    looks: Mutex<BTreeMap<&'static str, usize>>,
    locked: Mutex<Vec<&'static str>>,
}

impl Lookout {
    pub(super) fn looks_at(&self, ask: impl Fn() + Send + Sync + 'static) {
        *lock(&self.0.ask) = Some(Arc::new(ask));
    }

    /// Lets go of the holder.
    pub(super) fn forget(&self) {
        let ask = lock(&self.0.ask).take();
        drop(ask);
    }

    /// Asks the holder from here. Returns how many looks there were from this place.
    pub(super) fn look(&self, from: &'static str) -> usize {
        if ASKS.get() {
            return 0;
        }
        let looks = {
            let mut looks = lock(&self.0.looks);
            let looks = looks.entry(from).or_default();
            *looks += 1;
            *looks
        };
        let Some(ask) = lock(&self.0.ask).clone() else {
            return looks;
        };
        let (answer, answered) = channel();
        let asks = ask.clone();
        std::thread::spawn(move || {
            ASKS.set(true);
            asks();
            // Whoever looked may have given up.
            let _ = answer.send(());
        });
        if answered.recv_timeout(Duration::from_secs(5)).is_err() {
            lock(&self.0.locked).push(from);
            return looks;
        }
        // No lock is held, so it may be asked from within as well.
        ASKS.set(true);
        ask();
        drop(ask);
        ASKS.set(false);
        looks
    }

    /// A sink that looks, and reads all of the event.
    pub(super) fn sink(&self) -> Arc<dyn EventSink> {
        let lookout = self.clone();
        Arc::new(move |event: &Event<'_>| {
            lookout.look("sink");
            drop((event.to_string(), format!("{event:?}")));
        })
    }

    /// A backoff that looks whenever it is asked for a delay on this thread.
    pub(super) fn backoff(&self) -> Backoff {
        DELAYS.set(Some(self.clone()));
        Backoff::custom(|retry| {
            // One that looks it up in a table would panic.
            assert!(retry < 1_000, "retry {retry} was never made");
            if let Some(lookout) = DELAYS.with_borrow(Clone::clone) {
                lookout.look("backoff");
            }
            MOMENT
        })
    }

    /// Runs a future with a waker of its own at each poll.
    pub(super) async fn wakes<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let waker = waker(Arc::new(NosyWaker {
                lookout: self.clone(),
                task: cx.waker().clone(),
            }));
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    /// # Panics
    /// If a lock was held over one of them, or if one of them never ran.
    pub(super) fn saw_nothing_locked(&self, everywhere: &[&'static str]) {
        DELAYS.set(None);
        let locked = lock(&self.0.locked).clone();
        assert!(locked.is_empty(), "a lock was held over: {locked:?}");
        let looks = lock(&self.0.looks).clone();
        for place in everywhere {
            assert!(looks.contains_key(place), "{place} never ran: {looks:?}");
        }
    }
}

impl std::fmt::Debug for Lookout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookout")
    }
}

struct NosyWaker {
    lookout: Lookout,
    task: Waker,
}

impl WakerHooks for NosyWaker {
    fn cloned(&self) {
        self.lookout.look("clone of a waker");
    }

    fn woken(&self) {
        self.lookout.look("wake");
        self.task.wake_by_ref();
    }

    fn dropped(&self) {
        self.lookout.look("drop of a waker");
    }
}

/// Listens for a change, and stops listening.
pub(super) fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    let _ = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
