//! Embassy's executor on a microcontroller, and how one test is run on it.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use tenure_embassy::Embassy;
use tenure_qemu::Tasks;

use super::World;

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
