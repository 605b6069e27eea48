//! The plan against the plainest of models, on random graphs.

use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::graph::{Graph, Wanted};
use super::{Goal, Phase, Plan, PlanStep, Role};
use crate::sync::Text;

/// What is known of each member by what the plan said to do and what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Idle,
    Starting,
    Up,
    Failed,
    /// It was not started, because something that it requires is not up.
    HeldBack,
    Stopping,
    Down,
}

/// What a world makes of itself: a list of numbers, which shrinks. Where it ends, zeros follow.
struct Choices {
    numbers: Vec<u16>,
    next: usize,
}

impl Choices {
    fn below_or_equal(&mut self, most: u64) -> u64 {
        let number = self.numbers.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        u64::from(number) % (most + 1)
    }
}

struct World {
    random: Choices,
    graph: Graph,
    plan: Plan,
    known: Vec<Known>,
    /// Removed, or about to be.
    leaves: Vec<bool>,
    begun: Vec<bool>,
    /// Added after the start was asked for; has answered; has been up.
    joined: Vec<bool>,
    answered: Vec<bool>,
    proven: Vec<bool>,
    /// It was told to restart at some time, and whether that is under way.
    restarted: Vec<bool>,
    restarts: Vec<bool>,
    most_at_once: Option<usize>,
}

/// Enough for a graph of fifty members and three hundred steps.
const CHOICES: usize = 4_000;

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn whatever_ends_fails_or_is_called_off_members_keep_their_order_and_all_end(
        numbers in vec(any::<u16>(), 0..=CHOICES),
    ) {
        let mut world = World::drawn(numbers);
        for _ in 0..world.random.below_or_equal(300) {
            world.go_on();
            world.take_held_back();
            world.check_roles();
        }
        world.end();
    }
}

/// The same worlds in each build, unless `PROPTEST_RNG_SEED` names others.
fn cases(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(cases);
    config.failure_persistence = None;
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0);
    }
    config
}

impl World {
    fn drawn(numbers: Vec<u16>) -> Self {
        let mut random = Choices { numbers, next: 0 };
        let count = random.below_or_equal(50) as usize;
        let each = random.below_or_equal(count as u64 / 4 + 1) + 1;
        let wanted: Vec<Wanted> = (0..count)
            .map(|number| Wanted {
                name: name(number),
                after: (0..number)
                    .filter(|_| random.below_or_equal(each) == 0)
                    .map(name)
                    .collect(),
                wants: (0..number)
                    .filter(|_| random.below_or_equal(each) == 0)
                    .map(name)
                    .collect(),
                optional: random.below_or_equal(4) == 0,
            })
            .collect();
        let graph = Graph::new(&wanted).expect("there are no circles");
        let most_at_once = match random.below_or_equal(3) {
            0 => Some(1 + random.below_or_equal(4) as usize),
            _ => None,
        };
        Self {
            plan: Plan::new(&graph, most_at_once),
            random,
            graph,
            known: alloc::vec![Known::Idle; count],
            leaves: alloc::vec![false; count],
            begun: alloc::vec![false; count],
            joined: alloc::vec![false; count],
            answered: alloc::vec![false; count],
            proven: alloc::vec![false; count],
            restarted: alloc::vec![false; count],
            restarts: alloc::vec![false; count],
            most_at_once,
        }
    }

    fn go_on(&mut self) {
        match self.random.below_or_equal(60) {
            0 => self.plan.go_down(),
            1..=3 => self.plan.go_up(),
            4 => self.add(),
            5 => self.remove(),
            6..=8 => self.restart(),
            9..=30 => {
                if let Some(step) = self.plan.next() {
                    self.begin(step);
                }
            }
            _ => {
                self.answer(false);
            }
        }
    }

    /// The group is what its old members make of it, and those new ones that have answered.
    fn check_roles(&self) {
        let mut is_running = self.plan.goal() == Goal::Up;
        for member in 0..self.known.len() {
            let stranger = self.joined[member] && !self.proven[member];
            let role = match self.graph.nodes[member].optional {
                _ if stranger && !self.answered[member] => Role::Joins,
                optional if optional || stranger => Role::Spare,
                _ if self.known[member] == Known::HeldBack => Role::Spare,
                _ => Role::Required,
            };
            assert_eq!(self.plan.role(member), role);
            let counts = role != Role::Joins && !self.leaves[member];
            is_running &= !counts || self.has_settled(member);
        }
        assert_eq!(self.plan.is_running(), is_running);
    }

