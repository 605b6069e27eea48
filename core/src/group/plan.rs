//! What is to start or to stop next: a plan without any IO.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::graph::{self, Graph};

#[cfg(test)]
mod tests;

/// Where the members of a group stand, and what may happen next.
///
/// It takes what happened and says what to do, and does none of it. Members start once all that they come after have
/// settled. One that requires an optional one that failed is held back: it counts as failed, without a start. When a
/// required one fails, or somebody wants all down, what had begun is stopped, each member once all that need it have stopped.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    nodes: Vec<Node>,
    goal: Goal,
    most_at_once: usize,
    under_way: usize,
    /// What can begin now, for the goal.
    ready: VecDeque<usize>,
    /// How many members have not come to where the goal has them.
    unsettled: usize,
    culprit: Option<usize>,
    /// Those that were held back, each with what it requires, until that is taken note of.
    held_back: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
struct Node {
    id: u64,
    after: Vec<usize>,
    requires: Vec<usize>,
    before: Vec<usize>,
    optional: bool,
    /// It was added, or restarted, while the group ran: its failure to start is its own.
    on_trial: bool,
    role: Role,
    depth: usize,
    phase: Phase,
    /// How many others have to settle first.
    blocked_by: usize,
    begun: bool,
    /// It has failed for no other reason than that something it requires is not up.
    held_back: bool,
    /// It is to be stopped and forgotten, whatever becomes of the others.
    leaves: bool,
    gone: bool,
}

/// Where all members are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Rest,
    Up,
    Down,
}

/// What a member is to its group, once that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The group cannot do without it.
    Required,
    /// It can.
    Spare,
    /// It was added, and has not answered yet: the group is what it was before.
    Joins,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Starting,
    Up,
    Failed,
    Stopping,
    Stopped,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanStep {
    Start(usize),
    /// Only on somebody's word.
    Restart {
        member: usize,
        /// Whether it was started before. If not, it is to be started now.
        begun: bool,
    },
    Stop {
        member: usize,
        /// Whether its start had begun, however that ended.
        begun: bool,
        /// How many members of the longest chain from here on are still to be stopped, this one included.
        chain: usize,
    },
}

impl Plan {
    pub(crate) fn new(graph: &Graph, most_at_once: Option<usize>) -> Self {
        let nodes = graph.nodes.iter().map(|node| Node::new(node, false));
        Self {
            nodes: nodes.collect(),
            goal: Goal::Rest,
            most_at_once: most_at_once.unwrap_or(usize::MAX),
            under_way: 0,
            ready: VecDeque::new(),
            unsettled: 0,
            culprit: None,
            held_back: Vec::new(),
        }
    }

    pub(crate) const fn goal(&self) -> Goal {
        self.goal
    }

    pub(crate) fn phase(&self, member: usize) -> Phase {
        self.nodes[member].phase
    }

    /// The required member whose failure brought the group down.
    pub(crate) const fn culprit(&self) -> Option<usize> {
        self.culprit
    }

    /// Whether all members have come to where the goal has them.
    pub(crate) const fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// What a member is to its group.
    pub(crate) fn role(&self, member: usize) -> Role {
        let node = &self.nodes[member];
        if node.held_back {
            Role::Spare
        } else {
            node.role
        }
    }

    /// Hands out those that were held back since, each with what it requires that is not up.
    pub(crate) fn take_held_back(&mut self) -> Vec<(usize, usize)> {
        core::mem::take(&mut self.held_back)
    }

    /// Whether a member was held back and has not been started since.
    pub(crate) fn is_held_back(&self, member: usize) -> bool {
        self.nodes[member].held_back
    }

    /// A member whose start had failed has come up without another.
    pub(crate) fn came_up(&mut self, member: usize) {
        if self.nodes[member].phase == Phase::Failed && self.may_restart(member) {
            self.update(member, |node| node.answered(true));
        }
    }

