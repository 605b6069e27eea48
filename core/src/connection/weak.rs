//! A connection that others keep open.

use core::fmt;

use super::Connection;
use super::link::Link;
use crate::managed::WeakManaged;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Weak;

/// A connection that is not kept open by this: for what looks after it from the background, and for the resource itself.
/// Made by [`Connection::downgrade`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
/// let weak = connection.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(connection);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "it does nothing but lead to the connection"]
pub struct WeakConnection<R: LocalResource, C: Clock> {
    managed: WeakManaged<R, C>,
    link: Weak<Link>,
}

impl<R: LocalResource, C: Clock> Connection<R, C> {
    /// A handle that does not keep it open.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let weak = connection.downgrade();
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn downgrade(&self) -> WeakConnection<R, C> {
        WeakConnection {
            managed: self.managed.downgrade(),
            link: crate::sync::Arc::downgrade(&self.link),
        }
    }
}

impl<R: LocalResource, C: Clock> WeakConnection<R, C> {
    /// The connection, unless its last handle is gone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let weak = connection.downgrade();
    /// let state = weak.upgrade().map(|connection| connection.state());
    /// assert_eq!(state, Some(State::Uninitialized));
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn upgrade(&self) -> Option<Connection<R, C>> {
        Some(Connection {
            managed: self.managed.upgrade()?,
            link: self.link.upgrade()?,
        })
    }
}

impl<R: LocalResource, C: Clock> Clone for WeakConnection<R, C> {
    fn clone(&self) -> Self {
        Self {
            managed: self.managed.clone(),
            link: self.link.clone(),
        }
    }
}

impl<R: LocalResource, C: Clock> fmt::Debug for WeakConnection<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakConnection").finish_non_exhaustive()
    }
}
