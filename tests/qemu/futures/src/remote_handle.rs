//! The handle of a task: its result, and its life.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

/// What the task and its handle have in common.
struct Common<T> {
    result: Option<T>,
    /// Set by whichever of the two goes first.
    is_over: bool,
    waiting: Option<Waker>,
    working: Option<Waker>,
}

/// The task. It ends when its handle is dropped.
pub struct Remote<F: Future> {
    future: Pin<Box<F>>,
    common: Rc<RefCell<Common<F::Output>>>,
}

/// Awaits the task. Dropping it cancels the task.
pub struct RemoteHandle<T>(Rc<RefCell<Common<T>>>);

impl<F: Future> Remote<F> {
    pub(crate) fn new(future: F) -> (Self, RemoteHandle<F::Output>) {
        let common = Rc::new(RefCell::new(Common {
            result: None,
            is_over: false,
            waiting: None,
            working: None,
        }));
        let task = Self {
            future: Box::pin(future),
            common: common.clone(),
        };
        (task, RemoteHandle(common))
    }
}

impl<F: Future> Future for Remote<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut common = self.common.borrow_mut();
            if common.is_over {
                return Poll::Ready(());
            }
            common.working = Some(cx.waker().clone());
        }
        let result = ready!(self.future.as_mut().poll(cx));
        self.common.borrow_mut().result = Some(result);
        Poll::Ready(())
    }
}

impl<F: Future> Drop for Remote<F> {
    fn drop(&mut self) {
        let waiting = {
            let mut common = self.common.borrow_mut();
            common.is_over = true;
            common.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<T> Future for RemoteHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut common = self.0.borrow_mut();
        if let Some(result) = common.result.take() {
            return Poll::Ready(result);
        }
        assert!(!common.is_over, "the task was dropped before its end");
        common.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for RemoteHandle<T> {
    fn drop(&mut self) {
        let working = {
            let mut common = self.0.borrow_mut();
            common.is_over = true;
            common.working.take()
        };
        if let Some(working) = working {
            working.wake();
        }
    }
}
