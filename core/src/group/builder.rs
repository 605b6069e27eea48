//! Putting a group together at run time.

use alloc::vec::Vec;
use core::time::Duration;

use super::Group;
use super::drive::StepJob;
use super::erased::{ErasedMembers, LocalMember, LocalMembers, Member};
use super::graph::{Graph, GraphError, Wanted};
use super::members::Members;
use super::plan::Plan;
use super::shared::{GroupBook, GroupLimits, GroupShared};
use crate::name::{Name, redacted};
use crate::runtime::{Clock, Spawn, Timer};
use crate::signal::Signal;
use crate::sink::Sink;
use crate::sync::{Arc, AtomicUsize, Lock, Text};

/// Gathers the members of a [`Group`].
///
/// What is said after [`add`](GroupBuilder::add) is said of the member that was added last.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// let group = Group::builder("service")
///     .add("db", managed)
///     .add("sessions", pool)
///     .after("db")
///     .stop_timeout(Duration::from_secs(5))
///     .build(Virtual::default())?;
/// # Ok::<(), BoxError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct GroupBuilder<B = Member> {
    name: Name,
    members: Vec<B>,
    wanted: Vec<Wanted>,
    limits: Vec<GroupLimits>,
    most_at_once: Option<usize>,
    sink: Option<Sink>,
}

impl<B> GroupBuilder<B> {
    pub(super) fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: Name::new(name),
            members: Vec::new(),
            wanted: Vec::new(),
            limits: Vec::new(),
            most_at_once: None,
            sink: None,
        }
    }

    /// Adds a member: a [`Managed`](crate::Managed), a [`Pool`](crate::Pool), another group, or whatever has a
    /// [`Lifecycle`](super::Lifecycle). Keep a clone to use it, or ask the group for it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("db", managed.clone());
    /// ```
    pub fn add(mut self, name: impl Into<Text>, member: impl Into<B>) -> Self {
        self.members.push(member.into());
        self.wanted.push(Wanted::new(name));
        self.limits.push(GroupLimits::DEFAULT);
        self
    }

    /// Declares that the member that was added last requires `name`: it starts once that is up, and stops before it.
    ///
    /// If `name` is [optional](GroupBuilder::optional) and does not come up, the member is not started either, and its
    /// [report](super::MemberReport) says so with a [`DependencyFailed`](super::DependencyFailed). Like the optional member
    /// itself that does not fail the group, which is [`Degraded`](crate::State::Degraded) then; a
    /// [supervisor](super::Supervisor) starts both once it can. For what the member can do without, take
    /// [`wants`](GroupBuilder::wants). The two are systemd's `Requires=` and `Wants=`, each with `After=`.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("db", managed.clone()).add("api", managed).after("db");
    /// ```
    pub fn after(mut self, name: impl Into<Text>) -> Self {
        if let Some(member) = self.wanted.last_mut() {
            member.after.push(redacted(name.into()));
        }
        self
    }

    /// Declares that the member that was added last uses `name` and can do without it: it starts once that has been
    /// started, be it well or not, stops before it, and stays usable while it is down.
    ///
    /// If the group cannot do without `name`, a start is the same as with [`after`](GroupBuilder::after).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service")
    ///     .add("cache", pool)
    ///     .optional()
    ///     .add("api", managed.clone())
    ///     .wants("cache")
    ///     .add("worker", managed)
    ///     .after("cache")
    ///     .build(Virtual::default())?;
    /// let text = group.graph().to_string();
    /// assert_eq!(text, "1. cache (optional)\n2. api (wants cache), worker (after cache)\n");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn wants(mut self, name: impl Into<Text>) -> Self {
        if let Some(member) = self.wanted.last_mut() {
            member.wants.push(redacted(name.into()));
        }
        self
    }

    /// Declares that the group can do without the member that was added last: if it fails to start, the group is
    /// [`Degraded`](crate::State::Degraded), and what [requires](GroupBuilder::after) it is not started.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("cache", pool).optional();
    /// ```
    pub fn optional(mut self) -> Self {
        if let Some(member) = self.wanted.last_mut() {
            member.optional = true;
        }
        self
    }

    /// How long the start of the member that was added last may take. Default no limit but its own.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("db", managed).start_timeout(Duration::from_secs(20));
    /// ```
    pub fn start_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        if let Some(limits) = self.limits.last_mut() {
            limits.start = timeout.into();
        }
        self
    }

    /// How long the stop of the member that was added last may take, at most. Default 30 s, as Kubernetes
    /// gives a pod. A shutdown that has less time in all gives each member its share.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("db", managed).stop_timeout(Duration::from_secs(5));
    /// ```
    pub fn stop_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        if let Some(limits) = self.limits.last_mut() {
            limits.stop = timeout.into();
        }
        self
    }

    /// How many members start, or stop, at once. Default as many as can; 1 makes it one after the other.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let builder = Group::builder("service").add("db", managed).most_at_once(1);
    /// ```
    pub fn most_at_once(mut self, members: impl Into<Option<usize>>) -> Self {
        self.most_at_once = members.into().map(|most: usize| most.max(1));
        self
    }

    /// Sets where the group reports panics of its members that have no caller to return to, such as one in
    /// [`Lifecycle::state`](super::Lifecycle::state). By default nowhere.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let sink = std::sync::Arc::new(|event: &Event<'_>| println!("{event}"));
    /// let builder = Group::builder("service").add("db", managed).events(sink);
    /// ```
    pub fn events(mut self, sink: impl Into<Sink>) -> Self {
        self.sink = Some(sink.into());
        self
    }

    pub(super) fn finish<C: Clock, M: Members>(
        self,
        clock: C,
        members: impl FnOnce(Vec<B>) -> M,
        spawn: Option<fn(StepJob<C, M>)>,
    ) -> Result<Group<C, M>, GraphError> {
        let graph = Graph::new(&self.wanted)?;
        let plan = Plan::new(&graph, self.most_at_once);
        Ok(Group {
            shared: Arc::new(GroupShared {
                members: members(self.members),
                clock,
                name: self.name,
                sink: self.sink,
                book: Lock::new(GroupBook::new(graph, plan, self.limits)),
                changed: Signal::new(),
                spawn,
                handles: AtomicUsize::new(1),
                called_off: Signal::new(),
            }),
        })
    }
}

