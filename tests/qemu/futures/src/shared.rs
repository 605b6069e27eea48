//! A future that many await.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::mem::take;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use std::sync::{Arc, Mutex};
use std::task::Wake;

use crate::locked;

/// A clone of a future's output for each that awaits it.
pub struct Shared<F: Future> {
    state: Arc<Mutex<State<F>>>,
    waiting: Arc<Waiting>,
}

enum State<F: Future> {
    Running(Pin<Box<F>>),
    Ended(F::Output),
}

/// Everyone who awaits it: the future knows one waker only.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn wake_all(&self) {
        let waiting = take(&mut *locked(&self.0));
        for waker in waiting {
            waker.wake();
        }
    }
}

impl Wake for Waiting {
    #[cfg(target_has_atomic = "ptr")]
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    #[cfg(not(target_has_atomic = "ptr"))]
    fn wake(this: Arc<Self>) {
        this.wake_all();
    }
}

impl<F: Future> Shared<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::Running(Box::pin(future)))),
            waiting: Arc::default(),
        }
    }
}

impl<F: Future> core::fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Shared")
    }
}

impl<F: Future> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

impl<F: Future<Output: Clone>> Future for Shared<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut state = locked(&self.state);
        if let State::Running(future) = &mut *state {
            locked(&self.waiting.0).push(cx.waker().clone());
            let all = Waker::from(self.waiting.clone());
            match future.as_mut().poll(&mut Context::from_waker(&all)) {
                Poll::Ready(output) => *state = State::Ended(output),
                Poll::Pending => return Poll::Pending,
            }
            self.waiting.wake_all();
        }
        match &*state {
            State::Ended(output) => Poll::Ready(output.clone()),
            State::Running(_) => unreachable!("it has ended"),
        }
    }
}
