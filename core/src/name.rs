//! Names of resources, with what must not be logged taken out.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use core::fmt;

use crate::redaction::hide;
use crate::sync::{Arc, StaticLock, Text};

/// Text that was redacted is redacted again until nothing changes; few texts need more than two passes.
const MOST_PASSES: usize = 8;

/// The name under which a resource shows in states, events, errors and reports.
///
/// Credentials are [redacted](redact) when the name is made, so a connection string may serve as a name and its
/// password still never reaches a log.
///
/// ```
/// use tenure_core::Name;
/// let name = Name::new("postgres://app:s3cret@db.internal/users");
/// assert_eq!(name.as_str(), "postgres://***@db.internal/users");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// A name from any text, passed through [`redact`].
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// assert_eq!(Name::new("cache").to_string(), "cache");
    /// ```
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(redact(text.as_ref()).as_ref()))
    }

    /// A name nobody else in this process has: the type's, with a number.
    pub(crate) fn generated<R: ?Sized>() -> Self {
        static NUMBER: StaticLock<u64> = StaticLock::new(0);
        let number = NUMBER.with(|number| {
            *number += 1;
            *number
        });
        Self(Arc::from(format!("{}-{number}", type_name::<R>()).as_str()))
    }

    /// A name of something within what has this name.
    pub(crate) fn within(&self, part: impl fmt::Display) -> Self {
        Self(Arc::from(format!("{self}/{part}").as_str()))
    }

    /// The name as text.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// assert_eq!(pool.name().as_str(), "db");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The last part of a type's name, without its parameters.
pub(crate) fn type_name<R: ?Sized>() -> &'static str {
    let path = core::any::type_name::<R>();
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next().unwrap_or(plain)
}

/// Replaces credentials in a text by `***`.
///
/// Hidden are:
/// - what stands between `://` and the last `@` of an address: user and password, or a token alone;
/// - `user:password` before the last `@` of a run of text without white space;
/// - the value of a name that sounds like a credential (`password`, `pwd`, `secret`, `token`, `api_key`, `AccountKey`,
///   `sig`, `authorization` and the like), as `name=value`, `"name": "value"`, `name: value`, `--name value` or
///   `<name>value</name>`;
/// - what follows `Bearer`.
///
/// Where the end of a credential is unclear, more is hidden rather than less: behind a `://` a password may hold
/// spaces, quotes and further `@`. An email address, `user@host:5432` and a URL without a user stay as they are. A password
/// that stands alone cannot be known, nor can one with a space in it in an address without `://`.
///
/// The time it takes is linear in the length of the text, and redacting a text twice is the same as once.
///
/// ```
/// use tenure_core::redact;
/// assert_eq!(redact("redis://:pass@host:6379"), "redis://***@host:6379");
/// assert_eq!(redact("https://token@host/path"), "https://***@host/path");
/// assert_eq!(redact("to app:p@ss/word@host, port 1"), "to ***@host, port 1");
/// assert_eq!(redact("host=db password=pass user=app"), "host=db password=*** user=app");
/// assert_eq!(redact("someone@example.com"), "someone@example.com");
/// ```
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut redacted = Cow::Borrowed(text);
    // What is left may look like a credential only now: `a:***@b` behind a value that had a space in it.
    for _ in 0..MOST_PASSES {
        match hide(&redacted) {
            Some(less) if less != *redacted => redacted = Cow::Owned(less),
            _ => break,
        }
    }
    redacted
}

/// Redacts a text that may be owned.
pub(crate) fn redacted(text: Text) -> Text {
    match redact(&text) {
        Cow::Owned(redacted) => redacted.into(),
        Cow::Borrowed(_) => text,
    }
}

/// Text of the user's, redacted as it is shown.
pub(crate) struct Redacted<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0.to_string()))
    }
}

impl<T: fmt::Debug> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if f.alternate() {
            format!("{:#?}", self.0)
        } else {
            format!("{:?}", self.0)
        };
        f.write_str(&redact(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s02_generated_names_are_short_and_differ() {
        struct Db<T>(T);
        let (a, b) = (Name::generated::<Db<u8>>(), Name::generated::<Db<u8>>());
        assert!(a.as_str().starts_with("Db-"), "{a}");
        assert_ne!(a, b);
        let _ = Db(0).0;
    }
}
