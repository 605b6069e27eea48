//! Putting a new value in the place of the old one.
//!
//! A swap is a generation that nobody gets yet: it counts as replaced already, and those who wait for the swap are those
//! who wait for it to open. So one opening serves all who ask for the same swap, whoever of them drives it, and a swap that
//! they all give up is a retired generation like any other. Once it is open, whoever comes first makes it the current one.

use super::book::Standby;
use super::inner::{Inner, SharedPlace};
use crate::ending::Why;
use crate::held::HeldResource;
use crate::opening::OpenError;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

/// A place among those who wait for a swap.
struct Joined<R: LocalResource, C: Clock> {
    place: SharedPlace<R, C>,
    standby: Standby,
}

impl<R: LocalResource<Value: Clone>, C: Clock> Inner<R, C> {
    /// Replaces the current value by another of the same resource, unless `only` was replaced already. Joins a swap under
    /// way that replaces the same value.
    pub(crate) async fn swap(this: &Arc<Self>, only: Option<u64>) -> Result<(), OpenError> {
        Self::respawn_if_lost(this);
        let Some(Joined { place, standby }) = Self::stand_by(this, only)? else {
            return Ok(());
        };
        let SharedPlace { seat, managed } = place;
        let opened = managed.open().await;
        this.book.with(|book| {
            if book.standby == Some(standby) {
                book.standby = None;
            }
            // Another of those who joined may have been told of a failure before, and ended the swap for itself. Unless
            // another value was put there meanwhile.
            if opened.is_ok() && !book.is_shut && book.current == standby.replaces {
                book.install(standby.number);
            }
        });
        // Its place keeps the value open until it is current.
        drop(seat);
        opened?;
        Self::close_leftovers(this).await;
        this.answer_open()
    }

    /// Replaces the current value by one of another resource, with which all values are opened from then on. A swap to a
    /// resource that was begun later, and is over, is not undone.
    pub(crate) async fn swap_to(this: &Arc<Self>, resource: R) -> Result<(), OpenError> {
        Self::respawn_if_lost(this);
        let resource = this
            .book
            .with(|book| Arc::new(book.resource.replaced(resource)));
        let SharedPlace { seat, managed } = Self::stand_by_with(this, resource.clone())?;
        managed.open().await?;
        let mut resource = resource;
        this.book.with(|book| {
            if !book.is_shut && book.resource_from < seat.number {
                book.install(seat.number);
                book.resource_from = seat.number;
                // The other is dropped outside the lock.
                core::mem::swap(&mut book.resource, &mut resource);
            }
        });
        drop((resource, seat));
        Self::close_leftovers(this).await;
        this.answer_open()
    }

    fn answer_open(&self) -> Result<(), OpenError> {
        if self.book.with(|book| book.is_shut) {
            return Err(self.closed());
        }
        Ok(())
    }

    /// A place among those who wait for the swap of the current value, or of none but that one. `None` if that was
    /// replaced already.
    fn stand_by(this: &Arc<Self>, only: Option<u64>) -> Result<Option<Joined<R, C>>, OpenError> {
        loop {
            let resource = this.book.with(|book| book.resource.clone());
            let built = this.settings.build(resource.clone(), this.clock.clone());
            let (found, unneeded) = this.change(|book, _| {
                let found = if book.is_shut {
                    Some(Err(this.closed()))
                } else if only.is_some() && book.current != only {
                    Some(Ok(None))
                } else if let Some((standby, generation)) = book.standby() {
                    let place = Self::place_in(this, generation);
                    Some(Ok(Some(Joined { place, standby })))
                } else {
                    None
                };
                // A swap to another resource may have come in between: its value is not to be replaced by one of this.
                if found.is_some() || !Arc::ptr_eq(&resource, &book.resource) {
                    return (found, (Some(built.managed), Some(built.runner)));
                }
                let replaces = book.current;
                let (number, runner) = book.add(built.managed, built.runner);
                let standby = Standby { number, replaces };
                book.standby = Some(standby);
                let place = book.generation(number).map(|generation| {
                    generation.retired = Some(Why::Replaced);
                    let place = Self::place_in(this, generation);
                    Joined { place, standby }
                });
                (Some(Ok(place)), (None, runner))
            });
            drop(unneeded);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// A place in a generation of another resource, which nobody joins.
    fn stand_by_with(
        this: &Arc<Self>,
        resource: Arc<HeldResource<R>>,
    ) -> Result<SharedPlace<R, C>, OpenError> {
        let built = this.settings.build(resource, this.clock.clone());
        let (place, unneeded) = this.change(|book, _| {
            if book.is_shut {
                return (None, (Some(built.managed), Some(built.runner)));
            }
            let (number, runner) = book.add(built.managed, built.runner);
            let place = book.generation(number).map(|generation| {
                generation.retired = Some(Why::Replaced);
                Self::place_in(this, generation)
            });
            (place, (None, runner))
        });
        drop(unneeded);
        place.ok_or_else(|| this.closed())
    }
}
