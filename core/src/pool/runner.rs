//! The pool's background work, as a value.

use core::future::Future;
use core::sync::atomic::Ordering;
use core::task::Waker;
use core::time::Duration;

use super::job::{CheckJob, Occasion, PoolJob};
use super::shared::PoolShared;
use super::storage::PoolKernel;
use crate::cause::Cause;
use crate::drive::{
    self, CloseJob, CloseLimits, CloseOutcome, Closes, Driven, GivenUp, Holder, RunnerEnd,
    ShutsDown, Turn,
};
use crate::ending::Why;
use crate::event::EventKind;
use crate::held::HeldResource;
use crate::kernel::{Driver, IdleWatch, PoolPhase};
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Arc;
use crate::time::Instant;

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
    shared: Arc<PoolShared<R, C>>,
}

impl<R: LocalResource, C: Clock> Runner<R, C> {
    pub(crate) const fn new(shared: Arc<PoolShared<R, C>>) -> Self {
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
        drive::run(self.shared)
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("pool", &self.shared.reporter.name)
            .finish_non_exhaustive()
    }
}

/// When the Runner looks after what lies idle.
pub(crate) struct Sweeps {
    next_at: Option<Instant>,
    /// A check is due that has to wait until another one ends.
    is_overdue: bool,
    /// It plans a sweep only for what lies idle now.
    rests: bool,
}

impl<R: LocalResource, C: Clock> Holder for PoolShared<R, C> {
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    fn changed(&self) -> &Signal {
        &self.changed
    }
}

impl<R: LocalResource, C: Clock> Closes for PoolShared<R, C> {
    type Resource = R;
    type Retired = R::Value;

    fn resource(&self) -> &HeldResource<R> {
        &self.resource
    }

    fn close_limits(&self) -> CloseLimits {
        CloseLimits {
            hook: self.config.hook_timeout,
            close: self.config.close_timeout,
            broken: self.config.broken_close_timeout,
        }
    }

    fn take_out(&self, value: R::Value) -> Result<R::Value, Cause> {
        Ok(value)
    }

    fn close_ended(&self, era: u64, end: &CloseOutcome, tell: impl FnOnce()) {
        self.transact_and_tell(
            |transaction| {
                let counts = transaction.kernel().era() == era;
                if counts {
                    transaction.kernel().closed(end.why);
                    transaction.record_ending(end.ending, end.why, end.error.clone());
                }
                counts
            },
            |counts| {
                if counts {
                    tell();
                }
            },
        );
    }

    fn give_up_closing(&self, tell: impl FnOnce(GivenUp<R::Value>)) {
        self.transact_and_tell(
            |transaction| {
                let given_up = GivenUp {
                    timed_out: transaction.kernel().all_closed(),
                    abandoned: transaction.take_retired(),
                };
                for (ending, why) in given_up.endings() {
                    transaction.record_ending(ending, why, None);
                }
                given_up
            },
            tell,
        );
    }
}

impl<R: LocalResource, C: Clock> Driven for PoolShared<R, C> {
    type Job = PoolJob<R, C>;
    type Maintenance = Sweeps;

    fn attach_runner(&self) -> bool {
        // The gates go down that were up for the next use to come by and spawn it.
        self.adjust(|transaction| {
            transaction.kernel().set_watch(IdleWatch::Nothing);
            transaction.kernel().attach_runner()
        })
    }

    fn detach_runner(&self, end: RunnerEnd) {
        let now = self.now();
        let had_begun = end != RunnerEnd::Unpolled;
        let retires = had_begun && !R::OUTLIVES_RUNTIME;
        let lost = self.transact(|transaction| {
            transaction.drop_runner_waker();
            let can_spawn = self.spawn_runner.is_some();
            let lost = transaction.kernel().detach_runner(can_spawn);
            self.watch_without_runner(transaction, now);
            if lost && retires {
                transaction.call_in(Why::RuntimeEnded, |limits| {
                    limits.generation = limits.generation.next();
                });
            }
            if lost {
                transaction.kernel().runner_lost(had_begun);
            }
            lost
        });
        if lost && had_begun {
            self.reporter.send(&self.clock, EventKind::RunnerEnded);
        }
    }

    fn leave_runner_waker(&self, waker: Waker) {
        self.adjust(|transaction| transaction.leave_runner_waker(waker));
    }

    fn begin_maintenance(&self, is_restarted: bool) -> Sweeps {
        let (now, period) = (self.now(), self.sweep_period());
        // Since the Runner before, time has passed that no sweep saw.
        let wait = period.map(|period| if is_restarted { Duration::ZERO } else { period });
        Sweeps {
            next_at: now.zip(wait).map(|(now, wait)| now + wait),
            is_overdue: false,
            rests: false,
        }
    }

