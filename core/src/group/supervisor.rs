//! Restarting members of a group that are down.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use super::Group;
use super::graph::Graph;
use super::members::Members;
use super::plan::{Goal, Role};
use super::shared::{GroupShared, GroupStanding};
use super::watched::{MemberCondition, MemberWatch};
use crate::backoff::{Backoff, Delays, Jitter};
use crate::cause::{Cause, Told};
use crate::name::Name;
use crate::runtime::Timer;
use crate::sync::Text;

/// Watches over the members of a group while it runs, and restarts those that are down and do not recover by
/// themselves. If members come up and fail again too often it gives up, and shuts the group down.
///
/// A member is down if it is in no [usable](crate::State::is_usable) state, or if its check has failed three
/// times in a row. It is left alone as long as it [recovers by itself](super::Lifecycle::is_recovering), as a
/// [`Managed`](crate::Managed) or a [`Pool`](crate::Pool) with a Runner does, and as long as a member that it needs is
/// down or not well: what is wrong with it may be no more than that.
///
/// The first restart of a member comes at once, further ones after a [backoff](Supervisor::backoff). Only a member that
/// came up and failed again counts against the [intensity](Supervisor::intensity); an outage that keeps a member from
/// coming back does not, however long it is.
///
/// Erlang's supervisors restart at once, count each restart that fails, and give up: a process that cannot
/// start there is taken to have a bug, and a supervisor higher up starts afresh with more of the system. What a
/// service waits for is most often another machine. To give up the service ends what could still be served, and whoever
/// starts it again meets the same outage. Kubernetes restarts a container after a backoff and never gives up;
/// systemd gives up by default after five starts within ten seconds.
///
/// An [optional](super::GroupBuilder::optional) member that is down is tried again as well; the group can do without it,
/// and is not given up for it. What only [wants](super::GroupBuilder::wants) it is left alone, and what requires it and
/// was not started for want of it starts once it is up, whatever else is to restart. One that was added and has never
/// been up is tried in the same way.
///
/// A restart may take as long as the member's [start](super::GroupBuilder::start_timeout) may. Give those a
/// limit that have none of their own: members restart one after the other.
///
/// It is background work as a value: spawn its [`run`](Supervisor::run), or await it.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// use tenure_core::group::Restarts;
/// # block_on(async {
/// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
/// group.start().await?;
/// let supervisor = group.supervisor().restarts(Restarts::WithDependents).intensity(3, Duration::from_secs(60));
/// let watching = supervisor.run(); // To be spawned.
/// group.close().await;
/// watching.await?;
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing is watched until `run`"]
pub struct Supervisor<C: Timer, M: Members> {
    group: Group<C, M>,
    restarts: Restarts,
    most: usize,
    window: Duration,
    check_every: Duration,
    backoff: Backoff,
}

/// Which members restart when one is down.
///
/// Each [restarts](super::Lifecycle::restart) by itself, one after the other. So those that need the one that is down
/// stay up until that is back, and have to bear its absence; they are not stopped first, as Erlang's `rest_for_one`
/// does. A group can't do that: what a [`Managed`](crate::Managed), a [`Pool`](crate::Pool) or another group has stopped
/// is closed for good.
///
/// Those that need a member restart once that is back, be it by a restart or by itself.
///
/// ```
/// use tenure_core::group::Restarts;
/// assert_eq!(Restarts::default(), Restarts::One);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restarts {
    /// That one.
    #[default]
    One,
    /// That one, and after it all that require it.
    WithDependents,
    /// All, each after what it needs.
    All,
}

/// A supervisor gave up: members came up and failed again too often. The group was shut down.
///
/// ```
/// # fn show(error: tenure_core::group::GaveUp) {
/// eprintln!("{error}");
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GaveUp {
    /// The group's name.
    pub group: Name,
    /// The member that was down last.
    pub member: Text,
    /// Number of restarts within the window of members that had come up and failed again.
    pub restarts: usize,
    /// The window.
    pub window: Duration,
    /// What the member's last check or start said, if it said something.
    pub cause: Option<Cause>,
}

/// How many checks in a row a member may fail: Kubernetes' `failureThreshold`.
const FAIL_AFTER: u32 = 3;

/// It looks no more often than this, as the sweeps of a pool.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Up to a minute, half of each pause random: see [`Supervisor::backoff`].
const RESTART_BACKOFF: Backoff = Backoff::exponential(Duration::from_secs(1))
    .cap(Duration::from_secs(60))
    .jitter(Jitter::Equal);

impl<C: Timer, M: Members> Group<C, M> {
    /// Makes a supervisor, which restarts members that are down. By default it looks every ten seconds, restarts each
    /// alone, and gives up when members have come up and failed again more than three times within a minute.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let supervisor = group.supervisor();
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn supervisor(&self) -> Supervisor<C, M> {
        Supervisor {
            group: self.clone(),
            restarts: Restarts::One,
            most: 3,
            window: Duration::from_secs(60),
            check_every: Duration::from_secs(10),
            backoff: RESTART_BACKOFF,
        }
    }
}

