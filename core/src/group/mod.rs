//! Many different resources that depend on each other, started and stopped as one.

mod added;
mod builder;
mod declared;
mod drive;
mod erased;
mod error;
mod graph;
mod health;
mod members;
mod plan;
mod report;
mod shared;
mod supervisor;
mod watched;

use core::sync::atomic::Ordering;
use core::time::Duration;

pub use crate::lifecycle::{Lifecycle, LocalLifecycle};
pub use added::Addition;
pub use builder::GroupBuilder;
pub use declared::DeclaredMembers;
pub use erased::{ErasedMembers, LocalMember, LocalMembers, Member};
pub use error::{AddError, DependencyFailed, GetError, RemoveError, StartError};
pub use graph::{Graph, GraphError};
pub use health::{GroupHealth, MemberHealth};
pub use members::Members;
pub use report::{GroupReport, MemberReport};
pub use supervisor::{GaveUp, Restarts, Supervisor};

use crate::name::Name;
use crate::resource::BoxError;
use crate::runtime::{Clock, NoTimer, Timer};
use crate::state::State;
use crate::sync::Arc;
use drive::drive;
use plan::{Goal, Plan, Role};
use shared::{GroupShared, GroupStanding};

/// Different resources that depend on each other, started and stopped as one: a service with its database, its
/// cache, its clients and its workers.
///
/// Members start side by side as far as what they need allows, and stop in the reverse order. If one that is
/// required fails, what had started is stopped again. A group starts once and stops once.
///
/// For several values of one kind, take a [`Pool`](crate::Pool). For what lives as long as one function, take
/// a scope.
///
/// It spawns nothing, unless it was [built to](GroupBuilder::build_spawning): whoever awaits
/// [`start`](Group::start) or [`shutdown`](Group::shutdown) drives it, and several may. Cloning it is cheap and gives another handle. Dropping the last one without a shutdown drops
/// the members, each of which then ends as it does by itself, in no order.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// // With a runtime: `.build(Tokio::current())`.
/// let service = Group::builder("service")
///     .add("db", managed)
///     .add("sessions", pool)
///     .after("db")
///     .build(Virtual::default())?;
/// service.start().await?;
/// let db = service.get::<Managed<Db, Virtual>>("db")?;
/// assert_eq!(db.get().await?, "session");
/// let report = service.shutdown(Duration::from_secs(10)).await;
/// assert!(report.is_clean(), "{report}");
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
pub struct Group<C: Clock, M: Members = ErasedMembers> {
    shared: Arc<GroupShared<C, M>>,
}

impl Group<NoTimer> {
    /// Begins to put a group together.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn builder(name: impl AsRef<str>) -> GroupBuilder<Member> {
        GroupBuilder::new(name)
    }

    /// Begins to put a group together whose members stay on one thread.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::local_builder("service").add("db", managed).build_local(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn local_builder(name: impl AsRef<str>) -> GroupBuilder<LocalMember> {
        GroupBuilder::new(name)
    }
}

impl<C: Clock, M: Members> Group<C, M> {
    /// Starts every member, each once what it needs has started, and waits until all have.
    ///
    /// Called again it waits for what is left. If a required member fails, the starts under way are called
    /// off, what had begun is stopped in reverse, and the error names the first to fail and how each member
    /// ended; the group is closed then.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let down = Managed::builder(Down).retry(Retry::NEVER).build_with_runner(Virtual::default())?.0;
    /// let group = Group::builder("service").add("db", managed).add("api", down).after("db").build(Virtual::default())?;
    /// let error = group.start().await.unwrap_err();
    /// assert!(error.to_string().starts_with("service did not start: api:"));
    /// assert_eq!(group.state(), State::Closed);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`StartError`] says which member failed, or that the group is shut down.
    ///
    /// # Cancel safety
    /// Dropping the future calls off the starts that it drove; those that have a task of their own go on. What has
    /// started stays so. Call it again to go on, or [`shutdown`](Group::shutdown) to stop what had begun.
    pub async fn start(&self) -> Result<(), StartError> {
        let shared = &self.shared;
        shared.change(|book| book.plan.go_up());
        drive(shared, None, Plan::is_settled).await;
        let (is_up, failed) = shared.book.with(|book| {
            let failed = book.plan.culprit();
            let failed = failed.and_then(|member| {
                let cause = book.rows[member].start_error.clone()?;
                Some((book.graph.nodes[member].name.clone(), cause))
            });
            (book.plan.is_up(), failed)
        });
        let group = shared.name.clone();
        match failed {
            _ if is_up => Ok(()),
            Some((member, cause)) => Err(StartError::Failed {
                group,
                member,
                cause,
                report: alloc::boxed::Box::new(shared.report()),
            }),
            None => Err(StartError::Closed { group }),
        }
    }

