//! The error of user code, in a form that all who waited for it can share.

use alloc::string::{String, ToString};
use core::error::Error;
use core::fmt;
use core::ops::Deref;

use crate::name::redact;
use crate::resource::BoxError;
use crate::sync::Arc;

/// What the user's own code answered: the error of an `open`, `close`, `check` or call.
///
/// It is shared among all who waited for the same attempt. It dereferences to the error itself, so
/// `cause.source()` walks its chain and `cause.downcast_ref::<MyError>()` gives it back typed.
///
/// ```
/// use tenure_core::Cause;
/// let cause = Cause::new(std::io::Error::other("no route"));
/// assert_eq!(cause.to_string(), "no route");
/// assert!(cause.downcast_ref::<std::io::Error>().is_some());
/// ```
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Shares an error.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let cause = Cause::new("no route to host");
    /// assert_eq!(cause.to_string(), "no route to host");
    /// ```
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(Arc::from(error.into()))
    }

    /// The error as a trait object, for `source()`.
    pub(crate) fn as_source(&self) -> &(dyn Error + 'static) {
        &*self.0
    }
}

impl Deref for Cause {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A cause as a line of a log: with all its sources, and redacted.
pub(crate) struct Told<'a>(pub(crate) &'a Cause);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Many errors already say what their source says.
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            source = error.source();
        }
        f.write_str(&redact(&line))
    }
}

/// User code panicked, and the panic was contained.
///
/// It shows as the [`Cause`] of an error, with the panic's message. Panics are contained only with
/// the `std` feature.
///
/// ```
/// # use tenure_core::{Cause, Panicked};
/// # fn show(cause: &Cause) {
/// if let Some(panic) = cause.downcast_ref::<Panicked>() {
///     println!("a bug: {}", panic.message());
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked(String);

impl Panicked {
    pub(crate) const fn new(message: String) -> Self {
        Self(message)
    }

    /// What the panic said.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// // What a panic in `open` becomes, where panics are contained.
    /// fn is_a_bug(cause: &Cause) -> Option<&str> {
    ///     cause.downcast_ref::<Panicked>().map(Panicked::message)
    /// }
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl Error for Panicked {}