    /// Everything that is to be done is done, and ends.
    fn end(&mut self) {
        self.plan.go_up();
        self.run_dry();
        assert!(self.plan.is_settled());
        if self.plan.goal() == Goal::Up {
            for member in 0..self.known.len() {
                let optional = self.graph.nodes[member].optional;
                let up = self.known[member] == Known::Up;
                let held_back = self.known[member] == Known::HeldBack;
                let lent = optional || held_back || self.on_trial(member);
                assert!(up || lent || self.leaves[member]);
            }
        }
        self.plan.go_down();
        self.run_dry();
        assert!(self.plan.is_settled());
        for member in 0..self.known.len() {
            assert_eq!(self.plan.phase(member), Phase::Stopped);
            assert_eq!(self.known[member], Known::Down);
        }
    }

    /// Those that were held back had settled all that they come after, and lack something that they require.
    fn take_held_back(&mut self) {
        for (member, missing) in self.plan.take_held_back() {
            assert_eq!(self.known[member], Known::Idle);
            assert!(self.graph.nodes[member].requires.contains(&missing));
            assert!(matches!(
                self.known[missing],
                Known::Failed | Known::HeldBack
            ));
            for needed in &self.graph.nodes[member].after {
                assert!(self.has_settled(*needed));
            }
            self.known[member] = Known::HeldBack;
            self.answered[member] = true;
        }
    }

    fn has_settled(&self, member: usize) -> bool {
        let settled = [Known::Up, Known::Failed, Known::HeldBack];
        settled.contains(&self.known[member])
    }

    /// A member that was added or restarted while all were up may fail alone.
    fn on_trial(&self, member: usize) -> bool {
        let alone = self.restarted[member] || self.graph.nodes[member].name.ends_with('+');
        alone && self.known[member] == Known::Failed
    }

    fn run_dry(&mut self) {
        loop {
            self.take_held_back();
            while let Some(step) = self.plan.next() {
                self.begin(step);
            }
            if !self.answer(true) {
                return;
            }
        }
    }

    fn begin(&mut self, step: PlanStep) {
        match step {
            PlanStep::Start(member) => {
                assert_eq!(self.known[member], Known::Idle);
                for needed in &self.graph.nodes[member].after {
                    let lent = self.graph.nodes[*needed].optional || self.on_trial(*needed);
                    let required = self.graph.nodes[member].requires.contains(needed);
                    let settled = match self.known[*needed] {
                        Known::Up => true,
                        Known::Failed => lent && !required,
                        Known::HeldBack => !required,
                        _ => false,
                    };
                    assert!(
                        settled,
                        "{member} needs {needed}: {:?}",
                        self.known[*needed]
                    );
                }
                self.known[member] = Known::Starting;
                self.begun[member] = true;
            }
            PlanStep::Restart { .. } => unreachable!("nobody's idea but the supervisor's"),
            PlanStep::Stop {
                member,
                begun,
                chain,
            } => {
                assert_eq!(begun, self.begun[member]);
                assert!(chain >= 1);
                let stopping = [Known::Starting, Known::Stopping, Known::Down];
                assert!(!stopping.contains(&self.known[member]));
                // The graph forgets at once who leaves.
                for (other, node) in self.graph.nodes.iter().enumerate() {
                    let needs = node.after.contains(&member);
                    let down = self.known[other] == Known::Down;
                    assert!(down || !needs, "{other} needs {member}");
                }
                self.known[member] = Known::Stopping;
            }
        }
        let busy = |known: &&Known| matches!(known, Known::Starting | Known::Stopping);
        let under_way = self.known.iter().filter(busy).count();
        assert!(self.most_at_once.is_none_or(|most| under_way <= most));
    }

