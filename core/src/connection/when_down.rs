//! What a call does while there is no connection.

/// What a call does while a [`Connection`](super::Connection) is down.
///
/// While an attempt to connect is under way, and none has failed before it, every call waits for it.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::connection::WhenDown;
/// let builder = Connection::builder("db:5432", Db).when_down(WhenDown::FailAtOnce);
/// # let _ = builder.build_with_runner(NoTimer)?;
/// # Ok::<(), BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// It fails at once, with what the last attempt said and how long ago, whenever the last attempt failed, even while the
    /// next is under way: for callers who have something else to fall back on.
    FailAtOnce,
    /// It waits until its own deadline; without one, until attempts have failed for
    /// [`refuse_after`](super::ConnectionBuilder::refuse_after) while it waited.
    #[default]
    WaitToDeadline,
    /// It waits for as long as it takes: its deadline begins once there is a connection.
    Wait,
}
