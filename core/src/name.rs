//! Names of resources, with what must not be logged taken out.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::sync::{Arc, StaticLock};

/// The name under which a resource shows in states, events, errors and reports.
///
/// Whatever looks like `user:password@` is replaced by `***@` when the name is made, so a connection
/// string may serve as a name and its password still never reaches a log.
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

/// Replaces whatever looks like `user:password@` by `***@`.
///
/// It looks at each run of text without white space or quotes: from its beginning, or from behind
/// the `://` of an address, to its last `@`, if a colon stands between. It would rather hide too much than too
/// little. It cannot know a password that stands alone.
///
/// ```
/// use tenure_core::redact;
/// assert_eq!(redact("redis://:pass@host:6379"), "redis://***@host:6379");
/// assert_eq!(redact("to app:p@ss/word@host, port 1"), "to ***@host, port 1");
/// assert_eq!(redact("someone@example.com"), "someone@example.com");
/// ```
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut redacted = String::with_capacity(text.len());
    for run in text.split_inclusive(|c: char| c.is_whitespace() || "\"'`<>".contains(c)) {
        match secret(run) {
            Some((start, at)) => {
                redacted.push_str(&run[..start]);
                redacted.push_str("***");
                redacted.push_str(&run[at..]);
            }
            None => redacted.push_str(run),
        }
    }
    Cow::Owned(redacted)
}

/// Where the credentials of a run stand: from the first index up to the second, that of the `@`.
fn secret(run: &str) -> Option<(usize, usize)> {
    let at = run.rfind('@')?;
    let start = match run[..at].split_once("://") {
        Some((scheme, _)) if !scheme.contains([':', '@']) => scheme.len() + 3,
        _ => 0,
    };
    run[start..at].contains(':').then_some((start, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s02_credentials_never_show() {
        for (text, shown) in [
            ("postgres://u:p@h/db", "postgres://***@h/db"),
            ("postgres://u:p@ss@h/db?x=y", "postgres://***@h/db?x=y"),
            ("postgres://u:p/w?#@h", "postgres://***@h"),
            ("u:p@h", "***@h"),
            ("u:p://w@h", "***@h"),
            ("(mysql://u:p@h)", "(mysql://***@h)"),
            ("a u:p@h and v:q@i", "a ***@h and ***@i"),
            ("'u:p@h'", "'***@h'"),
            ("user@host:5432", "user@host:5432"),
            ("no secret: here", "no secret: here"),
            ("", ""),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn s02_generated_names_are_short_and_differ() {
        struct Db<T>(T);
        let (a, b) = (Name::generated::<Db<u8>>(), Name::generated::<Db<u8>>());
        assert!(a.as_str().starts_with("Db-"), "{a}");
        assert_ne!(a, b);
        let _ = Db(0).0;
    }
}
