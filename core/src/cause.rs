//! The error of user code, in a form that all who waited for it can share.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::error::Error;
use core::fmt;
use core::ops::Deref;

use crate::name::{Redacted, redact};
use crate::resource::BoxError;
use crate::sync::{self, Arc, StaticLock};

/// The error of the user's own code: of an `open`, `close`, `check` or call.
///
/// It is shared among all who waited for the same attempt. [`downcast_ref`](Cause::downcast_ref) gives the error back
/// typed; the cause dereferences to the error itself, so `cause.source()` walks its chain.
///
/// As text, by `Display` and by `Debug`, it is [redacted](crate::redact). The error itself, and what `source()` returns, are
/// the user's own and show all that they say.
///
/// ```
/// use tenure_core::Cause;
/// let cause = Cause::new(std::io::Error::other("no route to db:secret@host"));
/// assert_eq!(cause.to_string(), "no route to ***@host");
/// assert!(cause.downcast_ref::<std::io::Error>().is_some());
/// ```
///
/// # `anyhow` and `eyre`
/// Where the error of a resource is an `anyhow::Error`, what it holds is found by its type, with the feature `anyhow`, which is
/// on by default. The backtrace that it may have is lost:
///
/// ```
/// use tenure_core::Cause;
///
/// fn open() -> anyhow::Result<u8> {
///     Err(std::io::Error::other("refused"))?
/// }
/// # #[cfg(feature = "anyhow")]
/// assert!(Cause::new(open().unwrap_err()).downcast_ref::<std::io::Error>().is_some());
/// ```
///
/// Without that feature, and for an `eyre::Report`, a wrapper takes the place of the outermost error, whose type nothing
/// can find then; what has a context is still found as a source of the wrapper. The same goes for an `anyhow::Error` that became a
/// [`BoxError`] before, as by a `?`: convert it by `anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace`. A
/// classifier has the error itself.
#[derive(Clone)]
pub struct Cause(Arc<SharedError>);

/// The error that all clones of a cause share, and who hears of a panic in its `drop`.
///
/// An error is dropped wherever the last clone is: by a Runner, by a caller, as a wait ends. None of them is to
/// end by a panic in the user's `drop`, so it is contained here.
struct SharedError {
    /// Absent only while it is dropped.
    error: Option<BoxError>,
    /// Whom an event has told of this error. It does not keep a sink, which may keep the errors that it is told of.
    told: StaticLock<Option<PanicListener>>,
}

/// Hears what an error's `drop` has panicked with.
pub(crate) type PanicListener = Box<dyn Fn(String) + Send + Sync>;

impl Cause {
    /// Shares an error.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// let cause = Cause::new("no route to host");
    /// assert_eq!(cause.to_string(), "no route to host");
    /// ```
    ///
    /// A panic of the conversion is the error then: see [`Panicked`].
    pub fn new(error: impl Into<BoxError> + 'static) -> Self {
        let converted = sync::contain(|| sync::boxed(error));
        let error = converted.unwrap_or_else(|message| Panicked::new(message).into());
        Self(Arc::new(SharedError {
            error: Some(error),
            told: StaticLock::new(None),
        }))
    }

    /// Returns the error if it is an `E`, or else the first of its sources that is one.
    ///
    /// ```
    /// use std::io;
    /// use tenure_core::Cause;
    /// # #[derive(Debug)]
    /// # struct Unreachable(io::Error);
    /// # impl std::fmt::Display for Unreachable {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("unreachable") }
    /// # }
    /// # impl std::error::Error for Unreachable {
    /// #     fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) }
    /// # }
    /// let cause = Cause::new(Unreachable(io::ErrorKind::ConnectionRefused.into()));
    /// let io = cause.downcast_ref::<io::Error>().unwrap();
    /// assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
    /// ```
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        let mut next = Some(self.as_source());
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The error as a trait object, for `source()`.
    pub(crate) fn as_source(&self) -> &(dyn Error + 'static) {
        &**self
    }

    /// Notes who was told of the error first, and so is to hear of a panic in its `drop`.
    pub(crate) fn told_to(&self, listener: impl FnOnce() -> PanicListener) {
        if self.0.told.with(|told| told.is_some()) {
            return;
        }
        let mut listener = Some(listener());
        // One that came second is dropped after the lock.
        self.0.told.with(|told| {
            if told.is_none() {
                *told = listener.take();
            }
        });
    }
}

impl Drop for SharedError {
    fn drop(&mut self) {
        let error = self.error.take();
        let Err(message) = sync::contain(|| drop(error)) else {
            return;
        };
        if let Some(hear) = self.told.with(Option::take) {
            hear(message);
        }
    }
}

impl Deref for Cause {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        match &self.0.error {
            Some(error) => &**error,
            None => unreachable!("it is there until its last handle is dropped"),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Redacted(&**self), f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Redacted(&**self), f)
    }
}

/// A cause as a line of a log: with all its sources, and redacted.
pub(crate) struct Told<'a>(pub(crate) &'a Cause);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each is redacted by itself: joined by a colon they would look like a name and its value.
        let mut line = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = Redacted(error).to_string();
            // Many errors already say what their source says.
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            source = error.source();
        }
        f.write_str(&line)
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
    pub(crate) fn new(message: String) -> Self {
        match redact(&message) {
            Cow::Owned(redacted) => Self(redacted),
            Cow::Borrowed(_) => Self(message),
        }
    }

    /// What the panic said, [redacted](redact).
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
