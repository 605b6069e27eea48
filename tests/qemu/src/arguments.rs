//! The command line, which the debugger has: `[FILTER].. [--skip TEST]..`, as other programs of tests understand it. What
//! else cargo tells such programs says nothing here.

use alloc::string::String;
use alloc::vec::Vec;

use semihosting::experimental::env::args;

/// What the command line says of which tests run.
pub(crate) struct Arguments(Vec<String>);

const CAPACITY: usize = 8 * 1024;

impl Arguments {
    pub(crate) fn read() -> Self {
        let Ok(line) = args::<CAPACITY>() else {
            return Self(Vec::new());
        };
        // The first word is the program.
        let words = (&line).filter_map(Result::ok).skip(1);
        Self(words.map(String::from).collect())
    }

    /// Returns `true` if `test` is to run.
    pub(crate) fn include(&self, test: &str) -> bool {
        let mut words = self.0.iter();
        let mut is_filtered = false;
        let mut is_wanted = false;
        while let Some(word) = words.next() {
            if word == "--skip" {
                if words.next().is_some_and(|skipped| skipped == test) {
                    return false;
                }
            } else if !word.starts_with('-') {
                is_filtered = true;
                is_wanted |= test.contains(word.as_str());
            }
        }
        is_wanted || !is_filtered
    }
}