    /// Stops every member like [`shutdown`](Group::shutdown), with no limit but each member's own.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert!(group.close().await.is_clean());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// As [`shutdown`](Group::shutdown).
    pub async fn close(&self) -> GroupReport {
        self.stop_within(None).await
    }

    async fn stop_within(&self, within: Option<Duration>) -> GroupReport {
        let deadline = self.shared.go_down(within);
        drive(&self.shared, deadline, Plan::is_settled).await;
        self.shared.report()
    }

    /// Where the group stands: [`Degraded`](State::Degraded) while an optional member is missing or a member is
    /// degraded, [`Error`](State::Error) while a required one is down.
    ///
    /// While members are [added](Group::add) or [removed](Group::remove) it is what it was. One whose addition was
    /// dropped and whose start has failed since counts as optional until it is up: the others go on without it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert_eq!(group.state(), State::Uninitialized);
    /// group.start().await?;
    /// assert_eq!(group.state(), State::Ready);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// How each member has started and stopped so far.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert_eq!(group.report().to_string(), "service\n  db: Uninitialized");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn report(&self) -> GroupReport {
        self.shared.report()
    }

    /// Who needs whom.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert_eq!(group.graph().to_string(), "1. db\n");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::clone(&self.shared_graph())
    }

    pub(crate) fn shared_graph(&self) -> Arc<Graph> {
        self.shared.book.with(|book| book.graph.clone())
    }

    /// The group's name.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert_eq!(group.name().as_str(), "service");
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// Whether all members have started, as a startup probe asks.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert!(!group.has_started());
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.shared.book.with(|book| book.plan.is_up())
    }

    /// Whether the group can serve, as a readiness probe asks: all that is required is up.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// group.start().await?;
    /// assert!(group.is_ready());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_usable()
    }

    /// Whether there is any point in waiting for the group, as a liveness probe asks: it has not failed to start,
    /// and is not shut down.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// assert!(group.is_alive());
    /// group.close().await;
    /// assert!(!group.is_alive());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.shared.book.with(|book| book.plan.goal() != Goal::Down)
    }
}

impl<C: Timer, M: Members> Group<C, M> {
    /// Stops every member, each once all that need it have stopped, goes on after errors, and says what was left
    /// undone when `within` is over.
    ///
    /// Of that time each member gets its share: what is left, divided by the length of the longest chain that is
    /// still to be stopped. With no time left a stop is polled once. What a stop leaves that is cut off is
    /// [abandoned](Lifecycle::abandon). A start under way is called off.
    ///
    /// Called again, it waits for what is left and reports the whole. Concurrent callers all wait; the least
    /// time counts.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// group.start().await?;
    /// let report = group.shutdown(Duration::from_secs(10)).await;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future leaves the group closing, and the stops that it drove are called again: call it again
    /// to go on.
    pub async fn shutdown(&self, within: Duration) -> GroupReport {
        self.stop_within(Some(within)).await
    }
}

impl<C: Clock + 'static, M: Members> LocalLifecycle for Group<C, M> {
    const ALWAYS_STOPPED: bool = true;

    async fn start(&self) -> Result<(), BoxError> {
        Self::start(self).await.map_err(Into::into)
    }

    async fn stop(&self, within: Option<Duration>) -> Result<(), BoxError> {
        self.stop_within(within).await.into_result()
    }

    /// Its members restart, each after what it needs.
    async fn restart(&self) -> Result<(), BoxError> {
        let graph = self.shared_graph();
        for member in graph.in_order() {
            if let Some(job) = GroupShared::claim_restart(&self.shared, graph.nodes[member].id) {
                job.perform().await;
            }
        }
        self.required_health().await
    }

    /// What it can do without does not make it unwell.
    async fn check(&self) -> Result<(), BoxError> {
        self.required_health().await
    }

    fn state(&self) -> State {
        Self::state(self)
    }

    /// What is down of it, and the group cannot do without, brings itself back up.
    fn is_recovering(&self) -> bool {
        let GroupStanding { own, roles, .. } = self.shared.standing();
        let members = own.into_iter().zip(roles).enumerate();
        let is_down = |state: State, role: Role| role == Role::Required && !state.is_healthy();
        let mut down = members
            .filter(|(_, (state, role))| is_down(*state, *role))
            .map(|(member, _)| member)
            .peekable();
        down.peek().is_some() && down.all(|member| self.shared.is_recovering(member))
    }

    /// Its members are given up that have not stopped, each before what it needs.
    fn abandon(&self) {
        self.shared.go_down(Some(Duration::ZERO));
        // Those that are being removed are not in the graph any more.
        for member in self.shared.book.with(|book| book.plan.not_stopped()) {
            self.shared.abandon(member);
        }
    }
}

impl<C: Clock, M: Members> Clone for Group<C, M> {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C: Clock, M: Members> Drop for Group<C, M> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.called_off.notify_all();
        }
    }
}

impl<C: Clock, M: Members> core::fmt::Debug for Group<C, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.shared.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
