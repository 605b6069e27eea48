//! Every cell of the table, and the machine against it.

extern crate std;

use std::string::ToString;

use super::*;

const NOW: Option<crate::time::Instant> = Some(crate::time::Instant::EPOCH);

fn ready(thresholds: Thresholds) -> Machine {
    let mut machine = Machine::new(thresholds, NOW);
    machine.step(Event::OpenWanted, NOW);
    machine.step(Event::Opened { generation: 1 }, NOW);
    machine
}

#[test]
fn s01_every_cell_of_the_table_is_in_it_once_or_leads_nowhere() {
    for from in State::ALL {
        for trigger in Trigger::ALL {
            let rows = TABLE
                .iter()
                .filter(|row| row.from == from && row.trigger == trigger)
                .count();
            assert!(rows <= 1, "{from:?} and {trigger:?} have {rows} rows");
            assert_eq!(next(from, trigger).is_some(), rows == 1);
        }
    }
    assert!(TABLE.iter().all(|row| row.from != row.to));
    for trigger in Trigger::ALL {
        assert!(
            TABLE.iter().any(|row| row.trigger == trigger),
            "{trigger:?} never happens"
        );
    }
}

#[test]
fn s01_closed_is_final_and_reached_from_everywhere() {
    for state in State::ALL {
        assert!(!State::Closed.can_go(state));
        assert!(!State::Closed.can_reach(state));
        assert_eq!(state.can_reach(State::Closed), state != State::Closed);
    }
    assert!(!State::Closing.can_reach(State::Error));
    assert!(State::Ready.can_reach(State::Ready), "through an error");
}

#[test]
fn s01_can_go_is_the_table() {
    for from in State::ALL {
        for to in State::ALL {
            let by_table = TABLE.iter().any(|row| (row.from, row.to) == (from, to));
            assert_eq!(from.can_go(to), by_table);
        }
    }
}

#[test]
fn s01_the_picture_has_every_row() {
    let picture = Picture.to_string();
    assert_eq!(picture.lines().count(), TABLE.len() + 3);
    for row in TABLE {
        let line = std::format!("{} --> {}: {:?}", row.from, row.to, row.trigger);
        assert!(picture.contains(&line), "{line}");
    }
}

/// Walks every sequence of events of a given length from every machine that the walk meets, and
/// holds each move against the table.
#[test]
fn s01_no_sequence_of_events_leaves_the_table() {
    fn events(generation: u64) -> [Event; 13] {
        [
            Event::OpenWanted,
            Event::OpenCalledOff { generation },
            Event::Opened { generation },
            Event::AttemptFailed { generation },
            Event::OpenFailed { generation },
            Event::CheckPassed { generation },
            Event::CheckFailed { generation },
            Event::Unwell { generation },
            Event::Doubted { generation },
            Event::Trusted { generation },
            Event::ValueLost { generation },
            Event::CloseWanted,
            Event::CloseEnded,
        ]
    }
    fn walk(machine: &Machine, depth: usize, seen: &mut usize) {
        if depth == 0 {
            return;
        }
        for generation in [machine.generation(), machine.generation().saturating_sub(1)] {
            for event in events(generation) {
                let mut next = machine.clone();
                let change = next.step(event, NOW);
                *seen += 1;
                match change.moved {
                    Some((from, to)) => {
                        assert!(from.can_go(to), "{event:?} led from {from} to {to}");
                        assert_eq!(next.changes(), machine.changes() + 1);
                    }
                    None => assert_eq!(next.state(), machine.state()),
                }
                walk(&next, depth - 1, seen);
            }
        }
    }
    let mut seen = 0;
    let thresholds = Thresholds {
        fail_after: 1,
        recover_after: 1,
        reopen_after: Some(2),
    };
    walk(&Machine::new(thresholds, NOW), 4, &mut seen);
    assert!(seen > 100_000, "only {seen} steps were walked");
}

