//! Names where there is no memory to build any: literals.

use crate::sync::Text;

/// A literal holds no secret.
pub(crate) const fn redacted(text: Text) -> Text {
    text
}

/// Text of the user's, shown as it is: without memory it cannot be looked at as a whole.
pub(crate) struct Redacted<T>(pub(crate) T);

impl<T: core::fmt::Display> core::fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