    /// Whether all members have come there that the group cannot do without. Those that come and go count for nothing.
    pub(crate) fn are_required_settled(&self) -> bool {
        let counts = |node: &&Node| node.role == Role::Required && !node.leaves;
        let mut required = self.nodes.iter().filter(counts);
        self.is_settled() || !required.any(|node| node.is_unsettled(self.goal))
    }

    /// Whether the group has started, whoever comes and goes since.
    pub(crate) fn is_running(&self) -> bool {
        let counts = |node: &&Node| node.role != Role::Joins && !node.leaves;
        let mut old = self.nodes.iter().filter(counts);
        self.goal == Goal::Up && !old.any(|node| node.is_unsettled(self.goal))
    }

    /// Whether all are up, and stay so.
    pub(crate) fn is_up(&self) -> bool {
        self.goal == Goal::Up && self.is_settled()
    }

    /// Whether a member has come to where the goal has it.
    pub(crate) fn is_member_settled(&self, member: usize) -> bool {
        !self.nodes[member].is_unsettled(self.goal)
    }

    /// Those that have not stopped, each before what it needs.
    pub(crate) fn not_stopped(&self) -> Vec<usize> {
        let mut members = self.as_added();
        members.reverse();
        members.retain(|member| self.nodes[*member].phase != Phase::Stopped);
        members.sort_by_key(|member| core::cmp::Reverse(self.nodes[*member].depth));
        members
    }

    /// Which member has that number. Another may have it once it was removed.
    pub(crate) fn id(&self, member: usize) -> u64 {
        self.nodes[member].id
    }

    /// Whether a member was stopped and is to be forgotten.
    pub(crate) fn is_gone(&self, member: usize) -> bool {
        self.nodes[member].gone
    }

    /// Somebody wants all up. Does nothing once that was wanted, or the contrary.
    pub(crate) fn go_up(&mut self) {
        if self.goal != Goal::Rest {
            return;
        }
        self.set_goal(Goal::Up);
        for node in &mut self.nodes {
            node.blocked_by = node.after.len();
        }
        for member in self.as_added() {
            self.start_if_free(member);
        }
    }

    /// Somebody wants all down. That is final.
    pub(crate) fn go_down(&mut self) {
        if self.goal == Goal::Down {
            return;
        }
        self.set_goal(Goal::Down);
        self.ready.clear();
        for node in &mut self.nodes {
            node.blocked_by = node.before.len();
        }
        // In reverse, so that members which nothing orders stop in reverse as well.
        for member in self.as_added().into_iter().rev() {
            self.stop_if_free(member);
        }
    }

    /// The numbers of all, in the order in which they were added.
    fn as_added(&self) -> Vec<usize> {
        let mut members: Vec<usize> = (0..self.nodes.len()).collect();
        members.sort_by_key(|member| self.nodes[*member].id);
        members
    }

    /// Takes in one more member of the graph, under a number that is free or the next. It starts at once, if the
    /// others have.
    pub(crate) fn add(&mut self, graph: &Graph, member: usize) {
        let node = Node::new(&graph.nodes[member], self.goal == Goal::Up);
        for needed in &node.after {
            self.nodes[*needed].before.push(member);
        }
        self.unsettled += usize::from(node.is_unsettled(self.goal));
        match self.nodes.get_mut(member) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        self.look_at(member);
    }

    /// Has a member stopped and forgotten. Nobody may need it. One that is about to start does so first.
    pub(crate) fn remove(&mut self, member: usize) {
        if self.nodes[member].leaves || self.goal == Goal::Down {
            return;
        }
        self.update(member, |node| node.leaves = true);
        self.ready.retain(|ready| *ready != member);
        self.leave_if_free(member);
    }

    /// What to do next, if anything can be done now.
    pub(crate) fn next(&mut self) -> Option<PlanStep> {
        if self.under_way >= self.most_at_once {
            return None;
        }
        let member = self.ready.pop_front()?;
        self.under_way += 1;
        let node = &mut self.nodes[member];
        if self.goal == Goal::Down || node.leaves {
            node.phase = Phase::Stopping;
            node.held_back = false;
            return Some(PlanStep::Stop {
                member,
                begun: node.begun,
                chain: node.depth,
            });
        }
        node.phase = Phase::Starting;
        node.begun = true;
        Some(PlanStep::Start(member))
    }

