//! What all handles of one group share.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::drive::StepJob;
use super::error::DependencyFailed;
use super::graph::{Graph, GraphError, Wanted};
use super::members::Members;
use super::plan::{Goal, Phase, Plan, PlanStep, Role};
use super::report::{GroupReport, MemberReport};
use crate::cause::Cause;
use crate::name::Name;
use crate::reporter::Reporter;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sink::Sink;
use crate::state::State;
use crate::sync::{self, Arc, AtomicUsize, Lock, Text};
use crate::time::Instant;

pub(crate) struct GroupShared<C: Clock, M: Members> {
    pub(crate) members: M,
    pub(crate) clock: C,
    pub(crate) name: Name,
    pub(crate) sink: Option<Sink>,
    pub(crate) book: Lock<GroupBook>,
    /// Tells whoever drives that there may be more to do, or nothing.
    pub(crate) changed: Signal,
    /// Has a start done in a task of its own, where there is a spawner.
    pub(crate) spawn: Option<fn(StepJob<C, M>)>,
    pub(crate) handles: AtomicUsize,
    /// Tells the starts in tasks of their own that they are called off.
    pub(crate) called_off: Signal,
}

/// How long one member may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLimits {
    pub(crate) start: Option<Duration>,
    pub(crate) stop: Option<Duration>,
}

impl GroupLimits {
    pub(crate) const DEFAULT: Self = Self {
        start: None,
        stop: Some(Duration::from_secs(30)),
    };
}

/// All that the lock guards.
pub(crate) struct GroupBook {
    pub(crate) graph: Arc<Graph>,
    pub(crate) plan: Plan,
    pub(crate) rows: Vec<Row>,
    pub(crate) limits: Vec<GroupLimits>,
    /// Numbers of members that were removed, have stopped and are forgotten.
    free: Vec<usize>,
    /// Where the removal of a member waits to be told how that stopped.
    removals: BTreeMap<usize, Removal>,
    /// The spawner has dropped a task that it never polled: its executor is gone.
    pub(crate) is_spawner_gone: bool,
    /// When all is to be down.
    pub(crate) deadline: Option<Instant>,
    down_since: Option<Instant>,
    down_at: Option<Instant>,
}

/// Where all members stand, at one moment.
pub(crate) struct GroupStanding {
    /// By themselves.
    pub(crate) own: Vec<State>,
    /// No better than what they require.
    pub(crate) states: Vec<State>,
    pub(crate) roles: Vec<Role>,
    pub(crate) graph: Arc<Graph>,
}

/// Where the removal of a member is told how that stopped.
#[derive(Clone, Default)]
pub(crate) struct Removal(Arc<Lock<Option<Row>>>);

impl Removal {
    pub(crate) fn is_over(&self) -> bool {
        self.0.with(|told| told.is_some())
    }

    pub(crate) fn take(&self) -> Row {
        self.0.with(Option::take).unwrap_or_default()
    }
}

/// What is known of one member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) started_in: Option<Duration>,
    pub(crate) stopped_in: Option<Duration>,
    pub(crate) start_error: Option<Cause>,
    pub(crate) stop_error: Option<Cause>,
}

impl Row {
    pub(crate) fn report(self, name: Text, state: State) -> MemberReport {
        MemberReport {
            name,
            state,
            started_in: self.started_in,
            stopped_in: self.stopped_in,
            start_error: self.start_error,
            stop_error: self.stop_error,
        }
    }
}

impl GroupBook {
    pub(crate) fn new(graph: Graph, plan: Plan, limits: Vec<GroupLimits>) -> Self {
        Self {
            rows: alloc::vec![Row::default(); graph.nodes.len()],
            graph: Arc::new(graph),
            plan,
            limits,
            free: Vec::new(),
            removals: BTreeMap::new(),
            is_spawner_gone: false,
            deadline: None,
            down_since: None,
            down_at: None,
        }
    }

