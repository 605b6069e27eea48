//! What all handles, shares and the Runner of a shared resource have in common.

use core::mem;
use core::sync::atomic::Ordering;

use super::book::GenerationBook;
use super::builder::Settings;
use super::generation::{Lent, SharedGeneration};
use super::job::CloseGenerationJob;
use super::share::{Seat, Share};
use crate::cause::Cause;
use crate::cleanup::Audit;
use crate::drive::{OneJob, Round, SpawnRunner, Wakes, go_round};
use crate::ending::Why;
use crate::held::HeldResource;
use crate::managed::{Managed, Runner};
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::signal::Signal;
use crate::state::State;
use crate::sync::{Arc, AtomicUsize, Lock};
use crate::time::Instant;

pub(crate) struct Inner<R: LocalResource, C: Clock> {
    pub(crate) clock: C,
    /// Spawns a Runner, where `build` was told how.
    pub(crate) spawn_runner: Option<SpawnRunner<Self>>,
    pub(crate) settings: Settings,
    pub(crate) book: Lock<GenerationBook<R, C>>,
    pub(crate) handles: AtomicUsize,
    /// Tells the Runner, and all who wait, that there may be more to do.
    pub(crate) changed: Signal,
}

/// A generation that is not in the book yet.
pub(crate) struct Built<R: LocalResource, C: Clock> {
    pub(crate) managed: Managed<Lent<R>, C>,
    pub(crate) runner: Runner<Lent<R>, C>,
}

/// A seat, and what is waited for there.
pub(crate) struct SharedPlace<R: LocalResource, C: Clock> {
    pub(crate) seat: Seat<R, C>,
    pub(crate) managed: Managed<Lent<R>, C>,
}

/// What somebody finds who wants a place.
enum Found<R: LocalResource, C: Clock> {
    Place(SharedPlace<R, C>),
    Shut,
    /// A value that was idle too long has to be closed first: by this job, unless that is under way.
    Closing(Option<CloseGenerationJob<R, C>>),
    Nothing(Arc<HeldResource<R>>),
}

impl<R: LocalResource<Value: Clone>, C: Clock> Inner<R, C> {
    pub(crate) async fn acquire(this: &Arc<Self>) -> Result<Share<R, C>, OpenError> {
        Self::close_leftovers(this).await;
        let SharedPlace { seat, managed } = Self::place(this).await?;
        let value = managed.get().await?;
        let share = seat.hold(value);
        // The value that was waited for may have come just before the end.
        if this.book.with(|book| book.is_shut) {
            return Err(this.closed());
        }
        Ok(share)
    }

    /// A place among those who wait for the current value, once there may be one.
    async fn place(this: &Arc<Self>) -> Result<SharedPlace<R, C>, OpenError> {
        Self::respawn_if_lost(this);
        let mut closing = OneJob::none();
        go_round(&this.clock, &this.changed, |cx| {
            if closing.poll(cx).is_some() {
                return Round::Again;
            }
            if !closing.is_none() {
                // A close that was begun is finished, whatever has come meanwhile.
                return Round::Wait { until: None };
            }
            match Self::find_place(this) {
                Found::Place(place) => Round::Done(Ok(place)),
                Found::Shut => Round::Done(Err(this.closed())),
                Found::Closing(Some(job)) => {
                    closing.begin(job.perform());
                    Round::Again
                }
                Found::Closing(None) => Round::Wait { until: None },
                Found::Nothing(resource) => {
                    let built = this.settings.build(resource, this.clock.clone());
                    match Self::install(this, built) {
                        Some(place) => Round::Done(Ok(place)),
                        None => Round::Again,
                    }
                }
            }
        })
        .await
    }

