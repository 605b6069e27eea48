//! The background work of a shared resource, as a value.

use alloc::vec::Vec;
use core::future::Future;

use super::book::GenerationBook;
use super::generation::Lent;
use super::inner::Inner;
use crate::drive::{JobSet, Round, go_round};
use crate::ending::Why;
use crate::event::EventKind;
use crate::managed;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{self, Arc};
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
        let attached = AttachedSharedRunner::new(self.inner);
        async move { attached.drive().await }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("shared", &self.inner.settings.name)
            .finish_non_exhaustive()
    }
}

/// The resource knows of its Runner for as long as this lives.
struct AttachedSharedRunner<R: LocalResource, C: Clock> {
    inner: Arc<Inner<R, C>>,
    /// `true` if it takes the place of one that was lost.
    restarted: bool,
}

/// What the Runner finds to do.
struct SharedTurn<R: LocalResource, C: Clock> {
    arrived: Vec<managed::Runner<Lent<R>, C>>,
    closable: Vec<u64>,
    idle_until: Option<Instant>,
    is_over: bool,
}

impl<R: LocalResource<Value: Clone>, C: Clock> AttachedSharedRunner<R, C> {
    fn new(inner: Arc<Inner<R, C>>) -> Self {
        let restarted = inner.book.with(|book| {
            book.has_runner = true;
            if book.had_runner {
                // Those of the generations that are left have gone with the one before.
                let runners = book
                    .generations
                    .iter()
                    .map(|generation| generation.managed.runner());
                book.arrived = runners.collect();
            }
            core::mem::replace(&mut book.had_runner, true)
        });
        Self { inner, restarted }
    }

    async fn drive(self) {
        let inner = &self.inner;
        if self.restarted {
            inner.send(EventKind::RunnerRestarted);
        }
        let reporter = inner.settings.reporter();
        let mut services = JobSet::new(&inner.clock);
        let mut closings = JobSet::new(&inner.clock);
        go_round(&inner.clock, &inner.changed, |cx| {
            let claimed = self.claim();
            for runner in claimed.arrived {
                services.push(runner.run());
            }
            for number in claimed.closable {
                closings.push(Inner::close_generation(inner.clone(), number, None));
            }
            let progressed = services.poll(cx) | closings.poll(cx);
            services.tell_panics(&reporter, &inner.clock);
            closings.tell_panics(&reporter, &inner.clock);
            if progressed {
                return Round::Again;
            }
            if claimed.is_over {
                return Round::Done(());
            }
            Round::Wait {
                until: claimed.idle_until,
            }
        })
        .await;
    }

    fn claim(&self) -> SharedTurn<R, C> {
        let inner = &self.inner;
        let now = inner.now();
        let idle_timeout = inner.settings.idle_timeout;
        inner.book.with(|book| {
            book.expire(now, idle_timeout);
            let closable = core::iter::from_fn(|| book.claim_retired()).collect();
            SharedTurn {
                arrived: core::mem::take(&mut book.arrived),
                closable,
                idle_until: book.idle_until(idle_timeout),
                is_over: book.is_shut && book.generations.is_empty(),
            }
        })
    }
}

impl<R: LocalResource, C: Clock> Drop for AttachedSharedRunner<R, C> {
    /// Spawns nothing: where a runtime drops its tasks, there is none to spawn on.
    fn drop(&mut self) {
        let inner = &self.inner;
        let spawned = inner.spawn_runner.is_some() && inner.has_handles();
        let (unneeded, ended) = inner.book.with(|book| {
            book.has_runner = false;
            book.runner_lost = spawned && !book.is_shut;
            // Callers may have opened a value under its runtime before it was ever polled.
            let ended = book.runner_lost && !book.is_spawning;
            if ended && !R::OUTLIVES_RUNTIME {
                book.retire_current(Why::RuntimeEnded);
            }
            for generation in &mut book.generations {
                generation.is_closing = false;
            }
            (core::mem::take(&mut book.arrived), ended)
        });
        drop(unneeded);
        inner.changed.notify_all();
        if ended {
            inner.send(EventKind::RunnerEnded);
        }
        inner.abandon_orphans();
    }
}

impl<R: LocalResource, C: Clock> Inner<R, C> {
    /// Spawns another Runner, if there is none any more and this is the first use to see it: never in a `drop`.
    pub(crate) fn respawn_if_lost(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        let claimed = |book: &mut GenerationBook<R, C>| {
            let claimed = core::mem::take(&mut book.runner_lost);
            book.is_spawning |= claimed;
            claimed
        };
        if !this.book.with(claimed) {
            return;
        }
        let spawned = sync::contain(|| spawn(this));
        this.book.with(|book| book.is_spawning = false);
        if let Err(message) = spawned {
            let reporter = this.settings.reporter();
            reporter.swallowed(&this.clock, "spawn", message);
        }
    }

    fn send(&self, kind: EventKind<'_>) {
        self.settings.reporter().send(&self.clock, kind);
    }
}
