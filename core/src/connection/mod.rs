//! A connection that reconnects.

mod attempts;
mod builder;
mod call;
mod link;
mod member;
mod state;
mod stats;
mod weak;
mod when_down;

use core::future::Future;
use core::time::Duration;

pub use attempts::CallAttempt;
pub use builder::ConnectionBuilder;
pub use call::Request;
pub use state::{ConnectionState, ConnectionWatch};
pub use stats::{CallCounts, ConnectCounts, ConnectionStats};
pub use weak::WeakConnection;
pub use when_down::WhenDown;

use crate::cause::Cause;
use crate::cleanup::{Audit, Report};
use crate::time::Instant;

use crate::managed::{CallError, CallOptions, CheckError, Managed};
use crate::name::Name;
use crate::opening::OpenError;
use crate::resource::{BoxError, LocalResource};
use crate::runtime::{Clock, NoTimer, Timer};
use crate::state::State;
use crate::sync::{Arc, Text};
use link::Link;

/// A [`Managed`] value that is a connection over a network: it has an address, reconnects, and keeps statistics.
///
/// Its value is a cheap handle that all callers share, such as the client of a protocol that can have several
/// requests under way. An error that the resource classes as [`Reconnect`](crate::ErrorClass::Reconnect), or as
/// [`ReconnectOnly`](crate::ErrorClass::ReconnectOnly) if the operation may not be repeated, means that the connection
/// is lost: it is opened anew once, however many calls fail on it, while those still under way on the old one finish,
/// unless it is found dead. Other errors never reconnect. Attempts to connect keep a pace that only a connection that works
/// resets, so that a peer that accepts and then hangs up is not asked more often than one that refuses.
///
/// For connections that one task has to itself, take a [`Pool`](crate::Pool); for a shared value without a network
/// behind it, a [`Managed`].
///
/// Cloning it is cheap and gives another handle.
///
/// ```
/// use tenure_core::{Connection, ErrorClass, Failure, Resource};
/// # use tenure_core::{BoxError, NoTimer};
/// use std::io;
///
/// struct Redis { address: &'static str }
/// # #[derive(Clone)]
/// # struct Client;
/// # impl Client {
/// #     async fn connect(_: &str) -> io::Result<Self> { Ok(Self) }
/// #     async fn get(&self, _: &str) -> io::Result<u64> { Ok(7) }
/// #     async fn ping(&self) -> io::Result<()> { Ok(()) }
/// # }
///
/// impl Resource for Redis {
///     type Value = Client;
///     type Error = io::Error;
///     const CHECKED: bool = true;
///
///     async fn open(&self) -> io::Result<Client> {
///         Client::connect(self.address).await
///     }
///     async fn check(&self, client: &mut Client) -> io::Result<()> {
///         client.ping().await
///     }
///     fn classify(&self, failure: Failure<'_, io::Error>) -> ErrorClass {
///         match failure.error().map(io::Error::kind) {
///             Some(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => ErrorClass::Reconnect,
///             _ => ErrorClass::Retry,
///         }
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let address = "redis://localhost:6379";
/// // With a runtime: `.build(Tokio::current())?`.
/// let (redis, _runner) = Connection::builder(address, Redis { address }).build_with_runner(NoTimer)?;
/// let visits = redis.call("get visits", |client| async move { client.get("visits").await }).await?;
/// assert_eq!(visits, 7);
/// println!("{}", redis.stats());
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
pub struct Connection<R: LocalResource, C: Clock> {
    managed: Managed<R, C>,
    link: Arc<Link>,
}

impl<R: LocalResource<Value: Clone>> Connection<R, NoTimer> {
    /// Begins to configure a connection to `address`, which is shown without its password.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.address().as_str(), "db:5432");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn builder(address: impl AsRef<str>, resource: R) -> ConnectionBuilder<R>
    where
        R::Error: Into<BoxError>,
    {
        ConnectionBuilder::new(address, resource)
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Connection<R, C> {
    /// Runs `operation` with the connection, under the policy. `name` is told in errors and events.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let length = connection.call("length", |session| async move { Ok(session.len()) }).await?;
    /// assert_eq!(length, 7);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`CallError`] tells how often it was tried, for how long, and what the operation said last, or why there is
    /// no connection.
    ///
    /// # Cancel safety
    /// Dropping the future drops the attempt under way, and nothing else: a connection that others use stays. It
    /// counts as cancelled.
    pub async fn call<O, F, U>(&self, name: impl Into<Text>, operation: O) -> Result<U, CallError>
    where
        O: FnMut(R::Value) -> F,
        F: Future<Output = Result<U, R::Error>>,
    {
        self.request(CallOptions::named(name)).run(operation).await
    }

    /// A call with other options than the rest: its policy and limits, what it does while there is no connection,
    /// and what its errors deserve.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let once = CallOptions::named("length").max_retries(0);
    /// let length = connection.request(once).run(|session| async move { Ok(session.len()) }).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn request(&self, options: CallOptions) -> Request<'_, R, C> {
        Request::new(self, options)
    }

    /// Connects, and waits for it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.open().await?;
    /// assert!(connection.is_usable());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`OpenError`], once attempts have failed for [3 s](ConnectionBuilder::refuse_after) while it waited, at once of a
    /// refusal for good, or if it is closed.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting. The attempt goes on if a Runner drives it, or if others wait for it.
    pub async fn open(&self) -> Result<(), OpenError> {
        self.managed.open().await
    }

    /// The connection itself, once it is there: for what no call can express. Nothing tracks its use, and what fails
    /// there has to be [told](Connection::reconnect).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.get().await?, "session");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Connection::open).
    ///
    /// # Cancel safety
    /// As [`open`](Connection::open).
    pub async fn get(&self) -> Result<R::Value, OpenError> {
        self.managed.get().await
    }

    /// Gives the connection up as dead: the resource, or what works beside it, knows that nothing will be answered any
    /// more, as after a keepalive that failed. Another is opened, and the calls on this one end after the
    /// [grace period](ConnectionBuilder::call_grace) with an error that says that they may have run.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.open().await?;
    /// connection.found_dead();
    /// assert!(!connection.is_usable());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn found_dead(&self) {
        self.managed.found_dead();
    }

