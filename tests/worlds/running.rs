//! How one test is run in one world, where there are threads: one of them watches that it ends.

use std::io::{Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Runs each listed test of the calling module in one world: `on_backend! { module = World: tests }`.
macro_rules! on_backend {
    ($module:ident = $world:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            use crate::worlds::{$world, World, within_hang_limit};

            $(
                #[test]
                fn $test() {
                    within_hang_limit(concat!(module_path!(), "::", stringify!($test)), || {
                        $world::run(super::$test::<$world>);
                    });
                }
            )+
        }
    };
}

/// How long a test may take. All of them together take less.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Runs `test`, and ends the process if that takes too long.
pub(crate) fn within_hang_limit(name: &'static str, test: impl FnOnce()) {
    let (ended, end) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        // A test that panics drops its end of the channel as well.
        if end.recv_timeout(HANG_LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`, which the test runner would keep to itself.
            let _ = writeln!(
                stderr(),
                "{name} hangs: it has not ended within {HANG_LIMIT:?}"
            );
            std::process::abort();
        }
    });
    test();
    drop(ended);
    watchdog.join().expect("the watchdog does not panic");
}