#[test]
fn b01_late_results_of_an_old_generation_change_nothing() {
    let mut machine = ready(Thresholds::default());
    machine.step(Event::ValueLost { generation: 1 }, NOW);
    machine.step(Event::OpenWanted, NOW);
    assert_eq!(machine.generation(), 2);
    let before = machine.clone();
    for late in [
        Event::AttemptFailed { generation: 1 },
        Event::OpenFailed { generation: 1 },
        Event::OpenCalledOff { generation: 1 },
        Event::CheckFailed { generation: 1 },
        Event::CheckPassed { generation: 1 },
        Event::Unwell { generation: 1 },
        Event::Doubted { generation: 1 },
        Event::Trusted { generation: 1 },
        Event::ValueLost { generation: 1 },
    ] {
        assert_eq!(
            machine.step(late, NOW),
            Change {
                moved: None,
                action: Action::None
            }
        );
        assert_eq!(machine, before);
    }
    let late_value = machine.step(Event::Opened { generation: 1 }, NOW);
    assert_eq!(late_value.action, Action::CloseLate);
    assert_eq!(machine, before);
}

#[test]
fn b01_a_close_of_what_never_started_runs_nothing() {
    let mut machine = Machine::new(Thresholds::default(), NOW);
    let change = machine.step(Event::CloseWanted, NOW);
    assert_eq!(change.action, Action::None);
    assert_eq!(machine.state(), State::Closed);
    assert_eq!(machine.step(Event::OpenWanted, NOW).action, Action::Refuse);
}

#[test]
fn b01_a_close_during_an_opening_calls_it_off() {
    let mut machine = Machine::new(Thresholds::default(), NOW);
    machine.step(Event::OpenWanted, NOW);
    assert_eq!(machine.step(Event::CloseWanted, NOW).action, Action::Close);
    assert_eq!(
        machine.step(Event::Opened { generation: 1 }, NOW).action,
        Action::CloseLate
    );
    assert_eq!(
        machine.step(Event::CloseEnded, NOW).moved,
        Some((State::Closing, State::Closed))
    );
}

#[test]
fn s06_thresholds_count_checks_in_a_row() {
    let thresholds = Thresholds {
        fail_after: 2,
        recover_after: 3,
        reopen_after: Some(5),
    };
    let mut machine = ready(thresholds);
    let (failed, passed) = (
        Event::CheckFailed { generation: 1 },
        Event::CheckPassed { generation: 1 },
    );
    machine.step(failed, NOW);
    machine.step(passed, NOW);
    machine.step(failed, NOW);
    assert_eq!(
        machine.state(),
        State::Ready,
        "two failures, but not in a row"
    );
    machine.step(failed, NOW);
    assert_eq!(machine.state(), State::Degraded);
    machine.step(passed, NOW);
    machine.step(passed, NOW);
    assert_eq!(machine.state(), State::Degraded);
    machine.step(passed, NOW);
    assert_eq!(machine.state(), State::Ready);
    let last = (0..5).map(|_| machine.step(failed, NOW)).last();
    assert_eq!(last.map(|change| change.action), Some(Action::Retire));
    assert_eq!(machine.state(), State::Error);
}

#[test]
fn b04_a_call_that_succeeds_ends_a_doubt_but_not_what_a_check_has_found() {
    let (failed, passed) = (
        Event::CheckFailed { generation: 1 },
        Event::CheckPassed { generation: 1 },
    );
    let (doubted, trusted) = (
        Event::Doubted { generation: 1 },
        Event::Trusted { generation: 1 },
    );
    let mut machine = ready(Thresholds::default());
    machine.step(doubted, NOW);
    assert_eq!(machine.state(), State::Degraded);
    machine.step(trusted, NOW);
    assert_eq!(machine.state(), State::Ready);
    // However many checks fail, calls in between keep it from being opened anew.
    for _ in 0..10 {
        machine.step(failed, NOW);
        machine.step(trusted, NOW);
        assert_eq!(machine.state(), State::Degraded);
    }
    machine.step(passed, NOW);
    assert_eq!(machine.state(), State::Ready);
    for _ in 0..3 {
        machine.step(failed, NOW);
    }
    assert_eq!(machine.state(), State::Error);
}

#[test]
fn a_value_that_says_it_cannot_serve_is_degraded_until_a_check_passes_and_is_never_replaced() {
    let unwell = Event::Unwell { generation: 1 };
    let thresholds = Thresholds {
        fail_after: 2,
        ..Thresholds::default()
    };
    let mut machine = ready(thresholds);
    for _ in 0..10 {
        assert_eq!(machine.step(unwell, NOW).action, Action::None);
        assert_eq!(machine.state(), State::Degraded);
        machine.step(Event::Trusted { generation: 1 }, NOW);
        assert_eq!(machine.state(), State::Degraded, "a call is no check");
    }
    machine.step(Event::CheckPassed { generation: 1 }, NOW);
    assert_eq!(machine.state(), State::Ready);
}