    /// A start has ended.
    pub(crate) fn started(&mut self, member: usize, succeeded: bool) {
        self.under_way -= 1;
        self.update(member, |node| node.answered(succeeded));
        if self.goal == Goal::Down {
            self.stop_if_free(member);
        } else if self.nodes[member].leaves {
            self.leave_if_free(member);
        } else if self.is_member_settled(member) {
            self.free_dependents(member);
        } else {
            self.culprit = Some(member);
            self.go_down();
        }
    }

    /// A start was dropped half-way. It begins anew, unless the member is to stop.
    pub(crate) fn start_called_off(&mut self, member: usize) {
        self.under_way -= 1;
        let stops = self.goal == Goal::Down;
        self.nodes[member].phase = if stops { Phase::Failed } else { Phase::Idle };
        if stops {
            self.stop_if_free(member);
        } else if self.nodes[member].leaves {
            self.leave_if_free(member);
        } else {
            self.look_at(member);
        }
    }

    /// Whether a member was started, has answered, and is not to stop.
    pub(crate) fn may_restart(&self, member: usize) -> bool {
        let node = &self.nodes[member];
        let has_answered = matches!(node.phase, Phase::Up | Phase::Failed);
        self.goal == Goal::Up && !node.leaves && has_answered
    }

    /// Has a member restart, if it may.
    pub(crate) fn restart(&mut self, member: usize) -> Option<PlanStep> {
        if !self.may_restart(member) {
            return None;
        }
        self.under_way += 1;
        let begun = self.nodes[member].begun;
        self.update(member, |node| {
            node.on_trial = true;
            node.held_back = false;
            node.begun = true;
            node.phase = Phase::Starting;
        });
        self.look_at_dependents(member);
        Some(PlanStep::Restart { member, begun })
    }

    /// A restart has ended, or was dropped half-way.
    pub(crate) fn restarted(&mut self, member: usize, succeeded: bool) {
        self.under_way -= 1;
        self.update(member, |node| node.answered(succeeded));
        if self.goal == Goal::Down {
            self.stop_if_free(member);
            return;
        }
        self.leave_if_free(member);
        self.look_at_dependents(member);
    }

    /// A stop has ended, well or not.
    pub(crate) fn stopped(&mut self, member: usize) {
        self.under_way -= 1;
        self.update(member, |node| {
            node.phase = Phase::Stopped;
            node.gone = node.leaves;
        });
        let gone = self.nodes[member].gone;
        for needed in self.nodes[member].after.clone() {
            if self.goal == Goal::Down {
                self.nodes[needed].blocked_by -= 1;
                self.stop_if_free(needed);
            }
            if gone {
                self.nodes[needed].before.retain(|other| *other != member);
            }
            if self.goal != Goal::Down {
                self.leave_if_free(needed);
            }
        }
    }

    /// A stop was dropped half-way. It goes on at the next that wants the member down.
    pub(crate) fn stop_called_off(&mut self, member: usize) {
        self.under_way -= 1;
        self.nodes[member].phase = Phase::Failed;
        self.ready.push_front(member);
    }

    fn set_goal(&mut self, goal: Goal) {
        self.goal = goal;
        let unsettled = self.nodes.iter().filter(|node| node.is_unsettled(goal));
        self.unsettled = unsettled.count();
    }

    fn update(&mut self, member: usize, change: impl FnOnce(&mut Node)) {
        let node = &mut self.nodes[member];
        self.unsettled -= usize::from(node.is_unsettled(self.goal));
        change(node);
        self.unsettled += usize::from(node.is_unsettled(self.goal));
    }

