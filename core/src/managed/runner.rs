//! The background work of a managed resource, as a value.

use core::future::Future;
use core::task::Waker;

use super::job::{ManagedCheckJob, ManagedJob, Purpose};
use super::shared::{ManagedCell, ManagedEffects, ManagedShared, ManagedSuspicion};
use crate::drive::{self, Attachment, Driven, RunnerEnd, Turn};
use crate::ending::Why;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::Arc;
use crate::time::Instant;

/// The background work of a [`Managed`](crate::Managed) resource: opening, checking, recovering and
/// closing its value.
///
/// [`ManagedBuilder::build`](crate::managed::ManagedBuilder::build) spawns it for you. Built with
/// [`build_with_runner`](crate::managed::ManagedBuilder::build_with_runner) it is yours to spawn, to
/// await or to drop: the resource works without it, and only background checks and recovery stop.
/// Whoever needs the value then opens it, and closes what has to be closed.
///
/// ```
/// # use tenure_core::{Managed, NoTimer, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok("text".into()) }
/// # }
/// # futures::executor::block_on(async {
/// let (text, runner) = Managed::builder(Text).build_with_runner(NoTimer)?;
/// let work = async {
///     assert_eq!(text.get().await.unwrap(), "text");
///     text.close().await
/// };
/// let (report, ()) = futures::join!(work, runner.run());
/// assert_eq!(report.closed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
#[must_use = "spawn or await its `run`, or drop it on purpose"]
pub struct Runner<R: LocalResource, C: Clock> {
    shared: Arc<ManagedShared<R, C>>,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Runner<R, C> {
    pub(crate) const fn new(shared: Arc<ManagedShared<R, C>>) -> Self {
        Self { shared }
    }

    /// Does the work until the resource is shut down, or its last handle is dropped, and every value
    /// has ended.
    ///
    /// The resource counts on the Runner from this call on, even before the future is first polled,
    /// so that a first caller does not open beside it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// let (managed, runner) = Managed::builder(Db).build_with_runner(NoTimer)?;
    /// std::thread::spawn(|| block_on(runner.run()));
    /// block_on(managed.close());
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future hands an opening under way to whoever waits for it, who starts anew, and
    /// counts a close under way as abandoned. The resource goes on without a Runner.
    pub fn run(self) -> impl Future<Output = ()> + use<R, C> {
        drive::run(self.shared)
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("resource", &self.shared.reporter.name)
            .finish_non_exhaustive()
    }
}

/// Whether an opening may begin in this turn: what is closed beside the next opening begins before it.
pub(crate) struct MayOpen(bool);

impl<R: LocalResource<Value: Clone>, C: Clock> Driven for ManagedShared<R, C> {
    type Job = ManagedJob<R, C>;
    type Maintenance = MayOpen;

    fn attach_runner(&self) -> bool {
        self.with(|cell, _| {
            cell.runner = Attachment::Attached(None);
            core::mem::replace(&mut cell.had_runner, true) && self.spawn_runner.is_some()
        })
    }

    fn detach_runner(&self, end: RunnerEnd) {
        let (now, spawned) = (self.now(), self.spawn_runner.is_some());
        let had_begun = end != RunnerEnd::Unpolled;
        let spawned = spawned && self.has_handles();
        let lost = self.with(|cell, effects| {
            effects.wakes.drop_waker(cell.runner.take_waker());
            effects.wakes.signal();
            let lost = spawned && !cell.is_closing();
            cell.runner = if lost {
                Attachment::Lost
            } else {
                Attachment::Absent
            };
            let retires = lost && had_begun && !R::OUTLIVES_RUNTIME;
            let current = cell.current.as_ref().map(|held| held.generation);
            if let (Some(generation), true) = (current, retires) {
                let event = Event::ValueLost { generation };
                cell.step_because(Why::RuntimeEnded, event, now, effects);
            }
            lost
        });
        if lost && had_begun {
            self.reporter.send(&self.clock, EventKind::RunnerEnded);
        }
        self.close_if_orphaned();
    }

    fn leave_runner_waker(&self, waker: Waker) {
        let replaced = self.cell.with(|cell| cell.runner.leave_waker(waker));
        drop(replaced);
    }

