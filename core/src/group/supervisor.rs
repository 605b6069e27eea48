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
use crate::Instant;
use crate::cause::{Cause, Told};
use crate::name::Name;
use crate::runtime::Timer;
use crate::sync::Text;

/// Watches over the members of a group while it runs, and restarts those that are down. If that happens too
/// often it gives up, and shuts the group down.
///
/// A member is down if it is in no [usable](crate::State::is_usable) state, or if its check has failed three
/// times in a row. A [`Managed`](crate::Managed) with a Runner recovers by itself; this is for members that do
/// not, and for those that need others to start anew.
///
/// An [optional](super::GroupBuilder::optional) member that is down is tried again alone at each look, whatever else is
/// to restart: those that come after it can do without it, and so can the group, which is not given up for it. One
/// that was added and has never been up is tried in the same way.
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
}

/// Which members restart when one is down.
///
/// Each [restarts](super::Lifecycle::restart) by itself, one after the other. So those that need the one that is down
/// stay up until that is back, and have to bear its absence; they are not stopped first, as Erlang's `rest_for_one`
/// does. A group can't do that: what a [`Managed`](crate::Managed), a [`Pool`](crate::Pool) or another group has stopped
/// is closed for good.
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
    /// That one, and after it all that need it.
    WithDependents,
    /// All, each after what it needs.
    All,
}

/// A supervisor gave up: members were down too often. The group was shut down.
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
    /// How often members were restarted within the window.
    pub restarts: usize,
    /// The window.
    pub window: Duration,
    /// What the member's last check or start said, if it said something.
    pub cause: Option<Cause>,
}

/// How many checks in a row a member may fail: Kubernetes' `failureThreshold`.
const FAIL_AFTER: u32 = 3;

impl<C: Timer, M: Members> Group<C, M> {
    /// Something that restarts members that are down. By default each alone, at most three within a minute, and it
    /// looks every ten seconds.
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
        }
    }
}

impl<C: Timer, M: Members> Supervisor<C, M> {
    /// Which members restart when one is down. Default that one alone.
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

    /// How often members may be down within `window` before it gives up. Default 3 within 60 s.
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

    /// How often it looks. Default every 10 s, as Kubernetes probes.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let group = Group::builder("service").add("db", managed).build(Virtual::default())?;
    /// let supervisor = group.supervisor().check_every(Duration::from_secs(1));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn check_every(mut self, interval: Duration) -> Self {
        self.check_every = interval;
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
    /// If members were down too often; the group is shut down then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch. A restart under way is dropped, and its member counts as failed.
    pub async fn run(self) -> Result<(), GaveUp> {
        let clock = self.group.shared.clock.clone();
        let mut failures: Vec<u32> = Vec::new();
        let mut incidents: VecDeque<Instant> = VecDeque::new();
        loop {
            let pause = clock.sleep_until(clock.now() + self.check_every);
            let Some(()) = self.until_down(pause).await else {
                return Ok(());
            };
            let look = self.look(&mut failures);
            let Some(down) = self.until_down(look).await else {
                return Ok(());
            };
            for (member, cause) in down {
                if !self.is_spare(member) {
                    let now = clock.now();
                    incidents.retain(|at| now - *at < self.window);
                    if incidents.len() >= self.most {
                        return Err(self.give_up(member, incidents.len(), cause).await);
                    }
                    incidents.push_back(now);
                }
                let restart = self.restart(member);
                let Some(()) = self.until_down(restart).await else {
                    return Ok(());
                };
            }
        }
    }

    /// The members that are down, and what they say.
    async fn look(&self, failures: &mut Vec<u32>) -> Vec<(usize, Option<Cause>)> {
        let shared = &self.group.shared;
        if !shared.book.with(|book| book.plan.is_running()) {
            return Vec::new();
        }
        let answers = self.group.ask().await;
        let (states, _) = shared.own_states();
        failures.resize(states.len(), 0);
        let mut down = Vec::new();
        for (member, state) in states.into_iter().enumerate() {
            let answer = answers.get(member).cloned().flatten();
            failures[member] = match answer {
                Some(_) => failures[member] + 1,
                None => 0,
            };
            let is_down = !state.is_usable() || failures[member] >= FAIL_AFTER;
            if is_down && shared.book.with(|book| book.plan.may_restart(member)) {
                failures[member] = 0;
                let start_error = || {
                    shared
                        .book
                        .with(|book| book.rows[member].start_error.clone())
                };
                down.push((member, answer.or_else(start_error)));
            }
        }
        down
    }

    /// Whether the group can do without a member: it is optional, or was added and has never been up.
    fn is_spare(&self, member: usize) -> bool {
        let book = &self.group.shared.book;
        book.with(|book| book.plan.role(member) == Role::Spare)
    }

    async fn restart(&self, member: usize) {
        let shared = &self.group.shared;
        let graph = shared.book.with(|book| book.graph.clone());
        let restarts = match self.is_spare(member) {
            true => Restarts::One,
            false => self.restarts,
        };
        for meant in restarts.meant(&graph, member) {
            if let Some(duty) = shared.claim_restart(meant) {
                duty.perform().await;
            }
        }
    }

    async fn give_up(&self, member: usize, restarts: usize, cause: Option<Cause>) -> GaveUp {
        let shared = &self.group.shared;
        let name = |book: &mut super::shared::Book| book.graph.nodes[member].name.clone();
        let member = shared.book.with(name);
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
                    let node = &graph.nodes[*reached];
                    let dependents = if node.optional { &[][..] } else { &node.before };
                    for dependent in dependents.iter().copied() {
                        if !meant.contains(&dependent) {
                            meant.push(dependent);
                        }
                    }
                    next += 1;
                }
            }
        }
        meant.retain(|member| !graph.nodes[*member].gone);
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