impl<B> core::fmt::Debug for GroupBuilder<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GroupBuilder")
            .field("name", &self.name)
            .field("members", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl GroupBuilder<Member> {
    /// Builds the group. Nothing is spawned: whoever awaits its start or its shutdown drives it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// // With a runtime: `.build(Tokio::current())`.
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// If two members have one name, one needs what there is not, or some need each other in a circle.
    pub fn build<C: Clock>(self, clock: C) -> Result<Group<C>, GraphError> {
        self.finish(clock, ErasedMembers::new, None)
    }

    /// Builds the group on a runtime that spawns: each member starts in a task of its own, so that many starts use
    /// all cores, and one that is woken costs the others nothing.
    ///
    /// Take it for a group of many members, or of members that do much while they start.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # let rt = Runtime;
    /// // With a runtime: `.build_spawning(Tokio::current())`.
    /// let group = Group::builder("service").add("db", managed).build_spawning(rt)?;
    /// block_on(group.start())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build`](GroupBuilder::build).
    pub fn build_spawning<T>(self, runtime: T) -> Result<Group<T>, GraphError>
    where
        T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
    {
        self.finish(runtime, ErasedMembers::new, Some(spawn))
    }
}

impl GroupBuilder<LocalMember> {
    /// Builds a group of members that stay on one thread.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::local_builder("service").add("db", managed).build_local(Virtual::default())?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`build`](GroupBuilder::build).
    pub fn build_local<C: Clock>(self, clock: C) -> Result<Group<C, LocalMembers>, GraphError> {
        self.finish(clock, LocalMembers::new, None)
    }
}

fn spawn<T>(start: StepJob<T, ErasedMembers>)
where
    T: Timer<Sleep: Send + 'static> + Spawn + Send + Sync + 'static,
{
    let runtime = start.shared.clock.clone();
    runtime.spawn(start.perform_in_task());
}
