//! What every module of the tests sees without naming it.

pub mod rust_2024 {
    pub use alloc::borrow::ToOwned;
    pub use alloc::boxed::Box;
    pub use alloc::string::{String, ToString};
    pub use alloc::vec::Vec;
    // `#[test]` collects for the runner of the program, not for the crate `test`, which needs an operating system.
    pub use core::prelude::rust_2024::*;
    pub use core::prelude::v1::test_case as test;
}
