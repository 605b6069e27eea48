//! One operation, dropped wherever it can be.

use std::ops::Range;

use super::Cancelled;
use super::moment::{Moment, Way, When};
use super::plan::Plan;
use crate::executor::{Executor, Front, Next};
use crate::sim::Sim;

/// An operation that takes more steps of its world than this is taken not to end.
const MOST_STEPS: u64 = 1_000_000;

/// Runs an operation again and again, each time in a fresh world, and drops it somewhere else each time:
/// after each of its polls, in place of each, after each step of any task while it runs, and by a panic
/// in each poll. Afterwards `check` looks at what is left.
///
/// In place of a poll means that the operation was woken and chosen to run; what it was handed by then
/// must not be lost. `check` runs in the same world: what waits for ever in it is reported as a
/// deadlock, so let it do what others would do next. First the operation runs undisturbed, and is
/// checked too. All this is done for each seed; `TENURE_SIM_SEEDS` takes the place of `seeds` as in
/// [`explore`](crate::explore).
///
/// The operation has to end when it is let run. A background task such as a pool's Runner is an operation
/// like any other, if the world has a task that makes it end.
///
/// # Panics
/// If `check` or any task panics or waits for ever. The message says where the operation was dropped,
/// and how to replay that alone.
///
/// ```
/// use std::time::Duration;
/// use tenure_core::Pool;
/// use tenure_sim::{Backend, FaultyResource, Hook, Sim, cancel_everywhere};
///
/// struct World { backend: Backend, pool: Pool<FaultyResource, Sim> }
///
/// let cancelled = cancel_everywhere(
///     0..2,
///     async |sim| {
///         let backend = Backend::new(&sim);
///         backend.set_time(Hook::Open, Duration::from_millis(10));
///         let pool = Pool::builder(FaultyResource::new(&backend)).max_size(1);
///         World { backend, pool: pool.build(sim).unwrap() }
///     },
///     async |world: &World| drop(world.pool.acquire().await),
///     async |world: World| {
///         assert!(world.pool.acquire().await.is_ok(), "the slot came back");
///         world.pool.close().await;
///         assert!(world.pool.audit().is_balanced());
///         world.backend.assert_accounted();
///     },
/// );
/// println!("{cancelled}");
/// # assert!(cancelled.after_polls > 0 && cancelled.instead_of_polls > 0 && cancelled.after_steps > 0);
/// ```
pub fn cancel_everywhere<W>(
    seeds: Range<u64>,
    world: impl AsyncFn(Sim) -> W,
    operation: impl AsyncFn(&W),
    check: impl AsyncFn(W),
) -> Cancelled {
    let plan = Plan::new(seeds);
    let mut cancelled = Cancelled::default();
    // Says whether the moment came before the operation ended.
    let run = |seed, when| {
        plan.run(seed, when, |executor, sim| {
            let held = executor.run("the world", world(sim));
            let came = {
                let mut front = Front::new(executor.world(), "the operation", operation(&held));
                drive(executor, &mut front, when)
            };
            if came {
                executor.run("the check", check(held));
            }
            came
        })
    };
    for seed in plan.seeds.clone() {
        match plan.only {
            None => {
                run(seed, When::Never);
                for way in Way::ALL {
                    let moments = (1..).map(|number| {
                        When::At(Moment {
                            way,
                            number,
                            other_at: None,
                        })
                    });
                    { moments }
                        .take_while(|when| run(seed, *when))
                        .for_each(|_| way.count(&mut cancelled));
                }
            }
            Some(When::Never) => {
                run(seed, When::Never);
            }
            Some(When::At(moment)) => {
                if moment.other_at.is_none() && run(seed, When::At(moment)) {
                    moment.way.count(&mut cancelled);
                }
            }
        }
    }
    cancelled
}

/// Runs the operation until it ends or is dropped, and says whether it came to what was wanted.
fn drive(executor: &mut Executor, front: &mut Front<'_>, when: When) -> bool {
    let moment = match when {
        When::Never => {
            executor.run_to_end(front);
            return true;
        }
        When::At(moment) => moment,
    };
    let mut steps = 0;
    while !front.is_over() {
        match executor.next() {
            Next::Task(task) => {
                steps += 1;
                assert!(
                    steps < MOST_STEPS,
                    "the operation has not ended after {MOST_STEPS} steps"
                );
                if task != front.task() || !moment.is_instead_of_poll(front.polls() + 1) {
                    executor.poll(task, &mut [front]);
                    if front.is_over() || !moment.is_after(front.polls(), steps) {
                        continue;
                    }
                }
                moment.way.cancel(executor.world(), front);
                return true;
            }
            Next::TimePassed => executor.expect_patience(front),
            Next::Stuck => executor.report_deadlock(),
        }
    }
    false
}

impl Moment {
    /// Whether the operation is dropped in place of its poll of this number.
    fn is_instead_of_poll(self, poll: u64) -> bool {
        match self.way {
            Way::InsteadOfPoll | Way::ByPanic => self.number == poll,
            Way::AfterPoll | Way::AfterStep => false,
        }
    }

    /// Whether the operation is dropped after so many polls of its own and steps of the world.
    fn is_after(self, polls: u64, steps: u64) -> bool {
        match self.way {
            Way::AfterPoll => self.number == polls,
            Way::AfterStep => self.number == steps,
            Way::InsteadOfPoll | Way::ByPanic => false,
        }
    }
}
