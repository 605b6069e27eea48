//! Runs the tests one after the other, and says so, a line for each.

use core::any::type_name;
use core::panic::PanicInfo;

use semihosting::process::exit;
use semihosting::{print, println};

use crate::arguments::Arguments;
use crate::heap;

/// What `#[test]` stands above.
pub trait Test {
    /// Its path in the sources, with the crate's name.
    fn path(&self) -> &'static str;

    /// Runs it, or says why it does not run here.
    fn run(&self) -> Result<(), &'static str>;
}

impl<F: Fn()> Test for F {
    fn path(&self) -> &'static str {
        type_name::<F>()
    }

    fn run(&self) -> Result<(), &'static str> {
        self();
        Ok(())
    }
}

/// A test of a list that other worlds run.
pub struct Elsewhere {
    pub path: &'static str,
    pub why: &'static str,
}

impl Test for Elsewhere {
    fn path(&self) -> &'static str {
        self.path
    }

    fn run(&self) -> Result<(), &'static str> {
        Err(self.why)
    }
}

/// Tests that do not run here though their list does, and why.
pub struct LeftOut {
    pub why: &'static str,
    /// Paths, without the names of the crate and the world.
    pub tests: &'static [&'static str],
}

/// Runs what is not left out, and ends the program.
pub fn run_tests(tests: &[&dyn Test], left_out: &[LeftOut]) -> ! {
    heap::init();
    let arguments = Arguments::read();
    let (mut passed, mut elsewhere) = (0, 0);
    for test in tests {
        let path = test.path();
        let path = path.split_once("::").map_or(path, |(_, path)| path);
        if !arguments.include(path) {
            continue;
        }
        print!("{} ... ", path);
        let because = left_out
            .iter()
            .find(|entry| entry.tests.iter().any(|listed| is_same(listed, path)));
        let used = heap::used();
        let outcome = because.map_or_else(|| test.run(), |entry| Err(entry.why));
        match outcome {
            Ok(()) => {
                let left = heap::used().saturating_sub(used);
                assert!(left == 0, "{left} bytes are left on the heap");
                println!("ok");
                passed += 1;
            }
            Err(why) => {
                println!("left out: {}", why);
                elsewhere += 1;
            }
        }
    }
    for listed in left_out.iter().flat_map(|entry| entry.tests) {
        let exists = tests.iter().any(|test| is_same(listed, test.path()));
        assert!(exists, "{listed} is left out, and there is no such test");
    }
    println!("{} passed, {} left out", passed, elsewhere);
    exit(0)
}

/// Returns `true` if what is listed is the path, but for the names of the crate and the world.
fn is_same(listed: &str, path: &str) -> bool {
    let mut segments = path.rsplit("::").filter(|name| *name != "on_embassy");
    let mut listed = listed.rsplit("::");
    listed.all(|name| segments.next() == Some(name))
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    println!("FAILED\n{}", info);
    exit(1)
}
