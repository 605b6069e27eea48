//! The background work of a shared resource, as a value.

use core::future::Future;
use core::task::Waker;

use super::book::GenerationBook;
use super::inner::Inner;
use super::job::{CloseGenerationJob, SharedJob};
use crate::drive::{self, Attachment, Driven, Holder, RunnerEnd, Turn};
use crate::ending::Why;
use crate::event::EventKind;
use crate::reporter::Reporter;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::sync::Arc;
use crate::time::Instant;

/// The background work of a [`Shared`](super::Shared) value: opening it, closing it once it has been idle for too
/// long or was replaced, closing what the last handle left behind.
///
/// [`SharedBuilder::build`](super::SharedBuilder::build) spawns it for you. Built with
/// [`build_with_runner`](super::SharedBuilder::build_with_runner) it is yours to spawn, to await or to drop. Without
/// it, the next to acquire opens the value, and closes one first that has been idle for too long. A value that was replaced
/// is closed by the swap, or, if it still has users then, by the next to acquire or to swap after the last of them.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let (shared, runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
/// let work = async {
///     drop(shared.acquire().await?);
///     Ok::<_, BoxError>(shared.close().await)
/// };
/// let (report, ()) = futures::join!(work, runner.run());
/// assert_eq!(report?.closed, 1);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[must_use = "spawn or await its `run`, or drop it on purpose"]
pub struct Runner<R: LocalResource, C: Clock> {
    inner: Arc<Inner<R, C>>,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Runner<R, C> {
    pub(crate) const fn new(inner: Arc<Inner<R, C>>) -> Self {
        Self { inner }
    }

    /// Does the work until there was a shutdown, or the last handle was dropped, and every value has ended.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (shared, runner) = Shared::builder(Db).build_with_runner(NoTimer)?;
    /// std::thread::spawn(|| block_on(runner.run()));
    /// block_on(shared.close());
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future hands an opening under way to whoever waits for it, who starts anew, and counts a close
    /// under way as abandoned. All goes on without a Runner.
    pub fn run(self) -> impl Future<Output = ()> + use<R, C> {
        drive::run(self.inner)
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("shared", &self.inner.settings.reporter.name)
            .finish_non_exhaustive()
    }
}

impl<R: LocalResource, C: Clock> Holder for Inner<R, C> {
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn reporter(&self) -> &Reporter {
        &self.settings.reporter
    }

    fn changed(&self) -> &Signal {
        &self.changed
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Driven for Inner<R, C> {
    type Job = SharedJob<R, C>;
    type Maintenance = ();

    fn attach_runner(&self) -> bool {
        self.book.with(|book| {
            book.runner = Attachment::Attached(None);
            book.runner_has_begun = false;
            if book.had_runner {
                // Those of the generations that are left have gone with the one before.
                let runners = book
                    .generations
                    .iter()
                    .map(|generation| generation.managed.runner());
                book.arrived = runners.collect();
            }
            core::mem::replace(&mut book.had_runner, true)
        })
    }

    fn detach_runner(&self, _end: RunnerEnd) {
        let spawned = self.spawn_runner.is_some() && self.has_handles();
        let (unneeded, ended) = self.change(|book, wakes| {
            wakes.drop_waker(book.runner.take_waker());
            let is_lost = spawned && !book.is_shut;
            book.runner = if is_lost {
                Attachment::Lost
            } else {
                Attachment::Absent
            };
            // Also if it was never polled: callers may have opened a value under its runtime before.
            let ended = is_lost && !book.is_spawning;
            if ended && !R::OUTLIVES_RUNTIME {
                book.retire_current(Why::RuntimeEnded);
            }
            (core::mem::take(&mut book.arrived), ended)
        });
        drop(unneeded);
        if ended {
            let reporter = &self.settings.reporter;
            reporter.send(&self.clock, EventKind::RunnerEnded);
        }
        self.abandon_orphans();
    }

    fn leave_runner_waker(&self, waker: Waker) {
        let replaced = self.book.with(|book| book.runner.leave_waker(waker));
        drop(replaced);
    }

    fn begin_maintenance(&self, _is_restarted: bool) {
        self.book.with(|book| book.runner_has_begun = true);
    }

    fn begin_turn(
        this: &Arc<Self>,
        (): &mut (),
        _now: Option<Instant>,
        _begin: impl FnMut(SharedJob<R, C>),
    ) {
        drive::close_without_handles(&**this);
    }

    fn claim_for_runner(
        this: &Arc<Self>,
        (): &mut (),
        now: Option<Instant>,
    ) -> Turn<SharedJob<R, C>> {
        let idle_timeout = this.settings.idle_timeout;
        this.book.with(|book| {
            book.expire(now, idle_timeout);
            let serve = book.arrived.pop_front().map(SharedJob::Serve);
            let job = serve.or_else(|| {
                let generation = book.closable(false)?;
                CloseGenerationJob::claim(this, generation, None).map(SharedJob::Close)
            });
            Turn {
                job,
                wake_at: book.idle_until(idle_timeout),
                // Nothing is called off: a generation is told by its close, and counts what was closed in which era itself.
                is_closing: false,
                era: 0,
                is_over: book.is_closed(),
            }
        })
    }

    fn is_of_shutdown(_job: &SharedJob<R, C>) -> bool {
        true
    }

    fn perform(job: SharedJob<R, C>) -> impl Future<Output = ()> {
        job.perform()
    }
}

impl<R: LocalResource, C: Clock> Inner<R, C> {
    /// Spawns another Runner, if there is none any more and this is the first use to see it: never in a `drop`.
    pub(crate) fn respawn_if_lost(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        let claimed = |book: &mut GenerationBook<R, C>| {
            let claimed = book.runner.claim_respawn();
            book.is_spawning |= claimed;
            claimed
        };
        if this.book.with(claimed) {
            drive::spawn_runner(this, spawn);
            this.book.with(|book| book.is_spawning = false);
        }
    }
}
