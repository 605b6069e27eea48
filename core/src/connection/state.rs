//! Where a connection stands, and how to see it change.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Connection;
use crate::managed::{ManagedStanding, Unreachable, Watch};
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Listener;
use crate::state::State;
use crate::time::Instant;

/// Where a [`Connection`] stands.
///
/// ```
/// use tenure_core::connection::ConnectionState;
/// assert_eq!(ConnectionState::Connecting.to_string(), "connecting");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nobody has wanted it yet.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// It can be used.
    Connected,
    /// The last attempt failed, or the connection was lost too soon. The next attempt is made then, if anybody
    /// wants it; at once, without a time.
    WaitingToReconnect {
        /// When the next attempt may begin.
        until: Option<Instant>,
    },
    /// It is closed for good.
    Closed,
}

impl ConnectionState {
    fn of(standing: ManagedStanding) -> Self {
        let ManagedStanding {
            state,
            pausing_until,
            next_at,
        } = standing;
        match state {
            State::Uninitialized => Self::Idle,
            State::Initializing => match pausing_until {
                Some(until) => Self::WaitingToReconnect { until: Some(until) },
                None => Self::Connecting,
            },
            State::Ready | State::Degraded => Self::Connected,
            State::Error => Self::WaitingToReconnect { until: next_at },
            State::Closing | State::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::WaitingToReconnect { .. } => "waiting to reconnect",
            Self::Closed => "closed",
        })
    }
}

/// Sees a connection's state change: always the last one, though not each between.
///
/// It keeps nothing open: when the last handle is dropped, it sees the connection close.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::connection::ConnectionState;
/// # block_on(async {
/// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
/// let mut watch = connection.watch();
/// connection.open().await?;
/// assert_eq!(watch.changed().await, Some(ConnectionState::Connected));
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[must_use = "a watch sees nothing until it is awaited"]
pub struct ConnectionWatch<R: LocalResource, C: Clock> {
    managed: Watch<R, C>,
    seen: ConnectionState,
    listener: Option<Listener>,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Connection<R, C> {
    /// Where it stands now.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::connection::ConnectionState;
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.connection_state(), ConnectionState::Idle);
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        ConnectionState::of(self.managed.standing())
    }

    /// Watches where it stands from now on.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let watch = connection.watch();
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn watch(&self) -> ConnectionWatch<R, C> {
        ConnectionWatch {
            managed: self.managed.watch(),
            seen: self.connection_state(),
            listener: None,
        }
    }

    /// Waits until it is connected, without wanting it to be.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.open().await?;
    /// connection.wait_connected().await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If it is closed, or is so before that.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_connected(&self) -> Result<(), Unreachable> {
        self.managed.wait_for_usable().await
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> ConnectionWatch<R, C> {
    /// Waits for the state to be another than was seen last. `None` once it is closed and that was seen.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call sees what changed.
    pub async fn changed(&mut self) -> Option<ConnectionState> {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        loop {
            let state = ConnectionState::of(self.managed.standing());
            if state != self.seen {
                self.seen = state;
                return Poll::Ready(Some(state));
            }
            if state == ConnectionState::Closed {
                return Poll::Ready(None);
            }
            // A listener made just now may have missed what changed before: look again.
            match &mut self.listener {
                None => self.listener = Some(self.managed.listen()),
                Some(listener) => {
                    if Pin::new(listener).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.listener = None;
                }
            }
        }
    }
}

impl<R: LocalResource, C: Clock> fmt::Debug for ConnectionWatch<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionWatch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
