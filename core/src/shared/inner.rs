//! What all handles, shares and the Runner of a shared resource have in common.

use core::mem;
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::book::GenerationBook;
use super::builder::Settings;
use super::generation::{Lent, SharedGeneration};
use super::share::{Seat, Share};
use crate::cause::Cause;
use crate::cleanup::Audit;
use crate::drive::{OneJob, Round, go_round};
use crate::ending::Why;
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
    pub(crate) spawn_runner: Option<SpawnRunner<R, C>>,
    pub(crate) settings: Settings,
    pub(crate) book: Lock<GenerationBook<R, C>>,
    pub(crate) handles: AtomicUsize,
    /// Tells the Runner, and all who wait, that there may be more to do.
    pub(crate) changed: Signal,
}

/// Spawns a Runner of this shared resource on its own runtime. User code: under no lock.
pub(crate) type SpawnRunner<R, C> = fn(&Arc<Inner<R, C>>);

/// A generation that is not in the book yet.
pub(crate) struct Built<R: LocalResource, C: Clock> {
    pub(crate) managed: Managed<Lent<R>, C>,
    pub(crate) runner: Runner<Lent<R>, C>,
}

/// A seat, and what is waited for there.
pub(crate) struct Place<R: LocalResource, C: Clock> {
    pub(crate) seat: Seat<R, C>,
    pub(crate) managed: Managed<Lent<R>, C>,
}

/// What somebody finds who wants a place.
enum Found<R: LocalResource, C: Clock> {
    Place(Place<R, C>),
    Shut,
    /// A value that was idle too long has to be closed first.
    Closing(u64),
    Nothing(Arc<R>),
}

impl<R: LocalResource<Value: Clone>, C: Clock> Inner<R, C> {
    pub(crate) async fn acquire(this: &Arc<Self>) -> Result<Share<R, C>, OpenError> {
        Self::close_leftovers(this).await;
        let Place { seat, managed } = Self::place(this).await?;
        let value = managed.get().await?;
        let share = seat.hold(value);
        // The value that was waited for may have come just before the end.
        if this.book.with(|book| book.is_shut) {
            return Err(this.closed());
        }
        Ok(share)
    }

    /// A place among those who wait for the current value, once there may be one.
    async fn place(this: &Arc<Self>) -> Result<Place<R, C>, OpenError> {
        Self::respawn_if_lost(this);
        let mut closing = OneJob::none();
        go_round(&this.clock, &this.changed, |cx| {
            if closing.poll(cx).is_some() {
                return Round::Again;
            }
            match Self::find_place(this) {
                Found::Place(place) => Round::Done(Ok(place)),
                Found::Shut => Round::Done(Err(this.closed())),
                Found::Closing(number) => {
                    let is_driven = this.book.with(|book| book.has_runner);
                    if is_driven || !closing.is_none() {
                        return Round::Wait { until: None };
                    }
                    closing.begin(Self::close_generation(this.clone(), number, None));
                    Round::Again
                }
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
            let mut generations = book.generations.iter();
            // Two values of some resources exclude each other.
            let excludes = |generation: &&SharedGeneration<R, C>| match generation.retired {
                Some(Why::IdleTooLong) => true,
                Some(Why::RuntimeEnded) => !generation.is_used(),
                _ => false,
            };
            match generations.find(excludes) {
                Some(generation) => Found::Closing(generation.number),
                None => Found::Nothing(book.resource.clone()),
            }
        })
    }

    /// Makes a generation the current one, and takes the first place in it, unless there is one by now.
    fn install(this: &Arc<Self>, built: Built<R, C>) -> Option<Place<R, C>> {
        let (place, unneeded) = this.book.with(|book| {
            if book.current.is_some() || book.is_shut {
                return (None, (Some(built.managed), Some(built.runner)));
            }
            let (number, runner) = book.add(built.managed, built.runner);
            book.current = Some(number);
            let place = book.current().map(|current| Self::place_in(this, current));
            (place, (None, runner))
        });
        drop(unneeded);
        this.changed.notify_all();
        place
    }

    /// One more who waits for a generation.
    pub(crate) fn place_in(
        this: &Arc<Self>,
        generation: &mut SharedGeneration<R, C>,
    ) -> Place<R, C> {
        generation.waiting += 1;
        Place {
            seat: Seat::new(this.clone(), generation.number),
            managed: generation.managed.clone(),
        }
    }

    pub(crate) fn state(&self) -> State {
        let (current, is_shut, is_empty) = self.book.with(|book| {
            let current = book.current().map(|current| current.managed.clone());
            (current, book.is_shut, book.generations.is_empty())
        });
        match current {
            Some(managed) => managed.state(),
            None if is_shut && is_empty => State::Closed,
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

    /// Without a Runner, whoever uses the resource next closes what was replaced and has no user any more.
    pub(crate) async fn close_leftovers(this: &Arc<Self>) {
        let claim = || {
            this.book.with(|book| match book.has_runner {
                true => None,
                false => book.claim_retired(),
            })
        };
        while let Some(number) = claim() {
            Self::close_generation(this.clone(), number, None).await;
        }
    }

    /// Closes a generation, and strikes it from the book. Dropped half-way it leaves that to others.
    pub(crate) async fn close_generation(this: Arc<Self>, number: u64, within: Option<Duration>) {
        let found = this.book.with(|book| {
            let generation = book.generation(number)?;
            let why = generation.retired.unwrap_or(Why::Shutdown);
            Some((generation.managed.clone(), why))
        });
        let Some((managed, why)) = found else {
            return;
        };
        let claimed = Claimed {
            inner: &this,
            number,
        };
        let report = managed.close_within(within, why).await;
        let ended = this.book.with(|book| book.end(number, report));
        drop(ended);
        drop(claimed);
    }
}

/// A generation that is being closed.
struct Claimed<'a, R: LocalResource, C: Clock> {
    inner: &'a Inner<R, C>,
    number: u64,
}

impl<R: LocalResource, C: Clock> Drop for Claimed<'_, R, C> {
    fn drop(&mut self) {
        self.inner.book.with(|book| {
            if let Some(generation) = book.generation(self.number) {
                generation.is_closing = false;
            }
        });
        self.inner.changed.notify_all();
    }
}

impl<R: LocalResource, C: Clock> Inner<R, C> {
    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0
    }

    /// The last handle was dropped: nobody will ask again.
    pub(crate) fn let_go(&self) {
        self.book.with(|book| {
            book.is_shut = true;
            book.retire_current(Why::HandlesDropped);
        });
        self.changed.notify_all();
        self.abandon_orphans();
    }

    /// Where no handle and no Runner is left, what nobody uses is dropped, and so abandoned.
    pub(crate) fn abandon_orphans(&self) {
        if self.has_handles() {
            return;
        }
        let orphans = self.book.with(|book| {
            if book.has_runner {
                return None;
            }
            Some((book.take_orphans(), mem::take(&mut book.arrived)))
        });
        drop(orphans);
    }

    pub(crate) fn closed(&self) -> OpenError {
        OpenError::Closed {
            name: self.settings.name.clone(),
        }
    }

    pub(crate) fn now(&self) -> Option<Instant> {
        self.clock.try_now()
    }
}
