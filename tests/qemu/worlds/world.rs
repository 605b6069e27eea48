//! What a world offers to a test, and how one test is run in it: as `tests/worlds/world.rs`, without threads.

use std::future::{Future, poll_fn};
use std::mem::replace;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::RemoteHandle;
use tenure_core::Timer;
use tenure_embassy::Embassy;
use tenure_qemu::Tasks;

/// One way a program may run. See the head of `tests/worlds.rs`.
pub(crate) trait World: Clone + 'static {
    type Runtime: Timer + 'static;
    type Mark: Clone + Default + 'static;

    const VIRTUAL_TIME: bool = false;
    const BACKGROUND: bool = true;

    fn run<F: Future<Output = ()> + 'static>(test: impl Fn(Self) -> F);

    fn runtime(&self) -> Self::Runtime;

    fn detach(&self, future: impl Future<Output = ()> + 'static);

    fn task<F: Future<Output: 'static> + 'static>(&self, future: F) -> RemoteHandle<F::Output> {
        let (task, handle) = future.remote_handle();
        self.detach(task);
        handle
    }

    fn background(&self, work: impl Future<Output = ()> + 'static) {
        if Self::BACKGROUND {
            self.detach(work);
        }
    }

    fn tick(&self) -> Duration {
        if Self::VIRTUAL_TIME {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(4)
        }
    }
}

/// Embassy's executor, whose tasks are static: the library spawns nothing on it.
#[derive(Clone)]
pub(crate) struct EmbassyThread(Rc<Tasks>);

impl World for EmbassyThread {
    type Runtime = Embassy;
    type Mark = Arc<()>;

    const VIRTUAL_TIME: bool = true;

    fn run<F: Future<Output = ()> + 'static>(test: impl Fn(Self) -> F) {
        Tasks::run(|tasks| test(Self(tasks)));
    }

    fn runtime(&self) -> Embassy {
        Embassy
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future);
    }
}

/// Runs each listed test of the calling module in one world: `on_backend! { module = World: tests }`.
macro_rules! on_backend {
    ($module:ident = $world:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            use crate::worlds::{$world, World};

            $(
                #[test]
                fn $test() {
                    $world::run(super::$test::<$world>);
                }
            )+
        }
    };
}

/// Lets every other task that is ready run before this one goes on.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
