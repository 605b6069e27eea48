//! The state machine beside a model that is written from the docs, not from the table.

use proptest::prelude::*;
use tenure_core::State;
use tenure_core::state::{Action, Event, Machine, Thresholds};

proptest! {
    #![proptest_config(super::cases(4_000))]

    #[test]
    fn the_machine_does_what_its_model_does(
        thresholds in thresholds(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut machine = Machine::new(thresholds, None);
        let mut model = Model::new(thresholds);
        for drawn in events {
            let event = drawn.in_generation(model.generation);
            let before = machine.state();
            let change = machine.step(event, None);
            let expected = model.step(event);
            prop_assert_eq!(change.action, expected, "after {:?} in {:?}", event, before);
            prop_assert_eq!(machine.state(), model.state, "after {:?} in {:?}", event, before);
            prop_assert_eq!(machine.generation(), model.generation);
            let moved = (before != model.state).then_some((before, model.state));
            prop_assert_eq!(change.moved, moved);
        }
    }
}

/// An event whose generation is told by how old it is.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    kind: fn(u64) -> Event,
    age: u64,
}

impl Drawn {
    fn in_generation(self, generation: u64) -> Event {
        (self.kind)(generation.saturating_sub(self.age))
    }
}

fn event() -> impl Strategy<Value = Drawn> {
    let kinds: Vec<fn(u64) -> Event> = vec![
        |_| Event::OpenWanted,
        |generation| Event::OpenCalledOff { generation },
        |generation| Event::Opened { generation },
        |generation| Event::AttemptFailed { generation },
        |generation| Event::OpenFailed { generation },
        |generation| Event::CheckPassed { generation },
        |generation| Event::CheckFailed { generation },
        |generation| Event::ValueLost { generation },
        |_| Event::CloseWanted,
        |_| Event::CloseEnded,
    ];
    // Closing ends the story, so it comes seldom.
    let weighted: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(index, kind)| (if index < 8 { 8 } else { 1 }, Just(kind)))
        .collect();
    let age = prop_oneof![4 => Just(0), 1 => 1..3_u64];
    (prop::strategy::Union::new_weighted(weighted), age).prop_map(|(kind, age)| Drawn { kind, age })
}

fn thresholds() -> impl Strategy<Value = Thresholds> {
    (1..4_u32, 1..4_u32, prop::option::of(0..4_u32)).prop_map(
        |(fail_after, recover_after, more)| Thresholds {
            fail_after,
            recover_after,
            reopen_after: more.map(|more| fail_after + more),
        },
    )
}

/// What the docs say, in as few words as there are: a lifecycle that ends, of values that come one after
/// another, each with a run of checks.
struct Model {
    thresholds: Thresholds,
    state: State,
    /// How many openings have begun.
    generation: u64,
    /// The checks of the current value since the last that went the other way, and how they went.
    run: (bool, u32),
}

impl Model {
    const fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            state: State::Uninitialized,
            generation: 0,
            run: (true, 0),
        }
    }

    fn step(&mut self, event: Event) -> Action {
        use State::{Closed, Closing, Degraded, Error, Initializing, Ready, Uninitialized};
        let current = self.generation;
        match (self.state, event) {
            (Closing | Closed, Event::OpenWanted) => Action::Refuse,
            (Uninitialized | Error, Event::OpenWanted) => {
                self.state = Initializing;
                self.generation += 1;
                let generation = self.generation;
                Action::Open { generation }
            }
            (Initializing, Event::Opened { generation }) if generation == current => {
                self.state = Ready;
                self.run = (true, 0);
                Action::Keep
            }
            (_, Event::Opened { .. }) => Action::CloseLate,
            (Initializing, Event::OpenFailed { generation }) if generation == current => {
                self.state = Error;
                Action::None
            }
            (Initializing, Event::OpenCalledOff { generation }) if generation == current => {
                self.state = Uninitialized;
                Action::None
            }
            (Ready | Degraded, Event::CheckPassed { generation }) if generation == current => {
                if self.ran(true) >= self.thresholds.recover_after {
                    self.state = Ready;
                }
                Action::None
            }
            (Ready | Degraded, Event::CheckFailed { generation }) if generation == current => {
                let failures = self.ran(false);
                if self
                    .thresholds
                    .reopen_after
                    .is_some_and(|limit| failures >= limit)
                {
                    self.state = Error;
                    return Action::Retire;
                }
                if failures >= self.thresholds.fail_after {
                    self.state = Degraded;
                }
                Action::None
            }
            (Ready | Degraded, Event::ValueLost { generation }) if generation == current => {
                self.state = Error;
                Action::Retire
            }
            (Closing | Closed, Event::CloseWanted) => Action::None,
            (Uninitialized, Event::CloseWanted) if current == 0 => {
                self.state = Closed;
                Action::None
            }
            (_, Event::CloseWanted) => {
                self.state = Closing;
                Action::Close
            }
            (Closing, Event::CloseEnded) => {
                self.state = Closed;
                Action::None
            }
            _ => Action::None,
        }
    }

    /// How many checks in a row have gone like this one.
    fn ran(&mut self, passed: bool) -> u32 {
        if self.run.0 != passed {
            self.run = (passed, 0);
        }
        self.run.1 += 1;
        self.run.1
    }
}
