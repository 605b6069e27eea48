//! A group whose members are the fields of one struct.

use super::Group;
use super::builder::GroupBuilder;
use super::members::Members;
use crate::runtime::{Clock, NoTimer};

/// Members that themselves say who needs whom: a struct with a field for each, of that member's own type.
///
/// `#[derive(Group)]`, of the feature `macros` of `tenure`, writes it, and has a need that nobody meets, or that
/// goes in a circle, refused by the compiler. Write it by hand only where you can't have that.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::group::{DeclaredMembers, GroupBuilder, LocalLifecycle, Members};
///
/// struct Service {
///     db: Pool<Db, Virtual>,
/// }
///
/// impl DeclaredMembers for Service {
///     fn declare() -> GroupBuilder<()> {
///         GroupBuilder::declared("service").add("db", ())
///     }
/// }
///
/// impl Members for Service {
///     async fn start(&self, _: usize) -> Result<(), BoxError> {
///         LocalLifecycle::start(&self.db).await
///     }
///     async fn stop(&self, _: usize, within: Option<Duration>) -> Result<(), BoxError> {
///         LocalLifecycle::stop(&self.db, within).await
///     }
///     async fn restart(&self, _: usize) -> Result<(), BoxError> {
///         LocalLifecycle::restart(&self.db).await
///     }
///     async fn check(&self, _: usize) -> Result<(), BoxError> {
///         LocalLifecycle::check(&self.db).await
///     }
///     fn state(&self, _: usize) -> State {
///         LocalLifecycle::state(&self.db)
///     }
///     fn abandon(&self, _: usize) {
///         LocalLifecycle::abandon(&self.db);
///     }
///     fn is_always_stopped(&self, _: usize) -> bool {
///         <Pool<Db, Virtual> as LocalLifecycle>::ALWAYS_STOPPED
///     }
/// }
///
/// # block_on(async {
/// let service = Group::of(Service { db: pool }, Virtual::default());
/// service.start().await?;
/// assert_eq!(*service.members().db.acquire().await?, "session");
/// assert!(service.close().await.is_clean());
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
pub trait DeclaredMembers: Members {
    /// The members' names, their needs and their limits, in the order of their numbers.
    fn declare() -> GroupBuilder<()>;
}

impl Group<NoTimer> {
    /// A group of the fields of `members`. See [`DeclaredMembers`].
    ///
    /// # Panics
    /// If what `members` declares makes no graph. What `#[derive(Group)]` has written always does.
    pub fn of<C: Clock, M: DeclaredMembers>(members: M, clock: C) -> Group<C, M> {
        Self::of_with(members, clock, |builder| builder)
    }

    /// Makes a group of the fields of `members`, with settings beyond those that it declares.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// use tenure_core::group::DeclaredMembers;
    /// fn built<M: DeclaredMembers>(members: M) -> Group<NoTimer, M> {
    ///     let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    ///     Group::of_with(members, NoTimer, |builder| builder.events(sink))
    /// }
    /// ```
    ///
    /// # Panics
    /// As [`of`](Group::of).
    pub fn of_with<C: Clock, M: DeclaredMembers>(
        members: M,
        clock: C,
        set: impl FnOnce(GroupBuilder<()>) -> GroupBuilder<()>,
    ) -> Group<C, M> {
        match set(M::declare()).finish(clock, |_| members, None) {
            Ok(group) => group,
            Err(error) => panic!(
                "the declaration of {}: {error}",
                core::any::type_name::<M>()
            ),
        }
    }
}

impl<C: Clock, M: DeclaredMembers> Group<C, M> {
    /// The members, by their fields.
    #[must_use]
    pub fn members(&self) -> &M {
        &self.shared.members
    }
}

impl GroupBuilder<()> {
    /// Begins the [declaration](DeclaredMembers::declare) of a group of that name. Its members have names
    /// alone: `.add("db", ())`.
    pub fn declared(name: impl AsRef<str>) -> Self {
        Self::new(name)
    }
}
