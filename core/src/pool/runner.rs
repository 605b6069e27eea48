//! The pool's background work, as a value.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use super::job::{CareDuty, CloseDuty, Job, Occasion, OpenDuty};
use super::shared::{Phase, Queue, Shared, Watch};
use super::slot::Limits;
use crate::Instant;
use crate::alarm::Alarm;
use crate::cleanup::Why;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{self, Arc};
use crate::work::{Attachment, JobSet, Rounds, Wakes};

/// The background work of a [`Pool`](crate::Pool): opening, checking, trimming and closing its values.
///
/// [`PoolBuilder::build`](crate::pool::PoolBuilder::build) spawns it for you. Built with
/// [`build_with_runner`](crate::pool::PoolBuilder::build_with_runner) it is yours to spawn, to await or
/// to drop: a pool works without it, and only background checks, refills and trimming stop. Openings
/// and closings are then driven by whoever needs them.
///
/// ```
/// # use tenure_core::{NoTimer, Pool, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok(String::new()) }
/// # }
/// # futures::executor::block_on(async {
/// let (pool, runner) = Pool::builder(Text).build_with_runner(NoTimer)?;
/// let work = async {
///     pool.acquire().await.unwrap();
///     pool.close().await
/// };
/// let (report, ()) = futures::join!(work, runner.run());
/// assert!(report.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
#[must_use = "spawn or await its `run`, or drop it on purpose"]
pub struct Runner<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
}

impl<R: LocalResource, C: Clock> Runner<R, C> {
    pub(crate) const fn new(shared: Arc<Shared<R, C>>) -> Self {
        Self { shared }
    }

    /// Does the work until the pool is shut down, or its last handle is dropped, and every value has
    /// ended.
    ///
    /// The pool counts on the Runner from this call on, even before the future is first polled, so
    /// that a first caller does not open beside it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (pool, runner) = Pool::builder(Db).build_with_runner(NoTimer)?;
    /// std::thread::spawn(|| block_on(runner.run()));
    /// block_on(pool.close());
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future calls off the openings under way, hands values under a check to be closed,
    /// and counts the closes under way as abandoned. The pool goes on without a Runner.
    pub fn run(self) -> impl Future<Output = ()> + use<R, C> {
        let attached = Attached::new(self.shared);
        async move { attached.drive().await }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("pool", &self.shared.reporter.name)
            .finish_non_exhaustive()
    }
}

/// The pool knows of its Runner for as long as this lives.
struct Attached<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    /// `true` if it takes the place of one that was lost.
    restarted: bool,
    /// `true` once it was polled: values may have been opened under its runtime.
    begun: bool,
}

impl<R: LocalResource, C: Clock> Attached<R, C> {
    fn new(shared: Arc<Shared<R, C>>) -> Self {
        let restarted = shared.queue.with(|queue| {
            queue.runner = Attachment::Attached(None);
            shared.watch_by_sweeps(queue);
            // They were up for the next use to come by and spawn it.
            shared.settle_gates(queue);
            let restarted = core::mem::replace(&mut queue.had_runner, true);
            queue.runner_spawned = !restarted;
            restarted
        });
        Self {
            shared,
            restarted,
            begun: false,
        }
    }

    /// Says that it goes on where another left off, and returns when to sweep first.
    fn begin(&mut self) -> Option<Instant> {
        self.begun = true;
        let shared = &self.shared;
        let first_sweep = shared.first_sweep();
        if !self.restarted {
            return first_sweep;
        }
        shared
            .reporter
            .send(&shared.clock, EventKind::RunnerRestarted);
        // Meanwhile time has passed that no sweep saw.
        first_sweep.and(shared.now())
    }

