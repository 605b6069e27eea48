//! An error of input and output.

use alloc::boxed::Box;
use core::error::Error as StdError;
use core::fmt;

/// An error around another, as the tests make them.
#[derive(Debug)]
pub struct Error(Box<dyn StdError + Send + Sync>);

pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
