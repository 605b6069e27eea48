//! What a group holds: its members, by number.

use core::future::Future;
use core::time::Duration;

use crate::resource::BoxError;
use crate::state::State;

/// The members of a [`Group`](super::Group), by number.
///
/// What [`Group::builder`](super::Group::builder) gathers is one kind of it, in which the members' types are
/// forgotten. Another is a struct of your own with a field for each member.
pub trait Members: 'static {
    /// See [`Lifecycle::start`](super::Lifecycle::start).
    ///
    /// # Errors
    /// Whatever keeps the member from that.
    fn start(&self, member: usize) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::stop`](super::Lifecycle::stop).
    ///
    /// # Errors
    /// What was left undone.
    fn stop(
        &self,
        member: usize,
        within: Option<Duration>,
    ) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::restart`](super::Lifecycle::restart).
    ///
    /// # Errors
    /// Whatever keeps the member down.
    fn restart(&self, member: usize) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::check`](super::Lifecycle::check).
    ///
    /// # Errors
    /// An error means that the member is not well.
    fn check(&self, member: usize) -> impl Future<Output = Result<(), BoxError>>;

    /// See [`Lifecycle::state`](super::Lifecycle::state).
    fn state(&self, member: usize) -> State;

    /// See [`Lifecycle::is_recovering`](super::Lifecycle::is_recovering).
    fn is_recovering(&self, _member: usize) -> bool {
        false
    }

    /// See [`Lifecycle::abandon`](super::Lifecycle::abandon).
    fn abandon(&self, member: usize);

    /// See [`LocalLifecycle::ALWAYS_STOPPED`](super::LocalLifecycle::ALWAYS_STOPPED).
    fn is_always_stopped(&self, member: usize) -> bool;

    /// A member was removed and has stopped: nobody asks for it again. Drop it, if you can be without it.
    fn forget(&self, _member: usize) {}
}
