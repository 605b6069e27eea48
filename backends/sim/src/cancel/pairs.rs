//! Two operations that share state, one dropped while the other stands anywhere.

use std::ops::Range;

use super::Cancelled;
use super::moment::{Moment, Way, When};
use super::plan::Plan;
use crate::executor::{Executor, Front, Next};
use crate::sim::Sim;

/// Two operations that are both kept waiting may see the clock move on so often before they are taken
/// to wait for each other.
const MOST_WAITS: u64 = 1_000;

/// Runs two operations beside each other, each time in a fresh world, and drops the first while the
/// second stands somewhere: for each j and k, the first is dropped after its j-th poll, and in place of
/// its j-th poll, while the second has been polled k times and no more. Then the second goes on to its
/// end, and `check` looks at what is left.
///
/// Whichever gets there first is held until the other does, and time does not pass for one who is held
/// although it could run. Where the two do not meet like this, because one waits for what the other has,
/// the pair of j and k is left out. To drop the second, call it again the other way
/// round. Seeds and replay are as with [`cancel_everywhere`](crate::cancel_everywhere).
///
/// # Panics
/// As [`cancel_everywhere`](crate::cancel_everywhere).
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Pool;
/// use tenure_sim::{Backend, FaultyResource, Hook, Sim, cancel_pairs};
///
/// struct World { backend: Backend, pool: Pool<FaultyResource, Sim> }
///
/// let cancelled = cancel_pairs(
///     0..1,
///     async |sim| {
///         let backend = Backend::new(&sim);
///         backend.set_time(Hook::Open, Duration::from_millis(10));
///         let pool = Pool::builder(FaultyResource::new(&backend)).max_size(1);
///         World { backend, pool: pool.build(sim).unwrap() }
///     },
///     async |world: &World| drop(world.pool.acquire().await),
///     async |world: &World| assert!(world.pool.acquire().await.is_ok()),
///     async |world: World| {
///         world.pool.close().await;
///         world.backend.assert_accounted();
///     },
/// );
/// println!("{cancelled}");
/// # assert!(cancelled.after_polls > 0 && cancelled.instead_of_polls > 1);
/// ```
pub fn cancel_pairs<W>(
    seeds: Range<u64>,
    world: impl AsyncFn(Sim) -> W,
    first: impl AsyncFn(&W),
    second: impl AsyncFn(&W),
    check: impl AsyncFn(W),
) -> Cancelled {
    let plan = Plan::new(seeds);
    let mut cancelled = Cancelled::default();
    let run = |seed, when| {
        plan.run(seed, when, |executor, sim| {
            let held = executor.run("the world", world(sim));
            let met = {
                let world = executor.world().clone();
                let mut first = Front::new(&world, "the first operation", first(&held));
                let mut second = Front::new(&world, "the second operation", second(&held));
                let met = drive(executor, &mut first, &mut second, when);
                if met == Met::AsWanted {
                    executor.run_to_end(&mut second);
                }
                met
            };
            if met == Met::AsWanted {
                executor.run("the check", check(held));
            }
            met
        })
    };
    for seed in plan.seeds.clone() {
        match plan.only {
            None => {
                run(seed, When::Never);
                every_pair(&mut cancelled, |moment| run(seed, When::At(moment)));
            }
            Some(When::Never) => {
                run(seed, When::Never);
            }
            Some(When::At(moment)) => {
                if moment.other_at.is_some() && run(seed, When::At(moment)) == Met::AsWanted {
                    moment.way.count(&mut cancelled);
                }
            }
        }
    }
    cancelled
}

/// What became of the attempt to have one operation here and the other there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    AsWanted,
    FirstEnded,
    /// The second ended before it got there, with the first held where it is.
    SecondEnded,
    /// The second ended before it got there, and before the first did.
    SecondEndedFirst,
    /// The first did not get there, with the second held where it is.
    FirstWaits,
    /// The second did not get there, with the first held where it is.
    SecondWaits,
}

/// Goes through all pairs, until the second operation gets no further.
fn every_pair(cancelled: &mut Cancelled, run: impl Fn(Moment) -> Met) {
    for other_at in 0.. {
        let mut came_there = false;
        for way in [Way::AfterPoll, Way::InsteadOfPoll] {
            for number in 1.. {
                let met = run(Moment {
                    way,
                    number,
                    other_at: Some(other_at),
                });
                match met {
                    Met::AsWanted => {
                        came_there = true;
                        way.count(cancelled);
                    }
                    // With the first one further, the second may get there.
                    Met::SecondEnded | Met::SecondWaits => {}
                    // With the first one further, nothing changes.
                    Met::FirstEnded | Met::FirstWaits | Met::SecondEndedFirst => break,
                }
            }
        }
        if !came_there {
            return;
        }
    }
}

/// Brings both operations to where they are wanted, and drops the first there.
fn drive<'f>(
    executor: &mut Executor,
    first: &mut Front<'f>,
    second: &mut Front<'f>,
    when: When,
) -> Met {
    let moment = match when {
        When::Never => {
            run_both(executor, first, second);
            return Met::AsWanted;
        }
        When::At(moment) => moment,
    };
    let world = executor.world().clone();
    let second_at = moment.other_at.unwrap_or(0);
    let first_at = match moment.way {
        Way::AfterPoll | Way::AfterStep => moment.number,
        Way::InsteadOfPoll | Way::ByPanic => moment.number - 1,
    };
    let mut waits = 0;
    loop {
        if first.is_over() {
            return Met::FirstEnded;
        }
        let first_is_there = world.with(|state| {
            let is_there = first.polls() == first_at;
            if is_there {
                state.hold(first.task());
            }
            if second.polls() == second_at {
                state.hold(second.task());
            }
            is_there && (moment.way == Way::AfterPoll || state.is_woken(first.task()))
        });
        if second.is_over() {
            return if first_is_there {
                Met::SecondEnded
            } else {
                Met::SecondEndedFirst
            };
        }
        if first_is_there && second.polls() == second_at {
            moment.way.cancel(&world, first);
            world.with(|state| state.let_go(second.task()));
            return Met::AsWanted;
        }
        match executor.next() {
            Next::Task(task) => {
                if task == first.task() || task == second.task() {
                    waits = 0;
                }
                executor.poll(task, &mut [first, second]);
            }
            Next::TimePassed if waits < MOST_WAITS => waits += 1,
            Next::TimePassed | Next::Stuck if first_is_there => return Met::SecondWaits,
            Next::TimePassed | Next::Stuck => return Met::FirstWaits,
        }
    }
}

/// Runs both operations to their ends.
fn run_both<'f>(executor: &mut Executor, first: &mut Front<'f>, second: &mut Front<'f>) {
    while !first.is_over() || !second.is_over() {
        match executor.next() {
            Next::Task(task) => executor.poll(task, &mut [first, second]),
            Next::TimePassed => {
                for front in [&*first, &*second] {
                    if !front.is_over() {
                        executor.expect_patience(front);
                    }
                }
            }
            Next::Stuck => executor.report_deadlock(),
        }
    }
}
