//! Which hooks a resource has around the life and the loans of a value.

/// The hooks that a resource has beside `open`, `check` and `close`. What has none pays for none.
///
/// Every holder calls `after_open` and `before_close`; a [`Pool`](crate::Pool), which lends its values, calls
/// `before_acquire` and `after_release` as well.
///
/// ```
/// use tenure_core::{Hooks, Resource};
///
/// struct Db;
/// # struct Session; impl Session { async fn set_time_zone(&mut self) -> std::io::Result<()> { Ok(()) }
/// # async fn roll_back(&mut self) -> std::io::Result<()> { Ok(()) } }
///
/// impl Resource for Db {
///     type Value = Session;
///     type Error = std::io::Error;
///     const HOOKS: Hooks = Hooks::AFTER_OPEN.and(Hooks::AFTER_RELEASE);
///
///     async fn open(&self) -> Result<Session, Self::Error> {
///         Ok(Session)
///     }
///     async fn after_open(&self, session: &mut Session) -> Result<(), Self::Error> {
///         session.set_time_zone().await
///     }
///     async fn after_release(&self, session: &mut Session) -> Result<(), Self::Error> {
///         session.roll_back().await
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// [`after_open`](crate::Resource::after_open) is written.
    pub const AFTER_OPEN: Self = Self(1);
    /// [`before_acquire`](crate::Resource::before_acquire) is written.
    pub const BEFORE_ACQUIRE: Self = Self(2);
    /// [`after_release`](crate::Resource::after_release) is written.
    pub const AFTER_RELEASE: Self = Self(4);
    /// [`before_close`](crate::Resource::before_close) is written.
    pub const BEFORE_CLOSE: Self = Self(8);

    /// These hooks, and those.
    ///
    /// ```
    /// use tenure_core::Hooks;
    /// const BOTH: Hooks = Hooks::AFTER_OPEN.and(Hooks::BEFORE_CLOSE);
    /// assert!(BOTH.has(Hooks::AFTER_OPEN) && !BOTH.has(Hooks::AFTER_RELEASE));
    /// ```
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// None of them.
    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether all of the others are among these.
    ///
    /// ```
    /// # use tenure_core::Hooks;
    /// assert!(!Hooks::NONE.has(Hooks::AFTER_OPEN));
    /// ```
    #[must_use]
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}