    /// Takes in one more member, which starts at once if the others have. `keep` is given its number.
    pub(crate) fn add(
        &mut self,
        wanted: &Wanted,
        limits: GroupLimits,
        keep: impl FnOnce(usize),
    ) -> Result<(usize, u64), GraphError> {
        let member = self.free.last().copied().unwrap_or(self.rows.len());
        // Where nobody else has the graph it is changed in its place.
        Arc::make_mut(&mut self.graph).insert(wanted, member)?;
        if self.free.pop().is_some() {
            self.rows[member] = Row::default();
            self.limits[member] = limits;
        } else {
            self.rows.push(Row::default());
            self.limits.push(limits);
        }
        keep(member);
        self.plan.add(&self.graph, member);
        Ok((member, self.plan.id(member)))
    }

    /// Has a member stopped and forgotten, and says where it is told how that went.
    pub(crate) fn remove(&mut self, member: usize) -> Result<Removal, Vec<Text>> {
        Arc::make_mut(&mut self.graph).remove(member)?;
        let removal = Removal::default();
        self.removals.insert(member, removal.clone());
        self.plan.remove(member);
        Ok(removal)
    }

    /// A member has stopped and is forgotten: its number is free. Whoever removed it is told; what nobody asks for any
    /// more is handed out, to be dropped outside the lock.
    pub(crate) fn vacate(&mut self, member: usize) -> Option<Row> {
        self.free.push(member);
        let row = core::mem::take(&mut self.rows[member]);
        match self.removals.remove(&member) {
            Some(removal) => removal.0.with(|told| told.replace(row)),
            None => Some(row),
        }
    }

    /// Takes note of why members were held back. Hands out what their starts said before, to be dropped outside the lock.
    fn note_held_back(&mut self) -> Vec<Cause> {
        let held_back = self.plan.take_held_back().into_iter();
        held_back
            .filter_map(|(member, missing)| {
                let dependency = self.graph.nodes[missing].name.clone();
                let cause = Cause::new(DependencyFailed { dependency });
                self.rows[member].start_error.replace(cause)
            })
            .collect()
    }

    /// Takes note of when the way down began and ended.
    fn note_time(&mut self, now: Option<Instant>) {
        if self.plan.goal() == Goal::Down {
            self.down_since = self.down_since.or(now);
            if self.plan.is_settled() {
                self.down_at = self.down_at.or(now);
            }
        }
    }
}

impl<C: Clock, M: Members> GroupShared<C, M> {
    /// Runs `change` under the lock, then tells everybody.
    pub(crate) fn change<U>(&self, change: impl FnOnce(&mut GroupBook) -> U) -> U {
        let now = self.now();
        let (changed, turns_back, forgotten) = self.book.with(|book| {
            let before = book.plan.goal();
            let changed = change(book);
            book.note_time(now);
            let forgotten = book.note_held_back();
            let after = book.plan.goal();
            let turns_back = after == Goal::Down && before != Goal::Down;
            (changed, turns_back, forgotten)
        });
        drop(forgotten);
        if turns_back {
            self.called_off.notify_all();
        }
        self.changed.notify_all();
        changed
    }

    /// Whether starts are not to go on: all is to be down, or nobody has a handle any more.
    pub(crate) fn is_called_off(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
            || self.book.with(|book| book.plan.goal() == Goal::Down)
    }

    /// How to have a start done in a task, if that can be.
    pub(crate) fn spawner(&self) -> Option<fn(StepJob<C, M>)> {
        self.spawn
            .filter(|_| !self.book.with(|book| book.is_spawner_gone))
    }

    /// Somebody wants all down, within that time.
    pub(crate) fn go_down(&self, within: Option<Duration>) -> Option<Instant> {
        let deadline = self.now().zip(within).map(|(now, within)| now + within);
        self.change(|book| {
            book.plan.go_down();
            // Who has less time than those before speaks for all.
            book.deadline = [book.deadline, deadline].into_iter().flatten().min();
        });
        deadline
    }

    /// The next thing to do, if there is one.
    pub(crate) fn claim(this: &Arc<Self>) -> Option<StepJob<C, M>> {
        let now = this.now();
        this.book.with(|book| {
            let step = book.plan.next()?;
            let within = match step {
                PlanStep::Start(member) | PlanStep::Restart { member, .. } => {
                    book.limits[member].start
                }
                PlanStep::Stop { member, chain, .. } => {
                    let own = book.limits[member].stop;
                    let left = book.deadline.zip(now).map(|(at, now)| at - now);
                    let share = left.map(|left| left / u32::try_from(chain).unwrap_or(u32::MAX));
                    [own, share].into_iter().flatten().min()
                }
            };
            Some(StepJob::new(this, step, within))
        })
    }