    fn find_place(this: &Arc<Self>) -> Found<R, C> {
        let now = this.now();
        let idle_timeout = this.settings.idle_timeout;
        this.book.with(|book| {
            if book.is_shut {
                return Found::Shut;
            }
            book.expire(now, idle_timeout);
            if let Some(current) = book.current() {
                return Found::Place(Self::place_in(this, current));
            }
            let is_driven = book.runner.is_attached();
            let mut generations = book.generations.iter_mut();
            // Two values of some resources exclude each other.
            let excludes = |generation: &&mut SharedGeneration<R, C>| match generation.retired {
                Some(Why::IdleTooLong) => true,
                Some(Why::RuntimeEnded) => !generation.is_used(),
                _ => false,
            };
            match generations.find(excludes) {
                Some(_) if is_driven => Found::Closing(None),
                Some(generation) => {
                    Found::Closing(CloseGenerationJob::claim(this, generation, None))
                }
                None => Found::Nothing(book.resource.clone()),
            }
        })
    }

    /// Makes a generation the current one, and takes the first place in it, unless there is one by now.
    fn install(this: &Arc<Self>, built: Built<R, C>) -> Option<SharedPlace<R, C>> {
        let (place, unneeded) = this.change(|book, _| {
            if book.current.is_some() || book.is_shut {
                return (None, (Some(built.managed), Some(built.runner)));
            }
            let (number, runner) = book.add(built.managed, built.runner);
            book.current = Some(number);
            let place = book.current().map(|current| Self::place_in(this, current));
            (place, (None, runner))
        });
        drop(unneeded);
        place
    }

    /// Takes a place among those that wait for a generation.
    pub(crate) fn place_in(
        this: &Arc<Self>,
        generation: &mut SharedGeneration<R, C>,
    ) -> SharedPlace<R, C> {
        generation.waiting += 1;
        SharedPlace {
            seat: Seat::new(this.clone(), generation.number),
            managed: generation.managed.clone(),
        }
    }

    pub(crate) fn state(&self) -> State {
        let (current, is_shut, is_closed) = self.book.with(|book| {
            let current = book.current().map(|current| current.managed.clone());
            (current, book.is_shut, book.is_closed())
        });
        match current {
            Some(managed) => managed.state(),
            None if is_closed => State::Closed,
            None if is_shut => State::Closing,
            None => State::Uninitialized,
        }
    }

    pub(crate) fn audit(&self) -> Audit {
        self.book.with(|book| {
            let mut audit = book.ended;
            for generation in &book.generations {
                audit += generation.audit();
            }
            audit
        })
    }

    /// The value that a new user would get.
    pub(crate) fn current(&self) -> Option<Managed<Lent<R>, C>> {
        let current = |book: &mut GenerationBook<R, C>| Some(book.current()?.managed.clone());
        self.book.with(current)
    }

    pub(crate) fn last_error(&self) -> Option<Cause> {
        self.current()?.last_error()
    }

    /// Closes what was replaced and has no user any more, where no Runner does.
    pub(crate) async fn close_leftovers(this: &Arc<Self>) {
        let claim = || {
            this.book.with(|book| {
                if book.runner.is_attached() {
                    return None;
                }
                CloseGenerationJob::claim(this, book.closable(false)?, None)
            })
        };
        while let Some(job) = claim() {
            job.perform().await;
        }
    }
}

impl<R: LocalResource, C: Clock> Inner<R, C> {
    /// Runs `change` under the lock, then wakes the Runner and all tasks that wait. A claim does not go through it, since the
    /// driver that claims would wake itself.
    pub(crate) fn change<U>(
        &self,
        change: impl FnOnce(&mut GenerationBook<R, C>, &mut Wakes) -> U,
    ) -> U {
        let mut wakes = Wakes::default();
        let output = self.book.with(|book| {
            let output = change(book, &mut wakes);
            wakes.push(book.runner.take_waker());
            output
        });
        wakes.signal();
        if let Err(message) = wakes.wake(&self.changed) {
            let reporter = &self.settings.reporter;
            reporter.swallowed(&self.clock, "waker", message);
        }
        output
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }

    /// Drops what has no user if neither a handle nor a Runner is left, and so abandons it.
    pub(crate) fn abandon_orphans(&self) {
        if self.has_handles() {
            return;
        }
        let orphans = self.book.with(|book| {
            if book.runner.is_attached() {
                return None;
            }
            Some((book.take_orphans(), mem::take(&mut book.arrived)))
        });
        drop(orphans);
    }

    pub(crate) fn closed(&self) -> OpenError {
        OpenError::Closed {
            name: self.settings.reporter.name.clone(),
        }
    }

    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }
}