    fn begin_turn(
        this: &Arc<Self>,
        sweeps: &mut Sweeps,
        now: Option<Instant>,
        mut begin: impl FnMut(PoolJob<R, C>),
    ) {
        drive::close_without_handles(&**this);
        this.restart_lost_family();
        let Some((now, at)) = now.zip(sweeps.next_at).filter(|(now, at)| now >= at) else {
            return;
        };
        this.tell_if_late(now - at);
        this.report_leaks(now);
        this.adjust(|transaction| transaction.kernel().set_watch(IdleWatch::Nothing));
        this.ask_idle();
        let swept = this.sweep(now, now - at);
        for slot in swept.to_check {
            begin(PoolJob::Check(CheckJob::new(this, slot, Occasion::Idle)));
        }
        *sweeps = Sweeps {
            next_at: swept.next_at,
            is_overdue: swept.overdue,
            rests: swept.rests,
        };
        if sweeps.rests || sweeps.next_at.is_none() {
            sweeps.next_at = sweeps.next_at.into_iter().chain(this.next_leak()).min();
        }
    }

    fn claim_for_runner(
        this: &Arc<Self>,
        sweeps: &mut Sweeps,
        now: Option<Instant>,
    ) -> Turn<PoolJob<R, C>> {
        // In one moment: a close that was counted as over since would be begun all the same.
        let (claimed, (phase, watch, due, era)) =
            Self::claim_and_look(this, Driver::Runner, now, None, |kernel| {
                let due = kernel.next_due();
                (kernel.phase(), kernel.watch(), due, kernel.era())
            });
        if sweeps.rests {
            let planned = match watch {
                IdleWatch::Nothing => {
                    sweeps.rests = false;
                    let period = this.sweep_period();
                    now.zip(period).map(|(now, period)| now + period)
                }
                _ => Some(due).filter(|due| *due != Instant::MAX),
            };
            sweeps.next_at = sweeps.next_at.into_iter().chain(planned).min();
        }
        let wake_at = sweeps.next_at.into_iter().chain(claimed.resumes_at).min();
        Turn {
            job: claimed.job,
            wake_at,
            is_closing: phase != PoolPhase::Open,
            era,
            is_over: phase == PoolPhase::Closed,
        }
    }

    fn end_turn(sweeps: &mut Sweeps, now: Option<Instant>, some_ended: bool) -> bool {
        if some_ended && sweeps.is_overdue {
            sweeps.next_at = now;
        }
        false
    }

    fn is_of_shutdown(job: &PoolJob<R, C>) -> bool {
        matches!(job, PoolJob::Close(_))
    }

    fn perform(job: PoolJob<R, C>) -> impl Future<Output = ()> {
        job.perform_quietly()
    }
}

impl<R: LocalResource, C: Clock> ShutsDown for PoolShared<R, C> {
    fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }

    fn begin_closing(&self, why: Why) {
        if !self.look(PoolKernel::is_open) {
            // The Runner asks at each turn, and would wake itself for another.
            return;
        }
        let now = self.now();
        self.transact(|transaction| {
            if !transaction.kernel().is_open() {
                return;
            }
            transaction.kernel().begin_draining();
            transaction.begin_report(now);
            transaction.retire_all(why);
            transaction.refuse_all();
        });
    }

    fn is_closed(&self) -> bool {
        self.look(|kernel| kernel.phase() == PoolPhase::Closed)
    }

    fn claim_for_shutdown(this: &Arc<Self>, deadline: Option<Instant>) -> Option<PoolJob<R, C>> {
        let (retired, era) = this.adjust(|transaction| transaction.claim_close())?;
        let job = CloseJob::new(this, retired, era, deadline);
        Some(PoolJob::Close(job))
    }

    fn cut_short(&self) {
        drive::abandon_unclosed(self);
    }
}

impl<R: LocalResource, C: Clock> PoolShared<R, C> {
    /// Spawns another Runner, if there is none any more and this is the first use to see it. Returns `true` if so.
    ///
    /// To be called where a runtime is likely to live: never in a `drop`.
    pub(crate) fn respawn_if_lost(this: &Arc<Self>) -> bool {
        let respawns = this.spawn_runner.is_some()
            && this.adjust(|transaction| {
                let kernel = transaction.kernel();
                kernel.phase() != PoolPhase::Closed && kernel.claim_respawn()
            });
        if respawns {
            Self::respawn(this);
        }
        respawns
    }

    /// Returns `true` if a Runner of this pool opens values before anything is asked of the pool.
    pub(crate) fn opens_by_itself(&self) -> bool {
        self.look(|kernel| kernel.is_warm() && kernel.least() > 0)
    }

    /// Spawns another Runner, for a caller that has claimed it.
    #[cold]
    pub(crate) fn respawn(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        if drive::spawn_runner(this, spawn) {
            this.adjust(|transaction| transaction.kernel().runner_was_spawned());
        }
    }

    /// Has the Runner look, as when the last handle is gone.
    pub(super) fn wake_runner(&self) {
        self.adjust(|transaction| transaction.kernel().wake_runner());
    }
}
