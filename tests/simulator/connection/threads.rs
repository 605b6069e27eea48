//! What two threads tell of one connection, in an order that only threads have.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tenure_core::connection::ConnectionState;
use tenure_core::{Backoff, Connection, Instant, Jitter, Resource, Retry, State, Timer};

const SECOND: Duration = Duration::from_secs(1);

/// A loss is told outside of all locks. Until then another thread may have begun to open the next connection.
#[test]
fn b05_a_loss_that_is_told_late_makes_no_pause_longer() {
    let (clock, stops) = Stopped::new();
    let backoff = Backoff::exponential(SECOND).jitter(Jitter::None);
    let builder = Connection::builder("peer:1", OpensOnce::default())
        .proven_after(SECOND * 60)
        .retry(Retry::new(backoff))
        .open_retry(Retry::new(backoff));
    let (connection, runner) = builder
        .build_with_runner(clock.clone())
        .expect("it makes sense");
    drop(runner);
    let opened = pin!(connection.open()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(opened, Poll::Ready(Ok(()))), "{opened:?}");
    clock.pass(SECOND * 100);

    let loses = thread::spawn({
        let connection = connection.clone();
        move || {
            // It reads the clock for the loss, and again for telling it.
            STOP_IN.set(Some(2));
            connection.lose_if_opened_before(Instant::from_nanos(u64::MAX))
        }
    });
    let goes_on = stops.recv().expect("it is about to tell it");
    assert_eq!(connection.state(), State::Error);
    let mut open = Box::pin(connection.open());
    // The old one is closed, an attempt is refused, and the next one waits.
    for _ in 0..10 {
        let opened = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(opened.is_pending(), "{opened:?}");
    }
    // It had proven itself, so this is the first attempt again, and the pause after it the shortest.
    let first = ConnectionState::WaitingToReconnect {
        until: Some(clock.now() + SECOND),
    };
    assert_eq!(connection.connection_state(), first);
    let uptime = connection.stats().uptime;
    assert_eq!(uptime, None, "and it is down");

    goes_on.send(()).expect("it waits");
    assert!(loses.join().expect("it does not panic"));
    assert_eq!(connection.connection_state(), first, "that is no news");
    drop(open);
    let closed = pin!(connection.close()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(closed.is_ready());
    assert!(connection.audit().is_balanced() && connection.audit().live() == 0);
}

thread_local! {
    /// In how many readings of the clock this thread is stopped.
    static STOP_IN: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A clock that is moved by hand, and stops a thread that reads it.
#[derive(Clone)]
struct Stopped {
    now: Arc<AtomicU64>,
    stops: SyncSender<SyncSender<()>>,
}

impl Stopped {
    /// What receives a thread that was stopped, and has it go on.
    fn new() -> (Self, Receiver<SyncSender<()>>) {
        let (stops, stopped) = sync_channel(1);
        let clock = Self {
            now: Arc::default(),
            stops,
        };
        (clock, stopped)
    }

    fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).expect("a short time");
        self.now.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Timer for Stopped {
    type Sleep = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    fn now(&self) -> Instant {
        let left = STOP_IN.get().map(|readings| readings - 1);
        STOP_IN.set(left.filter(|left| *left > 0));
        if left == Some(0) {
            let (goes_on, gone_on) = sync_channel(1);
            self.stops.send(goes_on).expect("the test waits");
            gone_on.recv().expect("the test has it go on");
        }
        Instant::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        let clock = self.clone();
        Box::pin(poll_fn(move |_| {
            if clock.now() >= at {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
    }
}

/// Refuses all openings after the first.
#[derive(Default)]
struct OpensOnce(Mutex<bool>);

impl Resource for OpensOnce {
    type Value = ();
    type Error = &'static str;

    async fn open(&self) -> Result<(), &'static str> {
        let has_opened = std::mem::replace(&mut *self.0.lock().expect("a lock"), true);
        if has_opened { Err("no") } else { Ok(()) }
    }
}
