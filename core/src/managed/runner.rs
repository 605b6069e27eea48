//! The background work of a managed resource, as a value.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use super::job::{CheckDuty, Job, Purpose};
use super::shared::{Cell, Effects, Shared, Suspicion};
use crate::Instant;
use crate::alarm::Alarm;
use crate::cleanup::Why;
use crate::event::EventKind;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::state::{Event, State};
use crate::sync::{self, Arc};
use crate::work::{Attachment, JobSet, Rounds};

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
    shared: Arc<Shared<R, C>>,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Runner<R, C> {
    pub(crate) const fn new(shared: Arc<Shared<R, C>>) -> Self {
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
        let attached = Attached::new(self.shared);
        async move { attached.drive().await }
    }
}

impl<R: LocalResource, C: Clock> core::fmt::Debug for Runner<R, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner")
            .field("resource", &self.shared.reporter.name)
            .finish_non_exhaustive()
    }
}

/// The resource knows of its Runner for as long as this lives.
struct Attached<R: LocalResource, C: Clock> {
    shared: Arc<Shared<R, C>>,
    /// `true` if it takes the place of one that was lost.
    restarted: bool,
    /// `true` once it was polled: a value may have been opened under its runtime.
    begun: bool,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Attached<R, C> {
    fn new(shared: Arc<Shared<R, C>>) -> Self {
        let restarted = shared.with(|cell, _| {
            cell.runner = Attachment::Attached(None);
            core::mem::replace(&mut cell.had_runner, true) && shared.spawn_runner.is_some()
        });
        Self {
            shared,
            restarted,
            begun: false,
        }
    }

    async fn drive(mut self) {
        self.begun = true;
        let shared = &self.shared;
        if self.restarted {
            shared
                .reporter
                .send(&shared.clock, EventKind::RunnerRestarted);
        }
        // What a shutdown calls off, and what it waits for.
        let mut services = JobSet::new();
        let mut closings = JobSet::new();
        let mut era = 0;
        let mut alarm = pin!(Alarm::unset());
        poll_fn(|cx| {
            let mut rounds = Rounds::new();
            while rounds.go_on(cx) {
                shared.leave_runner_waker(cx.waker());
                if !shared.has_handles() {
                    shared.begin_closing(Why::HandlesDropped);
                }
                let mut may_open = true;
                let wake_at = loop {
                    let claimed = Shared::claim_for_runner(shared, may_open);
                    if claimed.is_closing {
                        services.clear();
                    }
                    if claimed.era != era {
                        era = claimed.era;
                        closings.clear();
                    }
                    let Some(job) = claimed.job else {
                        break claimed.wake_at;
                    };
                    // What is closed beside the next opening begins before it.
                    may_open &= !job.is_close();
                    let jobs = if job.is_of_shutdown() {
                        &mut closings
                    } else {
                        &mut services
                    };
                    jobs.push(job.perform());
                };
                let progressed = services.poll(cx) | closings.poll(cx) | !may_open;
                services.tell_panics(&shared.reporter, &shared.clock);
                closings.tell_panics(&shared.reporter, &shared.clock);
                if shared.is_closed() {
                    return Poll::Ready(());
                }
                if progressed {
                    continue;
                }
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
        let (now, spawned) = (shared.now(), shared.spawn_runner.is_some());
        let spawned = spawned && shared.has_handles();
        let lost = shared.with(|cell, effects| {
            effects.wakes.drop_waker(cell.runner.take_waker());
            effects.wakes.signal();
            let lost = spawned && !cell.is_closing();
            cell.runner = if lost {
                Attachment::Lost
            } else {
                Attachment::Absent
            };
            let current = cell.current.as_ref().map(|held| held.generation);
            if let (Some(generation), true) = (current, lost && self.begun && !R::OUTLIVES_RUNTIME)
            {
                let event = Event::ValueLost { generation };
                cell.step_because(Why::RuntimeEnded, event, now, effects);
            }
            lost
        });
        if lost && self.begun {
            shared.reporter.send(&shared.clock, EventKind::RunnerEnded);
        }
        shared.close_if_orphaned();
    }
}

/// What the Runner finds to do.
struct Claimed<R: LocalResource, C: Clock> {
    job: Option<Job<R, C>>,
    wake_at: Option<Instant>,
    is_closing: bool,
    era: u64,
}

impl<R: LocalResource, C: Clock> Shared<R, C> {
    /// Spawns another Runner, for a caller that has claimed it: never in a `drop`.
    #[cold]
    pub(crate) fn respawn(this: &Arc<Self>) {
        let Some(spawn) = this.spawn_runner else {
            return;
        };
        if let Err(message) = sync::contain(|| spawn(this)) {
            this.reporter.swallowed(&this.clock, "spawn", message);
        }
    }
}

impl<R: LocalResource<Value: Clone>, C: Clock> Shared<R, C> {
    fn claim_for_runner(this: &Arc<Self>, may_open: bool) -> Claimed<R, C> {
        let now = this.now();
        this.with(|cell, effects| {
            let recover_at = recover(cell, now, effects);
            let job = Self::claim_close(this, cell, None)
                .or_else(|| may_open.then(|| Self::claim_open(this, cell)).flatten())
                .or_else(|| Self::claim_check(this, cell, now))
                .or_else(|| Self::claim_suspect(this, cell));
            let check_at = cell.check_at.filter(|_| !cell.is_checking());
            let wake_at = [check_at, recover_at].into_iter().flatten().min();
            Claimed {
                job,
                wake_at,
                is_closing: cell.is_closing(),
                era: cell.era,
            }
        })
    }

    fn claim_check(
        this: &Arc<Self>,
        cell: &mut Cell<R::Value>,
        now: Option<Instant>,
    ) -> Option<Job<R, C>> {
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
        let duty = CheckDuty::claim(this, held, Purpose::Schedule);
        cell.checking = Some(held.generation);
        Some(Job::Check(duty))
    }

    /// A check of a value that one call has found broken, while others still use it.
    fn claim_suspect(this: &Arc<Self>, cell: &mut Cell<R::Value>) -> Option<Job<R, C>> {
        let mut retired = cell.retired.iter_mut().map(|(held, _)| held);
        let held = retired.find(|held| held.suspicion == Suspicion::Due)?;
        held.suspicion = Suspicion::UnderCheck;
        let duty = CheckDuty::claim(this, held, Purpose::Suspicion);
        Some(Job::Check(duty))
    }

    fn leave_runner_waker(&self, waker: &core::task::Waker) {
        let waker = waker.clone();
        let replaced = self.cell.with(|cell| cell.runner.leave_waker(waker));
        drop(replaced);
    }
}

/// Opens again by itself what was lost or could not be opened, once it has been wanted. Says when to
/// look again.
fn recover<V>(cell: &mut Cell<V>, now: Option<Instant>, effects: &mut Effects) -> Option<Instant> {
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
