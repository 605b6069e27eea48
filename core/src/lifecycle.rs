//! What all members of a group have in common.

use core::future::Future;
use core::time::Duration;

use crate::resource::BoxError;
use crate::state::State;
use crate::sync::Arc;

/// Something that a [`Group`](crate::Group) starts and stops: a [`Managed`](crate::Managed), a
/// [`Pool`](crate::Pool), another group, or what you make of it, a worker, a server.
///
/// `Managed`, `Pool` and `Group` are members as they are; implement this for what is none of them. What has one
/// value to open and close is better a [`Resource`](crate::Resource): it gets retries, checks and recovery.
/// A member whose futures stay on one thread implements [`LocalLifecycle`] instead.
///
/// The group calls `start` once, and `stop` once if `start` was called, however that ended. Either may be
/// dropped half-way, and is called again then. A [supervisor](crate::group::Supervisor) calls `restart` in between.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::{BoxError, State};
/// use tenure_core::group::Lifecycle;
///
/// struct Worker;
///
/// impl Lifecycle for Worker {
///     async fn start(&self) -> Result<(), BoxError> {
///         Ok(()) // Listen, spawn, subscribe.
///     }
///     async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
///         Ok(()) // And undo that.
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a member of a group",
    label = "this is neither a `Managed`, a `Pool` nor a `Group`, and has no `Lifecycle`",
    note = "implement `Lifecycle` for it; a field that is no member is marked `#[group(skip)]`"
)]
pub trait Lifecycle: Send + Sync + 'static {
    /// Brings the member up.
    ///
    /// # Errors
    /// Whatever keeps it from that. A required member that fails brings its group down.
    fn start(&self) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Takes it down, in at most the time given: the future is dropped then. With no time left it is polled once.
    ///
    /// # Errors
    /// What was left undone. It is told in the group's report; the member counts as stopped all the same.
    fn stop(&self, within: Option<Duration>) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Gets it back on its feet. By default it is stopped and started.
    ///
    /// What its stop leaves undone is no reason not to start it, and is told to nobody: the answer is that of the
    /// start. Write your own if it matters.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// use tenure_core::group::Lifecycle;
    ///
    /// struct Worker;
    ///
    /// impl Lifecycle for Worker {
    ///     async fn start(&self) -> Result<(), BoxError> {
    ///         Ok(())
    ///     }
    ///     async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
    ///         Err("it is dead already".into())
    ///     }
    /// }
    ///
    /// assert!(block_on(Lifecycle::restart(&Worker)).is_ok());
    /// ```
    ///
    /// # Errors
    /// Whatever keeps it down.
    fn restart(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        async {
            let _undone = self.stop(None).await;
            self.start().await
        }
    }

    /// Asks whether it is well.
    ///
    /// It must not wait for the [health](crate::Group::health) of the group that it is a member of: that asks this check,
    /// which would wait for itself until its time is over.
    ///
    /// # Errors
    /// An error means that it is not.
    fn check(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        core::future::ready(Ok(()))
    }

    /// Where it stands, between its start and its stop.
    fn state(&self) -> State {
        State::Ready
    }

    /// Returns `true` while the member is bringing itself back up, or would without help. A
    /// [supervisor](crate::group::Supervisor) does not restart it then.
    ///
    /// A [`Managed`](crate::Managed) value whose Runner retries the opening says so, for example. The default is `false`:
    /// a member that is down stays down until it is restarted.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// use tenure_core::group::Lifecycle;
    ///
    /// struct Consumer;
    ///
    /// impl Lifecycle for Consumer {
    ///     async fn start(&self) -> Result<(), BoxError> {
    ///         Ok(()) // Spawns a task that subscribes, and subscribes again whenever the broker goes away.
    ///     }
    ///     async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
    ///         Ok(())
    ///     }
    ///     fn is_recovering(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// ```
    fn is_recovering(&self) -> bool {
        false
    }

    /// Gives up at once what a stop has not undone that was cut off, because its time was over or it
    /// panicked: the last resort, which can neither wait nor fail. By default it does nothing.
    fn abandon(&self) {}
}

impl<L: Lifecycle> Lifecycle for Arc<L> {
    fn start(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        L::start(self)
    }

    fn stop(&self, within: Option<Duration>) -> impl Future<Output = Result<(), BoxError>> + Send {
        L::stop(self, within)
    }

    fn restart(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        L::restart(self)
    }

    fn check(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        L::check(self)
    }

    fn state(&self) -> State {
        L::state(self)
    }

    fn is_recovering(&self) -> bool {
        L::is_recovering(self)
    }

    fn abandon(&self) {
        L::abandon(self);
    }
}

/// The twin of [`Lifecycle`] for members that stay on one thread. Every [`Lifecycle`] is one.
///
/// ```
/// use std::cell::Cell;
/// use std::time::Duration;
/// use tenure_core::BoxError;
/// use tenure_core::group::LocalLifecycle;
///
/// struct Counter(Cell<u32>);
///
/// impl LocalLifecycle for Counter {
///     async fn start(&self) -> Result<(), BoxError> {
///         self.0.set(1);
///         Ok(())
///     }
///     async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
///         self.0.set(0);
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a member of a group",
    label = "this is neither a `Managed`, a `Pool` nor a `Group`, and has no `Lifecycle`",
    note = "implement `Lifecycle` for it; a field that is no member is marked `#[group(skip)]`"
)]
pub trait LocalLifecycle: 'static {
    /// Whether `stop` is called even if `start` was not, because the member may have been used without its group.
    /// For the same reason its own state is believed once that is usable, though its start has failed.
    const ALWAYS_STOPPED: bool = false;

    /// See [`Lifecycle::start`].
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn start(&self) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::stop`].
    ///
    /// # Errors
    /// What was left undone.
    fn stop(&self, within: Option<Duration>) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::restart`].
    ///
    /// # Errors
    /// Whatever keeps it down.
    fn restart(&self) -> impl Future<Output = Result<(), BoxError>> {
        async {
            let _undone = self.stop(None).await;
            self.start().await
        }
    }

    /// See [`Lifecycle::check`].
    ///
    /// # Errors
    /// An error means that it is not well.
    fn check(&self) -> impl Future<Output = Result<(), BoxError>> {
        core::future::ready(Ok(()))
    }

    /// See [`Lifecycle::state`].
    fn state(&self) -> State {
        State::Ready
    }

    /// See [`Lifecycle::is_recovering`].
    fn is_recovering(&self) -> bool {
        false
    }

    /// See [`Lifecycle::abandon`].
    fn abandon(&self) {}
}

impl<L: Lifecycle> LocalLifecycle for L {
    fn start(&self) -> impl Future<Output = Result<(), BoxError>> {
        Lifecycle::start(self)
    }

    fn stop(&self, within: Option<Duration>) -> impl Future<Output = Result<(), BoxError>> {
        Lifecycle::stop(self, within)
    }

    fn restart(&self) -> impl Future<Output = Result<(), BoxError>> {
        Lifecycle::restart(self)
    }

    fn check(&self) -> impl Future<Output = Result<(), BoxError>> {
        Lifecycle::check(self)
    }

    fn state(&self) -> State {
        Lifecycle::state(self)
    }

    fn is_recovering(&self) -> bool {
        Lifecycle::is_recovering(self)
    }

    fn abandon(&self) {
        Lifecycle::abandon(self);
    }
}