    /// What a member needs restarts, or has: those that have not begun wait for it.
    fn look_at_dependents(&mut self, member: usize) {
        let mut settled = alloc::vec![member];
        while let Some(member) = settled.pop() {
            for dependent in self.nodes[member].before.clone() {
                settled.extend(self.count_anew(dependent).then_some(dependent));
            }
        }
    }

    /// Counts anew how many others a member that has not begun waits for.
    fn look_at(&mut self, member: usize) {
        if self.count_anew(member) {
            self.look_at_dependents(member);
        }
    }

    /// The same for that member alone. Returns `true` if it is held back.
    fn count_anew(&mut self, member: usize) -> bool {
        let node = &self.nodes[member];
        if self.goal != Goal::Up || node.phase != Phase::Idle || node.leaves {
            return false;
        }
        let unsettled = |needed: &&usize| self.nodes[**needed].is_unsettled(Goal::Up);
        let blocked_by = node.after.iter().filter(unsettled).count();
        self.nodes[member].blocked_by = blocked_by;
        self.ready.retain(|ready| *ready != member);
        self.start_if_free(member)
    }

    /// A member has settled for the first time: those that come after it wait for one less.
    fn free_dependents(&mut self, member: usize) {
        let mut settled = alloc::vec![member];
        while let Some(member) = settled.pop() {
            for dependent in self.nodes[member].before.clone() {
                self.nodes[dependent].blocked_by -= 1;
                settled.extend(self.start_if_free(dependent).then_some(dependent));
            }
        }
    }

    /// Has a member begin that waits for nobody any more. Returns `true` if it is held back instead.
    fn start_if_free(&mut self, member: usize) -> bool {
        let node = &self.nodes[member];
        if node.phase != Phase::Idle || node.blocked_by > 0 || node.leaves {
            return false;
        }
        let is_missing = |needed: &&usize| self.nodes[**needed].phase != Phase::Up;
        let Some(missing) = node.requires.iter().find(is_missing).copied() else {
            self.ready.push_back(member);
            return false;
        };
        self.held_back.push((member, missing));
        self.update(member, |node| {
            node.held_back = true;
            node.answered(false);
        });
        true
    }

    fn stop_if_free(&mut self, member: usize) {
        let node = &self.nodes[member];
        if node.rests() && node.blocked_by == 0 {
            self.ready.push_back(member);
        }
    }

    /// One that leaves does so once those that needed it have left.
    fn leave_if_free(&mut self, member: usize) {
        let node = &self.nodes[member];
        if node.leaves && node.rests() && node.before.is_empty() {
            self.ready.push_back(member);
        }
    }
}

impl Node {
    fn new(node: &graph::Node, on_trial: bool) -> Self {
        let role = match (on_trial, node.optional) {
            (true, _) => Role::Joins,
            (_, true) => Role::Spare,
            _ => Role::Required,
        };
        Self {
            role,
            id: node.id,
            after: node.after.clone(),
            requires: node.requires.clone(),
            before: node.before.clone(),
            optional: node.optional,
            on_trial,
            depth: node.depth,
            phase: Phase::Idle,
            blocked_by: 0,
            begun: false,
            held_back: false,
            leaves: false,
            gone: false,
        }
    }

    /// Its start or restart has ended. One that was added is needed from the time on that it is up.
    const fn answered(&mut self, succeeded: bool) {
        self.phase = if succeeded { Phase::Up } else { Phase::Failed };
        self.role = match self.role {
            _ if self.optional => Role::Spare,
            _ if succeeded => Role::Required,
            Role::Joins => Role::Spare,
            role => role,
        };
    }

    /// Whether nothing is under way, and it has not stopped.
    const fn rests(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Up | Phase::Failed)
    }

    fn is_unsettled(&self, goal: Goal) -> bool {
        if self.leaves {
            return !self.gone;
        }
        match goal {
            Goal::Rest => false,
            Goal::Up => match self.phase {
                Phase::Up => false,
                Phase::Failed => !self.optional && !self.on_trial && !self.held_back,
                _ => true,
            },
            Goal::Down => self.phase != Phase::Stopped,
        }
    }
}