    async fn drive(mut self) {
        let mut sweep_at = self.begin();
        let shared = &self.shared;
        // What a shutdown calls off, and what it waits for.
        let mut services = JobSet::new();
        let mut closings = JobSet::new();
        let mut era = 0;
        let mut overdue = false;
        // While it rests, a sweep is planned only for what lies idle.
        let mut rests = false;
        let mut alarm = pin!(Alarm::unset());
        poll_fn(|cx| {
            let mut rounds = Rounds::new();
            while rounds.go_on(cx) {
                shared.leave_runner_waker(cx.waker());
                shared.restart_lost_family();
                if !shared.has_handles() {
                    shared.begin_closing(Why::HandlesDropped);
                }
                let now = shared.now();
                if let Some((now, at)) = now.zip(sweep_at).filter(|(now, at)| now >= at) {
                    shared.tell_if_late(now - at);
                    shared.report_leaks(now);
                    shared.queue.with(|queue| shared.watch_by_sweeps(queue));
                    shared.retire_broken();
                    let swept = shared.sweep(now, now - at);
                    for slot in swept.to_check {
                        let duty = CareDuty::claim(shared, slot, Occasion::Idle);
                        services.push(Job::Care(duty).perform_quietly());
                    }
                    sweep_at = swept.next_at;
                    (overdue, rests) = (swept.overdue, swept.rests);
                    if rests || sweep_at.is_none() {
                        sweep_at = sweep_at.into_iter().chain(shared.next_leak()).min();
                    }
                }
                let resumes_at = loop {
                    let claimed = Shared::claim_for_runner(shared, now);
                    if claimed.phase != Phase::Open {
                        services.clear();
                    }
                    if rests {
                        let planned = match claimed.watch {
                            Watch::Nothing => {
                                rests = false;
                                now.zip(shared.sweep_period())
                                    .map(|(now, period)| now + period)
                            }
                            _ => Some(claimed.next_due).filter(|at| *at != Instant::MAX),
                        };
                        sweep_at = sweep_at.into_iter().chain(planned).min();
                    }
                    if claimed.era != era {
                        era = claimed.era;
                        closings.clear();
                    }
                    let Some(job) = claimed.job else {
                        break claimed.resumes_at;
                    };
                    let jobs = if job.is_close() {
                        &mut closings
                    } else {
                        &mut services
                    };
                    jobs.push(job.perform_quietly());
                };
                let served = services.poll(cx);
                if served && overdue {
                    sweep_at = now;
                }
                let progressed = served | closings.poll(cx);
                services.tell_panics(&shared.reporter, &shared.clock);
                closings.tell_panics(&shared.reporter, &shared.clock);
                if shared.is_closed() {
                    return Poll::Ready(());
                }
                if progressed {
                    continue;
                }
                let wake_at = [sweep_at, resumes_at].into_iter().flatten().min();
                if alarm.as_mut().poll(&shared.clock, wake_at, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Pending
        })
        .await;
    }
}

impl<R: LocalResource, C: Clock> Drop for Attached<R, C> {
    /// Spawns nothing: where a runtime drops its tasks, there is none to spawn on.
    fn drop(&mut self) {
        let shared = &self.shared;
        let now = shared.now();
        let mut wakes = Wakes::default();
        let lost = shared.queue.with(|queue| {
            wakes.drop_waker(queue.runner.take_waker());
            let lost = shared.spawn_runner.is_some() && queue.wants_next_runner();
            queue.runner = if lost {
                Attachment::Lost
            } else {
                Attachment::Absent
            };
            shared.watch_without_runner(queue, now);
            if lost {
                shared.runner_lost(queue, self.begun, &mut wakes);
            }
            shared.poke(queue, &mut wakes);
            lost
        });
        shared.wake(wakes);
        if lost && self.begun {
            shared.reporter.send(&shared.clock, EventKind::RunnerEnded);
        }
    }
}

/// What the Runner finds to do.
struct Claimed<R: LocalResource, C: Clock> {
    job: Option<Job<R, C>>,
    resumes_at: Option<Instant>,
    phase: Phase,
    watch: Watch,
    next_due: Instant,
    era: u64,
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// The Runner ended before its time, most likely with its runtime. Under the queue's lock.
    fn runner_lost(&self, queue: &mut Queue<R::Value>, had_begun: bool, wakes: &mut Wakes) {
        // If not, the caller that was to restart it was refused by its executor.
        let was_spawned = had_begun || queue.runner_spawned;
        if had_begun && !R::OUTLIVES_RUNTIME {
            let next = |limits: &mut Limits| limits.generation = limits.generation.next();
            self.retire_forbidden(queue, Why::RuntimeEnded, next, wakes);
        }
        self.settle_gates(queue);
        if let Some(family) = &queue.family {
            if family.quota.note_lost_runner(was_spawned) {
                wakes.tell_family();
            }
        }
        // Any of them may live in the runtime that ends, and never run again, and what keeps the others may be work of
        // another pool of the family. Each tries once to spawn a Runner. Of a try that fails no more hear than the one
        // that made it and another, or all would be woken as often as there are waiters.
        let told = if was_spawned { usize::MAX } else { 2 };
        queue.waiters.wake_idlers(told, |waker| wakes.push(waker));
    }

    /// Spawns another Runner, if there is none any more and this is the first use to see it. Returns `true` if so.
    ///
    /// To be called where a runtime is likely to live: never in a `drop`.
    pub(crate) fn respawn_if_lost(this: &Arc<Self>) -> bool {
        let claim = |queue: &mut Queue<R::Value>| {
            queue.phase != Phase::Closed && queue.runner.claim_respawn()
        };
        let respawns = this.spawn_runner.is_some() && this.queue.with(claim);
        if respawns {
            Self::respawn(this);
        }
        respawns
    }

    /// Returns `true` if a Runner of this pool opens values before anything is asked of the pool.
    pub(crate) fn opens_by_itself(&self) -> bool {
        self.queue
            .with(|queue| queue.warm && queue.least(&self.config) > 0)
    }

    /// Spawns another Runner, for a caller that has claimed it.
    #[cold]
    pub(crate) fn respawn(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        match sync::contain(|| spawn(this)) {
            Ok(()) => this.queue.with(|queue| queue.runner_spawned = true),
            Err(message) => this.reporter.swallowed(&this.clock, "spawn", message),
        }
    }

    fn claim_for_runner(this: &Arc<Self>, now: Option<Instant>) -> Claimed<R, C> {
        let mut wakes = Wakes::default();
        let claimed = this.queue.with(|queue| {
            this.settle_family_in_turn(queue, now, &mut wakes);
            this.note_time(queue, now, &mut wakes);
            let wanted = queue.openings_wanted(&this.config) > 0;
            let wants_place = queue.wants_place(&this.config);
            let paused = (wanted || wants_place) && !queue.may_open(now);
            let due = wanted && !paused && queue.openings_due(&this.config) > 0;
            if wants_place && !paused {
                // Seen when the jobs are polled, and its place is free then.
                wakes.push(queue.openings.give_way());
            }
            let job = if let Some(duty) = Self::claim_returned(this, queue) {
                Some(Job::Care(duty))
            } else {
                let opening = due.then(|| OpenDuty::claim(this, queue, now));
                let opening = opening.flatten().map(Job::Open);
                opening.or_else(|| CloseDuty::claim(this, queue, None).map(Job::Close))
            };
            let resumes_at = queue.opens_at(paused);
            Claimed {
                job,
                resumes_at,
                phase: queue.phase,
                watch: queue.watch,
                next_due: queue.next_due,
                era: queue.era,
            }
        });
        this.wake(wakes);
        claimed
    }

    fn leave_runner_waker(&self, waker: &core::task::Waker) {
        let waker = waker.clone();
        let replaced = self.queue.with(|queue| queue.runner.leave_waker(waker));
        drop(replaced);
    }
}