    /// One of the things under way ends in some way. Says whether any was.
    fn answer(&mut self, in_earnest: bool) -> bool {
        let busy =
            |member: &usize| matches!(self.known[*member], Known::Starting | Known::Stopping);
        let under_way: Vec<usize> = (0..self.known.len()).filter(busy).collect();
        let Some(last) = under_way.len().checked_sub(1) else {
            return false;
        };
        let member = under_way[self.random.below_or_equal(last as u64) as usize];
        let called_off = !in_earnest && self.random.below_or_equal(3) == 0;
        if core::mem::take(&mut self.restarts[member]) {
            let succeeds = !called_off && self.random.below_or_equal(3) > 0;
            self.known[member] = if succeeds { Known::Up } else { Known::Failed };
            self.proven[member] |= succeeds;
            self.plan.restarted(member, succeeds);
            return true;
        }
        match (self.known[member], called_off) {
            (Known::Starting, true) => {
                self.plan.start_called_off(member);
                let stops = self.plan.goal() == Goal::Down;
                self.known[member] = if stops { Known::Failed } else { Known::Idle };
            }
            (Known::Starting, false) => {
                let succeeds = self.random.below_or_equal(12) > 0;
                self.known[member] = if succeeds { Known::Up } else { Known::Failed };
                self.answered[member] = true;
                self.proven[member] |= succeeds;
                self.plan.started(member, succeeds);
            }
            (_, true) => {
                self.plan.stop_called_off(member);
                self.known[member] = Known::Failed;
            }
            (_, false) => {
                self.plan.stopped(member);
                self.known[member] = Known::Down;
            }
        }
        true
    }

    fn add(&mut self) {
        if self.plan.goal() == Goal::Down {
            return;
        }
        let free = (0..self.known.len()).find(|member| self.plan.is_gone(*member));
        let free = free.filter(|_| self.random.below_or_equal(3) > 0);
        let number = free.unwrap_or(self.known.len());
        let after = (0..self.known.len()).filter(|other| !self.leaves[*other]);
        let after: Vec<usize> = after.collect();
        let after = after
            .into_iter()
            .filter(|_| self.random.below_or_equal(5) == 0);
        let wanted = Wanted {
            after: after
                .map(|other| self.graph.nodes[other].name.clone())
                .collect(),
            name: alloc::format!("{number}/{}+", self.known.len()).into(),
            wants: Vec::new(),
            optional: self.random.below_or_equal(3) == 0,
        };
        let inserted = self.graph.insert(&wanted, number);
        inserted.expect("it goes with the others");
        self.plan.add(&self.graph, number);
        let joined = self.plan.goal() == Goal::Up;
        set(&mut self.known, number, Known::Idle);
        set(&mut self.joined, number, joined);
        for known in [
            &mut self.leaves,
            &mut self.begun,
            &mut self.answered,
            &mut self.proven,
            &mut self.restarted,
            &mut self.restarts,
        ] {
            set(known, number, false);
        }
    }

    fn restart(&mut self) {
        let Some(last) = self.known.len().checked_sub(1) else {
            return;
        };
        let member = self.random.below_or_equal(last as u64) as usize;
        let rests = self.has_settled(member);
        let may = rests && self.plan.goal() == Goal::Up && !self.leaves[member];
        let begun = self.begun[member];
        let step = may.then_some(PlanStep::Restart { member, begun });
        assert_eq!(self.plan.restart(member), step);
        if may {
            self.begun[member] = true;
            self.known[member] = Known::Starting;
            self.restarted[member] = true;
            self.restarts[member] = true;
        }
    }

    fn remove(&mut self) {
        let Some(last) = self.known.len().checked_sub(1) else {
            return;
        };
        let member = self.random.below_or_equal(last as u64) as usize;
        self.remove_one(member);
        // Those that need it may leave first, and it with them.
        if self.random.below_or_equal(1) == 0 {
            let mut order = self.graph.in_order();
            order.reverse();
            order.truncate(self.random.below_or_equal(5) as usize);
            order.into_iter().for_each(|member| self.remove_one(member));
        }
    }

    fn remove_one(&mut self, member: usize) {
        if self.plan.goal() == Goal::Down || self.leaves[member] {
            return;
        }
        if self.graph.remove(member).is_ok() {
            self.leaves[member] = true;
            self.plan.remove(member);
        }
    }
}

/// Puts something in the place of that number, or of the next.
fn set<T>(list: &mut Vec<T>, number: usize, value: T) {
    match list.get_mut(number) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}

fn name(number: usize) -> Text {
    alloc::format!("{number}").into()
}
