use alloc::boxed::Box;
use core::any::Any;
use core::future::Future;
use core::task::{Context, Poll, Waker};

use crate::remote_handle::{Remote, RemoteHandle};
use crate::shared::Shared;

/// The trait of the same name, as far as the tests use it.
pub trait FutureExt: Future + Sized {
    fn now_or_never(self) -> Option<Self::Output> {
        let mut future = core::pin::pin!(self);
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn map<U, M: FnOnce(Self::Output) -> U>(self, map: M) -> futures::future::Map<Self, M> {
        futures::FutureExt::map(self, map)
    }

    fn shared(self) -> Shared<Self>
    where
        Self: 'static,
        Self::Output: Clone,
    {
        Shared::new(self)
    }

    fn remote_handle(self) -> (Remote<Self>, RemoteHandle<Self::Output>) {
        Remote::new(self)
    }

    /// Nothing catches a panic where it ends the program.
    fn catch_unwind(self) -> impl Future<Output = Result<Self::Output, Box<dyn Any + Send>>> {
        async move { Ok(self.await) }
    }
}

impl<F: Future> FutureExt for F {}
