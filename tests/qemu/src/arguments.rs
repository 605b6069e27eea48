//! The command line, which the debugger has: `[FILTER].. [--skip TEST]..`, as other programs of tests understand it. What
//! else cargo tells such programs says nothing here.

use core::str;

use cortex_m_semihosting::{nr, syscall};

/// What the command line says of which tests run.
pub(crate) struct Arguments {
    line: [u8; CAPACITY],
    length: usize,
}

const CAPACITY: usize = 8 * 1024;

impl Arguments {
    pub(crate) fn read() -> Self {
        let mut arguments = Self {
            line: [0; CAPACITY],
            length: 0,
        };
        let block = [arguments.line.as_mut_ptr() as usize, CAPACITY];
        // SAFETY: the block says where the line is to be written, and how much fits.
        let failed = unsafe { syscall(nr::GET_CMDLINE, &block) };
        if failed == 0 {
            let ends = arguments.line.iter().position(|byte| *byte == 0);
            arguments.length = ends.unwrap_or(CAPACITY);
        }
        arguments
    }

    /// Returns `true` if `test` is to run.
    pub(crate) fn include(&self, test: &str) -> bool {
        let line = str::from_utf8(&self.line[..self.length]).unwrap_or_default();
        // The first word is the program.
        let mut words = line.split_ascii_whitespace().skip(1);
        let mut is_filtered = false;
        let mut is_wanted = false;
        while let Some(word) = words.next() {
            if word == "--skip" {
                if words.next() == Some(test) {
                    return false;
                }
            } else if !word.starts_with('-') {
                is_filtered = true;
                is_wanted |= test.contains(word);
            }
        }
        is_wanted || !is_filtered
    }
}
