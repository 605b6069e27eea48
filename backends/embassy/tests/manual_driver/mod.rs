//! A time driver whose clock each test advances by hand, and a task that counts how often it is woken.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use embassy_time_driver::{Driver, TICK_HZ};

/// Each test has a thread, and so a clock, of its own.
struct PerThread;

#[derive(Default)]
struct Clock {
    ticks: u64,
    /// What a queue of Embassy's keeps: for each waker the earliest moment, until then.
    queue: Vec<(u64, Waker)>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::default();
}

impl Driver for PerThread {
    fn now(&self) -> u64 {
        CLOCK.with_borrow(|clock| clock.ticks)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        CLOCK.with_borrow_mut(|clock| {
            match clock
                .queue
                .iter_mut()
                .find(|(_, queued)| queued.will_wake(waker))
            {
                Some((earliest, _)) => *earliest = at.min(*earliest),
                None => clock.queue.push((at, waker.clone())),
            }
        });
    }
}

#[allow(unsafe_code, reason = "the driver is linked by its unmangled names")]
mod linked {
    embassy_time_driver::time_driver_impl!(static DRIVER: super::PerThread = super::PerThread);
}

/// Returns how many entries the driver's queue holds.
pub(crate) fn queued() -> usize {
    CLOCK.with_borrow(|clock| clock.queue.len())
}

/// Takes out of the queue what tasks that have gone asked for, so that [`queued`] counts what `task` asks.
pub(crate) fn forget_all_but<F>(task: &Task<F>) {
    let waker = Waker::from(task.wakes.clone());
    CLOCK.with_borrow_mut(|clock| clock.queue.retain(|(_, queued)| queued.will_wake(&waker)));
}

/// Advances the clock by `ticks`, one after the other where something is due, and wakes what is due.
pub(crate) fn advance(ticks: u64) {
    let end = CLOCK.with_borrow(|clock| clock.ticks + ticks);
    loop {
        let due: Vec<_> = CLOCK.with_borrow_mut(|clock| {
            let next = clock.queue.iter().map(|(at, _)| *at).min();
            clock.ticks = next.unwrap_or(end).clamp(clock.ticks, end);
            let now = clock.ticks;
            let (due, rest) = clock.queue.drain(..).partition(|(at, _)| *at <= now);
            clock.queue = rest;
            due
        });
        if due.is_empty() {
            return;
        }
        for (_, waker) in due {
            waker.wake();
        }
    }
}

/// Advances the clock by whole seconds.
pub(crate) fn advance_seconds(seconds: u64) {
    advance(seconds * TICK_HZ);
}

/// A future, and a waker that counts.
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    seen: usize,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
            seen: 0,
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.wakes.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Returns `true` if the task was woken since this was last asked.
    pub(crate) fn is_woken(&mut self) -> bool {
        let wakes = self.wakes.0.load(Ordering::Relaxed);
        std::mem::replace(&mut self.seen, wakes) != wakes
    }
}