    /// Gives the connection up that is there, and waits for a new one. Calls on the old one finish. Several callers at
    /// once cause one reconnect: a connection that came while another of them waits is what they want. If an attempt is under way already, or
    /// waits for its time, it waits for that one. It may be called from a check of this connection.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.open().await?;
    /// connection.reconnect().await?;
    /// assert_eq!(connection.stats().connects.reconnects, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Connection::open).
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting. The old connection is given up all the same.
    pub async fn reconnect(&self) -> Result<(), OpenError> {
        self.managed.reconnect().await
    }

    /// Gives the connection up if it was opened before `at`, and says whether it did: a sibling has found the peer
    /// restarted, so whatever is older is of no use either. A pool has [`evict_all`](crate::Pool::evict_all) for that.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
    /// connection.open().await?;
    /// assert!(!connection.lose_if_opened_before(Instant::EPOCH));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn lose_if_opened_before(&self, at: Instant) -> bool {
        self.managed.lose_if_opened_before(at)
    }

    /// Checks the connection now, for whoever asks.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.open().await?;
    /// connection.check().await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`CheckError`]: it failed, or there is no connection.
    ///
    /// # Cancel safety
    /// Dropping the future drops the check, which then counts for nothing.
    pub async fn check(&self) -> Result<(), CheckError> {
        self.managed.check().await
    }

    /// Closes for good, like [`shutdown`](Connection::shutdown), and waits for all calls, but for those on a connection that
    /// was found dead.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert!(connection.close().await.is_clean());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// As [`shutdown`](Connection::shutdown).
    pub async fn close(&self) -> Report {
        self.managed.close().await
    }

    /// Tells the event sink of an error that has no caller to return to, as
    /// [`Swallowed`](crate::EventKind::Swallowed): for the resource and what works beside it. `phase` says where it came up.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// connection.tell("handshake", "the server is older than this program");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn tell(&self, phase: &'static str, error: impl Into<BoxError> + 'static) {
        self.managed.swallow(phase, &Cause::new(error));
    }

    /// What it has done so far.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.stats().connects.begun, 0);
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.link.stats(self.managed.clock().try_now())
    }

    /// How many connections were opened, and where each of them is.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert!(connection.audit().is_balanced());
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.managed.audit()
    }

    /// The state of its value, as every managed value has it: degraded, if checks or too many calls fail. See
    /// [`connection_state`](Connection::connection_state) for that of the connection.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.state(), State::Uninitialized);
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.managed.state()
    }

    /// Whether it is connected, degraded or not.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert!(!connection.is_usable());
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.managed.is_usable()
    }

    /// Returns what calls do while there is no connection, unless they say otherwise.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::connection::WhenDown;
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.when_down(), WhenDown::WaitToDeadline);
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn when_down(&self) -> WhenDown {
        self.link.when_down
    }

    /// The address, without its password.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db://me:secret@db", Db).build_with_runner(NoTimer)?;
    /// assert_eq!(connection.address().as_str(), "db://***@db");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> &Name {
        &self.link.address
    }

    /// The name in errors and events: its own, and the address.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Connection::builder("db:5432", Db).name("orders");
    /// let (connection, _runner) = builder.build_with_runner(NoTimer)?;
    /// assert_eq!(connection.name().as_str(), "orders at db:5432");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        self.managed.name()
    }

    /// The resource.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(NoTimer)?;
    /// let _: &Db = connection.resource();
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn resource(&self) -> &R {
        self.managed.resource()
    }
}

impl<R: LocalResource<Value: Clone>, T: Timer> Connection<R, T> {
    /// Connects, and waits for it for so long.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
    /// connection.open_timeout(Duration::from_secs(5)).await?;
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Connection::open), and [`OpenError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`open`](Connection::open).
    pub async fn open_timeout(&self, timeout: Duration) -> Result<(), OpenError> {
        self.managed.open_timeout(timeout).await
    }

    /// Closes for good: nothing is called from now on. Waits for the calls under way, and says what was not closed
    /// when `within` is over; calls that are under way then end at once. It may be called again.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let (connection, _runner) = Connection::builder("db:5432", Db).build_with_runner(Virtual::default())?;
    /// let report = connection.shutdown(Duration::from_secs(5)).await;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the connection closing: call it again to go on.
    pub async fn shutdown(&self, within: Duration) -> Report {
        self.managed.shutdown(within).await
    }
}

impl<R: LocalResource, C: Clock> Clone for Connection<R, C> {
    fn clone(&self) -> Self {
        Self {
            managed: self.managed.clone(),
            link: self.link.clone(),
        }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Connection<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Connection").field(&self.managed).finish()
    }
}