    /// The restart of a member, unless it is to stop or does not rest. One that was held back is started, if what it
    /// requires is usable.
    pub(crate) fn claim_restart(this: &Arc<Self>, id: u64) -> Option<StepJob<C, M>> {
        let (member, is_held_back, graph) = this.book.with(|book| {
            let member = book.graph.with_id(id)?;
            let is_held_back = book.plan.is_held_back(member);
            Some((member, is_held_back, book.graph.clone()))
        })?;
        if is_held_back {
            let (states, _) = this.own_states();
            let mut requires = graph.nodes[member].requires.iter();
            if requires.any(|needed| !states[*needed].is_usable()) {
                return None;
            }
        }
        let (step, within) = this.change(|book| {
            // Others may have removed it meanwhile.
            let member = book.graph.with_id(id)?;
            let step = book.plan.restart(member)?;
            Some((step, book.limits[member].start))
        })?;
        Some(StepJob::new(this, step, within))
    }

    /// Takes note of those of the members, whose start has failed, that have come up without another.
    pub(crate) fn note_arrivals(&self, names: &[Text]) {
        let failed = self.book.with(|book| {
            let mut members: Vec<usize> = names
                .iter()
                .filter_map(|name| book.graph.number(name))
                .collect();
            members.retain(|member| book.plan.phase(*member) == Phase::Failed);
            members
        });
        if failed.is_empty() {
            return;
        }
        let (states, _) = self.own_states();
        self.change(|book| {
            for member in failed {
                if states[member].is_usable() {
                    book.plan.came_up(member);
                }
            }
        });
    }

    /// Whether the last start or restart of a member has succeeded.
    pub(crate) fn is_up(&self, id: u64) -> bool {
        self.is_so(id, |plan, member| plan.phase(member) == Phase::Up)
    }

    /// Whether a member was held back and has not been started since.
    pub(crate) fn is_held_back(&self, id: u64) -> bool {
        self.is_so(id, Plan::is_held_back)
    }

    fn is_so(&self, id: u64, is_so: impl FnOnce(&Plan, usize) -> bool) -> bool {
        self.book.with(|book| {
            let member = book.graph.with_id(id);
            member.is_some_and(|member| is_so(&book.plan, member))
        })
    }

    /// What a member says of itself. One that panics is taken to be down.
    fn state_of(&self, member: usize) -> State {
        self.contain(member, "state", || self.members.state(member))
            .unwrap_or(State::Error)
    }

    /// Returns `true` while a member brings itself back up.
    pub(crate) fn is_recovering(&self, member: usize) -> bool {
        self.contain(member, "is_recovering", || {
            self.members.is_recovering(member)
        })
        .unwrap_or(false)
    }

    /// Abandons what a member's stop has not undone.
    pub(crate) fn abandon(&self, member: usize) {
        let abandoned = self.contain(member, "abandon", || self.members.abandon(member));
        abandoned.unwrap_or(());
    }

    /// Drops a member that was removed and has stopped, and gives its number to the next.
    pub(crate) fn forget(&self, member: usize) {
        let forgotten = self.contain(member, "drop", || self.members.forget(member));
        forgotten.unwrap_or(());
        let unasked = self.change(|book| book.vacate(member));
        drop(unasked);
    }

    /// Runs code of a member's that can answer with no error. A panic is contained, and reported as an event.
    fn contain<U>(&self, member: usize, phase: &'static str, ask: impl FnOnce() -> U) -> Option<U> {
        match sync::contain(ask) {
            Ok(answer) => Some(answer),
            Err(message) => {
                self.swallowed(member, phase, message);
                None
            }
        }
    }

    /// Reports a panic that has no caller to return to.
    pub(crate) fn swallowed(&self, member: usize, phase: &'static str, message: String) {
        let name = self.book.with(|book| book.graph.nodes[member].name.clone());
        let reporter = Reporter {
            name: self.name.within(Name::new(name)),
            sink: self.sink.clone(),
        };
        reporter.swallowed(&self.clock, phase, message);
    }

