//! The tests of the macros, as users of `tenure` have them.
//!
//! What they write is tested on every backend by the conformance suite; here it is seen that it works through the
//! facade, that its futures can be spawned, and what the macros refuse, in which words.
#![cfg(test)]
#![forbid(unsafe_code)]

mod facade;

/// Each file in `errors` is one mistake; the words of the compiler stand beside it, in a file `.stderr`.
#[test]
fn n09_s14_each_mistake_is_told_at_its_place_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("errors/*/*.rs");
}