impl<C: Timer, M: Members> Supervisor<C, M> {
    /// Sets which members restart when one is down. Default that one alone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # use tenure_core::group::Restarts;
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let supervisor = group.supervisor().restarts(Restarts::All);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn restarts(mut self, restarts: Restarts) -> Self {
        self.restarts = restarts;
        self
    }

    /// Sets how often members may come up and fail again within `window` before the supervisor gives up. Default 3
    /// within 60 s.
    ///
    /// Erlang's default is 1 within 5 s, and counts each restart. systemd's is 5 starts within 10 s. Neither waits
    /// between restarts in a way that would make a longer window necessary.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let supervisor = group.supervisor().intensity(5, Duration::from_secs(30));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn intensity(mut self, most: usize, window: Duration) -> Self {
        (self.most, self.window) = (most, window);
        self
    }

    /// Sets the pause before a member restarts again. The first restart comes at once; a member that has been well
    /// for the window of the [intensity](Supervisor::intensity) begins anew. Default 1 s, doubled each time up to
    /// 60 s, half of it random, so that the replicas of a service do not restart in step.
    ///
    /// Kubernetes waits 10 s, doubled up to 5 min, and begins anew after 10 min; Akka's documentation takes 3 s up to 30 s,
    /// a fifth of it random; systemd waits 100 ms each time, and Erlang does not wait. A minute at most means that what
    /// a member waited for is used again within a minute of its return.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let backoff = Backoff::exponential(Duration::from_secs(5)).cap(Duration::from_secs(300));
    /// let supervisor = group.supervisor().backoff(backoff);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how often it looks. Default every 10 s, as Kubernetes probes. Anything below a millisecond counts as one.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let supervisor = group.supervisor().check_every(Duration::from_secs(1));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn check_every(mut self, interval: Duration) -> Self {
        self.check_every = interval.max(SHORTEST_INTERVAL);
        self
    }

    /// Watches over the group until it is shut down.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// group.close().await;
    /// assert!(group.supervisor().run().await.is_ok());
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If members came up and failed again too often; the group is shut down then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch. A restart under way is dropped, and its member counts as failed.
    pub async fn run(self) -> Result<(), GaveUp> {
        let clock = self.group.shared.clock.clone();
        let mut watch = MemberWatch::new(self.window);
        let mut look_at = clock.now() + self.check_every;
        loop {
            let next = watch.next_restart().map_or(look_at, |at| at.min(look_at));
            let Some(()) = self.until_down(clock.sleep_until(next)).await else {
                return Ok(());
            };
            if clock.now() >= look_at {
                let Some(()) = self.until_down(self.look(&mut watch)).await else {
                    return Ok(());
                };
                look_at = clock.now() + self.check_every;
            }
            for id in watch.take_returned() {
                let dependents = self.restart(&mut watch, id, Reach::Dependents);
                let Some(()) = self.until_down(dependents).await else {
                    return Ok(());
                };
            }
            for id in watch.take_due(clock.now()) {
                // It may have come back since it was looked at, or was removed, or what it needs may be down by now.
                let standing = self.group.shared.standing();
                let member = standing.graph.with_id(id);
                let is_down = |member: &usize| {
                    self.condition(&watch, &standing, *member) == MemberCondition::Down
                };
                let Some(member) = member.filter(is_down) else {
                    continue;
                };
                let is_spare = standing.roles[member] == Role::Spare;
                let most = (!is_spare).then_some(self.most);
                let reach = match watch.count(id, clock.now(), most) {
                    Ok(true) => Reach::Meant,
                    Ok(false) => Reach::Again,
                    Err(restarts) => return Err(self.give_up(&watch, id, restarts).await),
                };
                let restart = self.restart(&mut watch, id, reach);
                let Some(()) = self.until_down(restart).await else {
                    return Ok(());
                };
            }
        }
    }

    /// Asks all members how they are, and decides what is to restart.
    async fn look(&self, watch: &mut MemberWatch) {
        let shared = &self.group.shared;
        if !shared.book.with(|book| book.plan.is_running()) {
            return;
        }
        let mut answers = self.group.ask().await;
        let standing = shared.standing();
        let graph = &standing.graph;
        watch.retain(|id| graph.with_id(id).is_some());
        let members = graph.in_order();
        for member in members.iter().copied() {
            let id = graph.nodes[member].id;
            let is_up = shared.is_up(id);
            watch.note(id, is_up, answers.remove(&id));
        }
        let now = shared.clock.now();
        for member in members {
            let condition = self.condition(watch, &standing, member);
            watch.judge(graph.nodes[member].id, condition, now, || self.delays());
        }
    }

    /// Decides what a member's state and its last checks deserve.
    fn condition(
        &self,
        watch: &MemberWatch,
        standing: &GroupStanding,
        member: usize,
    ) -> MemberCondition {
        let shared = &self.group.shared;
        let GroupStanding {
            own, states, graph, ..
        } = standing;
        let id = |member: usize| graph.nodes[member].id;
        if own[member].is_usable() && watch.failures(id(member)) < FAIL_AFTER {
            return MemberCondition::Up;
        }
        let mut requires = graph.nodes[member].requires.iter().copied();
        if requires.any(|needed| !states[needed].is_usable() || watch.is_ailing(id(needed))) {
            return MemberCondition::Lacks;
        }
        let restarts = shared.book.with(|book| book.plan.may_restart(member));
        if restarts && !shared.is_recovering(member) {
            MemberCondition::Down
        } else {
            MemberCondition::Recovers
        }
    }

    /// The pauses before a member's restarts, from the first that follows another on.
    fn delays(&self) -> Delays {
        self.backoff.delays(self.group.shared.clock.entropy())
    }

    /// Restarts a member and those that are to restart with it, as far as that reaches. What needs one that does not
    /// come up is left as it is until that is back.
    async fn restart(&self, watch: &mut MemberWatch, id: u64, reach: Reach) {
        let shared = &self.group.shared;
        let graph = self.group.shared_graph();
        let Some(member) = graph.with_id(id) else {
            return;
        };
        let is_spare = shared
            .book
            .with(|book| book.plan.role(member) == Role::Spare);
        let restarts = match (self.restarts, reach) {
            (Restarts::All, Reach::Again | Reach::Dependents) => Restarts::WithDependents,
            (Restarts::All, _) if is_spare => Restarts::WithDependents,
            (restarts, _) => restarts,
        };
        let mut missing: Vec<usize> = Vec::new();
        let mut reached = VecDeque::from(restarts.meant(&graph, member));
        while let Some(meant) = reached.pop_front() {
            let mut needs = graph.nodes[meant].requires.iter();
            if needs.any(|needed| missing.contains(needed)) {
                missing.push(meant);
                continue;
            }
            if meant != member || reach != Reach::Dependents {
                let id = graph.nodes[meant].id;
                let Some(job) = GroupShared::claim_restart(shared, id) else {
                    continue;
                };
                job.perform().await;
                let is_up = shared.is_up(id);
                watch.restarted(id, is_up, shared.clock.now(), || self.delays());
                if !is_up {
                    missing.push(meant);
                    continue;
                }
            }
            // Those that could not be started without it can be now.
            let dependents = graph.nodes[meant].before.iter().copied();
            for member in dependents {
                let is_held_back = shared.is_held_back(graph.nodes[member].id);
                if is_held_back && !reached.contains(&member) {
                    reached.push_back(member);
                }
            }
        }
    }

    async fn give_up(&self, watch: &MemberWatch, id: u64, restarts: usize) -> GaveUp {
        let shared = &self.group.shared;
        let (member, start_error) = shared.book.with(|book| match book.graph.with_id(id) {
            Some(member) => (
                book.graph.nodes[member].name.clone(),
                book.rows[member].start_error.clone(),
            ),
            None => (Text::Borrowed("a member"), None),
        });
        let cause = watch.cause(id).or(start_error);
        self.group.close().await;
        GaveUp {
            group: shared.name.clone(),
            member,
            restarts,
            window: self.window,
            cause,
        }
    }

    /// What the future gives, or nothing once the group is on its way down: then the future is dropped.
    async fn until_down<F: Future>(&self, future: F) -> Option<F::Output> {
        let shared = &self.group.shared;
        let mut future = pin!(future);
        let mut change = None;
        poll_fn(|cx| {
            loop {
                let listener = change.get_or_insert_with(|| shared.changed.listen());
                let changed = Pin::new(listener).poll(cx).is_ready();
                if changed {
                    change = None;
                }
                if shared.book.with(|book| book.plan.goal() == Goal::Down) {
                    return Poll::Ready(None);
                }
                if !changed {
                    return future.as_mut().poll(cx).map(Some);
                }
            }
        })
        .await
    }
}