    fn begin_maintenance(&self, _is_restarted: bool) -> MayOpen {
        MayOpen(true)
    }

    fn begin_turn(
        this: &Arc<Self>,
        may_open: &mut MayOpen,
        _now: Option<Instant>,
        _begin: impl FnMut(ManagedJob<R, C>),
    ) {
        drive::close_without_handles(&**this);
        *may_open = MayOpen(true);
    }

    fn claim_for_runner(
        this: &Arc<Self>,
        may_open: &mut MayOpen,
        now: Option<Instant>,
    ) -> Turn<ManagedJob<R, C>> {
        this.with(|cell, effects| {
            let recover_at = recover(cell, now, effects);
            let opens = may_open.0;
            let close = cell.closer.claim(this, None).map(ManagedJob::Close);
            may_open.0 &= close.is_none();
            let job = close
                .or_else(|| opens.then(|| Self::claim_open(this, cell)).flatten())
                .or_else(|| Self::claim_check(this, cell, now))
                .or_else(|| Self::claim_suspect(this, cell));
            let check_at = cell.check_at.filter(|_| !cell.is_checking());
            Turn {
                job,
                wake_at: [check_at, recover_at].into_iter().flatten().min(),
                is_closing: cell.is_closing(),
                era: cell.closer.era(),
                is_over: cell.state() == State::Closed,
            }
        })
    }

    fn end_turn(may_open: &mut MayOpen, _now: Option<Instant>, _some_ended: bool) -> bool {
        !may_open.0
    }

    fn is_of_shutdown(job: &ManagedJob<R, C>) -> bool {
        job.is_of_shutdown()
    }

    fn perform(job: ManagedJob<R, C>) -> impl Future<Output = ()> {
        job.perform()
    }
}

impl<R: LocalResource, C: Clock> ManagedShared<R, C> {
    /// Spawns another Runner, for a caller that has claimed it: never in a `drop`.
    #[cold]
    pub(crate) fn respawn(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        drive::spawn_runner(this, spawn);
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> ManagedShared<R, C> {
    fn claim_check(
        this: &Arc<Self>,
        cell: &mut ManagedCell<R::Value>,
        now: Option<Instant>,
    ) -> Option<ManagedJob<R, C>> {
        let every = this.config.check_every?;
        let (now, check_at) = (now?, cell.check_at?);
        if cell.is_checking() || now < check_at {
            return None;
        }
        let held = cell.current.as_ref()?;
        // What was used with success within the interval needs no check. A degraded value does: only
        // checks make it ready again.
        let fresh_until = held
            .used_at
            .map(|used| used + every)
            .filter(|until| *until > now);
        if let (Some(until), State::Ready) = (fresh_until, cell.state()) {
            cell.check_at = Some(until);
            return None;
        }
        let job = ManagedCheckJob::claim(this, held, Purpose::Schedule);
        cell.checking = Some(held.generation);
        Some(ManagedJob::Check(job))
    }

    /// A check of a value that one call has found broken, while others still use it.
    fn claim_suspect(
        this: &Arc<Self>,
        cell: &mut ManagedCell<R::Value>,
    ) -> Option<ManagedJob<R, C>> {
        let mut retired = cell.retired.iter_mut().map(|(held, _)| held);
        let held = retired.find(|held| held.suspicion == ManagedSuspicion::Due)?;
        held.suspicion = ManagedSuspicion::UnderCheck;
        let job = ManagedCheckJob::claim(this, held, Purpose::Suspicion);
        Some(ManagedJob::Check(job))
    }
}

/// Opens again by itself what was lost or could not be opened, once it has been wanted. Says when to
/// look again.
fn recover<V>(
    cell: &mut ManagedCell<V>,
    now: Option<Instant>,
    effects: &mut ManagedEffects,
) -> Option<Instant> {
    if !cell.kept_open {
        return None;
    }
    let due_at = match cell.state() {
        State::Uninitialized => None,
        State::Error => Some(cell.recover_at?),
        _ => return None,
    };
    if due_at.zip(now).is_some_and(|(at, now)| now < at) {
        return due_at;
    }
    cell.step(Event::OpenWanted, now, effects);
    None
}