    /// Where each member stands by itself, in the order of their numbers.
    pub(crate) fn own_states(&self) -> (Vec<State>, Arc<Graph>) {
        let (phases, graph) = self.book.with(|book| {
            let members = 0..book.rows.len();
            let phases: Vec<Phase> = members.map(|member| book.plan.phase(member)).collect();
            (phases, book.graph.clone())
        });
        let own = |member: usize| match phases[member] {
            Phase::Idle => State::Uninitialized,
            Phase::Starting => State::Initializing,
            Phase::Up => self.state_of(member),
            Phase::Failed => self.state_of_failed(member),
            Phase::Stopping => State::Closing,
            Phase::Stopped => State::Closed,
        };
        ((0..phases.len()).map(own).collect(), graph)
    }

    /// Who may be used without its group may have come up without it: by its own Runner, or for somebody who asked.
    fn state_of_failed(&self, member: usize) -> State {
        let knows = self.members.is_always_stopped(member);
        let own = knows.then(|| self.state_of(member));
        own.filter(|state| state.is_usable())
            .unwrap_or(State::Error)
    }

    /// Where each member stands, by itself and with what it requires, and what it is to the group. One that is down for
    /// nothing else than that something is down which the group can do without, is spare as well.
    pub(crate) fn standing(&self) -> GroupStanding {
        let (own, graph) = self.own_states();
        let mut states = own.clone();
        let mut roles: Vec<Role> = self.book.with(|book| {
            let members = 0..states.len();
            members.map(|member| book.plan.role(member)).collect()
        });
        for member in graph.in_order() {
            for needed in &graph.nodes[member].requires {
                if !states[member].is_usable() || states[*needed].is_healthy() {
                    continue;
                }
                states[member] = match states[*needed] {
                    State::Degraded => State::Degraded,
                    _ => State::Error,
                };
                let is_down = !states[member].is_usable();
                if is_down && roles[member] == Role::Required && roles[*needed] == Role::Spare {
                    roles[member] = Role::Spare;
                }
            }
        }
        GroupStanding {
            own,
            states,
            roles,
            graph,
        }
    }

    /// Where the group stands.
    pub(crate) fn state(&self) -> State {
        let (goal, settled) = self.book.with(|book| match book.plan.goal() {
            Goal::Up => (Goal::Up, book.plan.are_required_settled()),
            goal => (goal, book.plan.is_settled()),
        });
        match (goal, settled) {
            (Goal::Rest, _) => State::Uninitialized,
            (Goal::Up, false) => State::Initializing,
            (Goal::Down, false) => State::Closing,
            (Goal::Down, true) => State::Closed,
            (Goal::Up, true) => {
                let GroupStanding {
                    states,
                    roles,
                    graph,
                    ..
                } = self.standing();
                let members = states.iter().zip(&graph.nodes).zip(&roles);
                let members = members.filter(|((_, node), _)| !node.gone);
                let members = members.map(|((state, _), role)| (state, role));
                let mut members = members.filter(|(_, role)| **role != Role::Joins);
                if members.clone().all(|(state, _)| state.is_healthy()) {
                    State::Ready
                } else if members.all(|(state, role)| *role == Role::Spare || state.is_usable()) {
                    State::Degraded
                } else {
                    State::Error
                }
            }
        }
    }

    pub(crate) fn report(&self) -> GroupReport {
        let GroupStanding {
            own, states, graph, ..
        } = self.standing();
        let now = self.now();
        let (rows, took) = self.book.with(|book| {
            let until = book.down_at.or(now);
            let took = book.down_since.zip(until).map(|(from, until)| until - from);
            (book.rows.clone(), took)
        });
        let row = |member: usize| {
            let name = graph.nodes[member].name.clone();
            let mut report = rows[member].clone().report(name, states[member]);
            // One that has come up since, by itself, is not shown as one that did not start.
            if own[member].is_usable() {
                report.start_error = None;
            }
            report
        };
        GroupReport {
            name: self.name.clone(),
            took,
            members: graph.present().into_iter().map(row).collect(),
        }
    }

    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }
}
