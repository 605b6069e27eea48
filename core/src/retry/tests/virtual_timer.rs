//! A clock that moves only when everything waits for it, then straight to the next sleep's end.

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use crate::runtime::Timer;
use crate::time::Instant;

use super::std;

#[derive(Clone, Default)]
pub(super) struct VirtualTimer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Instant,
    readings: u64,
    made: u64,
    waiting: BTreeMap<u64, Instant>,
}

impl VirtualTimer {
    pub(super) fn elapsed(&self) -> Duration {
        self.now() - Instant::EPOCH
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut state = self.0.lock().unwrap();
        state.now = state.now + by;
    }

    /// How often the time was asked for.
    pub(super) fn readings(&self) -> u64 {
        self.0.lock().unwrap().readings
    }

    pub(super) fn sleep(&self, duration: Duration) -> VirtualSleep {
        self.sleep_until(self.now() + duration)
    }

    /// How many sleeps were ever made.
    pub(super) fn sleeps_made(&self) -> u64 {
        self.0.lock().unwrap().made
    }

    /// How many sleeps are pending: none once everything that waited is gone.
    pub(super) fn sleeps_pending(&self) -> usize {
        self.0.lock().unwrap().waiting.len()
    }

    /// Runs `future` to its end, moving the clock on whenever it can do nothing else.
    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Flag::default());
        let waker = Waker::from(woken.clone());
        loop {
            let mut context = Context::from_waker(&waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                let mut state = self.0.lock().unwrap();
                let next = state.waiting.values().min().copied();
                state.now = next.expect("a future that waits for nothing never ends");
            }
        }
    }
}

impl Timer for VirtualTimer {
    type Sleep = VirtualSleep;

    fn now(&self) -> Instant {
        let mut state = self.0.lock().unwrap();
        state.readings += 1;
        state.now
    }

    fn sleep_until(&self, at: Instant) -> VirtualSleep {
        let mut state = self.0.lock().unwrap();
        state.made += 1;
        VirtualSleep {
            timer: self.clone(),
            id: state.made,
            at,
        }
    }
}

pub(super) struct VirtualSleep {
    timer: VirtualTimer,
    id: u64,
    at: Instant,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.timer.0.lock().unwrap();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        state.waiting.insert(self.id, self.at);
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        self.timer.0.lock().unwrap().waiting.remove(&self.id);
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
