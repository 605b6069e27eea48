//! What is to start or to stop next: a plan without any IO.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::graph::Graph;

/// Where the members of a group stand, and what may happen next.
///
/// It takes what happened and says what to do, and does none of it. Members start once all that they need
/// has; an optional one that failed holds nobody up. When a required one fails, or somebody wants all down,
/// what had begun is stopped, each member once all that need it have stopped.
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
}

#[derive(Clone, Debug)]
struct Node {
    after: Vec<usize>,
    before: Vec<usize>,
    optional: bool,
    depth: usize,
    phase: Phase,
    /// How many others have to settle first.
    blocked_by: usize,
    begun: bool,
}

/// Where all members are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Rest,
    Up,
    Down,
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
pub(crate) enum Step {
    Start(usize),
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
        let nodes = graph.nodes.iter().map(|node| Node {
            after: node.after.clone(),
            before: node.before.clone(),
            optional: node.optional,
            depth: node.depth,
            phase: Phase::Idle,
            blocked_by: 0,
            begun: false,
        });
        Self {
            nodes: nodes.collect(),
            goal: Goal::Rest,
            most_at_once: most_at_once.unwrap_or(usize::MAX),
            under_way: 0,
            ready: VecDeque::new(),
            unsettled: 0,
            culprit: None,
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

    /// Somebody wants all up. Does nothing once that was wanted, or the contrary.
    pub(crate) fn go_up(&mut self) {
        if self.goal != Goal::Rest {
            return;
        }
        self.goal = Goal::Up;
        self.unsettled = self.nodes.len();
        for member in 0..self.nodes.len() {
            let node = &mut self.nodes[member];
            node.blocked_by = node.after.len();
            if node.blocked_by == 0 {
                self.ready.push_back(member);
            }
        }
    }

    /// Somebody wants all down. That is final.
    pub(crate) fn go_down(&mut self) {
        if self.goal == Goal::Down {
            return;
        }
        self.goal = Goal::Down;
        self.unsettled = self.nodes.len();
        self.ready.clear();
        for node in &mut self.nodes {
            node.blocked_by = node.before.len();
        }
        // In reverse, so that members which nothing orders stop in reverse as well.
        for member in (0..self.nodes.len()).rev() {
            self.stop_if_free(member);
        }
    }

    /// What to do next, if anything can be done now.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if self.under_way >= self.most_at_once {
            return None;
        }
        let member = self.ready.pop_front()?;
        self.under_way += 1;
        let node = &mut self.nodes[member];
        if self.goal == Goal::Down {
            node.phase = Phase::Stopping;
            return Some(Step::Stop {
                member,
                begun: node.begun,
                chain: node.depth,
            });
        }
        node.phase = Phase::Starting;
        node.begun = true;
        Some(Step::Start(member))
    }

    /// A start has ended.
    pub(crate) fn started(&mut self, member: usize, succeeded: bool) {
        self.under_way -= 1;
        let node = &mut self.nodes[member];
        node.phase = if succeeded { Phase::Up } else { Phase::Failed };
        if self.goal == Goal::Down {
            self.stop_if_free(member);
        } else if succeeded || node.optional {
            self.unsettled -= 1;
            for dependent in node.before.clone() {
                let dependent_node = &mut self.nodes[dependent];
                dependent_node.blocked_by -= 1;
                if dependent_node.blocked_by == 0 {
                    self.ready.push_back(dependent);
                }
            }
        } else {
            self.culprit = Some(member);
            self.go_down();
        }
    }

    /// A start was dropped half-way. It begins anew, unless all is to go down.
    pub(crate) fn start_called_off(&mut self, member: usize) {
        self.under_way -= 1;
        if self.goal == Goal::Down {
            self.nodes[member].phase = Phase::Failed;
            self.stop_if_free(member);
        } else {
            self.nodes[member].phase = Phase::Idle;
            self.ready.push_front(member);
        }
    }

    /// A stop has ended, well or not.
    pub(crate) fn stopped(&mut self, member: usize) {
        self.under_way -= 1;
        self.unsettled -= 1;
        self.nodes[member].phase = Phase::Stopped;
        for needed in self.nodes[member].after.clone() {
            self.nodes[needed].blocked_by -= 1;
            self.stop_if_free(needed);
        }
    }

    /// A stop was dropped half-way. It goes on at the next that wants all down.
    pub(crate) fn stop_called_off(&mut self, member: usize) {
        self.under_way -= 1;
        self.nodes[member].phase = Phase::Failed;
        self.ready.push_front(member);
    }

    fn stop_if_free(&mut self, member: usize) {
        let node = &self.nodes[member];
        let rests = matches!(node.phase, Phase::Idle | Phase::Up | Phase::Failed);
        if rests && node.blocked_by == 0 {
            self.ready.push_back(member);
        }
    }
}