/// How many members a restart reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All that are to restart when the member is down.
    Meant,
    /// It did not come up at the last restart, which reached the others: itself, and those that wait for it.
    Again,
    /// It came back by itself: those that need it.
    Dependents,
}

impl Restarts {
    /// The members that restart when this one is down, each after what it needs.
    fn meant(self, graph: &Graph, member: usize) -> Vec<usize> {
        let mut meant = alloc::vec![member];
        match self {
            Self::One => {}
            Self::All => meant = graph.in_order(),
            Self::WithDependents => {
                let mut next = 0;
                while let Some(reached) = meant.get(next) {
                    let reached = *reached;
                    for dependent in graph.nodes[reached].before.iter().copied() {
                        let requires = graph.nodes[dependent].requires.contains(&reached);
                        if requires && !meant.contains(&dependent) {
                            meant.push(dependent);
                        }
                    }
                    next += 1;
                }
            }
        }
        meant.sort_by_key(|member| graph.nodes[*member].depth);
        meant
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            member,
            restarts,
            window,
            cause,
        } = self;
        write!(
            f,
            "{group} was given up: {restarts} restarts within {window:?}, and {member} is down"
        )?;
        let cause = cause.as_ref();
        cause.map_or(Ok(()), |cause| write!(f, ": {}", Told(cause)))
    }
}

impl Error for GaveUp {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(Cause::as_source)
    }
}
