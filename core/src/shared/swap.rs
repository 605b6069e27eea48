//! Putting a new value in the place of the old one.

use super::inner::{Inner, Place};
use crate::cleanup::Why;
use crate::managed::OpenError;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

impl<R: LocalResource<Value: Clone>, C: Clock> Inner<R, C> {
    /// Opens a generation beside the current one, and then has it be that; with another resource, if there is one.
    pub(crate) async fn swap(self: &Arc<Self>, resource: Option<Arc<R>>) -> Result<(), OpenError> {
        let resource = match resource {
            Some(resource) => resource,
            None => self.book.with(|book| book.resource.clone()),
        };
        let Place { seat, managed } = self.stand_by(resource.clone())?;
        managed.open().await?;
        let replaced = self.book.with(|book| {
            if book.is_shut {
                return Err(self.closed());
            }
            book.retire_current(Why::Replaced);
            if let Some(generation) = book.generation(seat.number) {
                generation.retired = None;
            }
            book.current = Some(seat.number);
            Ok(core::mem::replace(&mut book.resource, resource))
        })?;
        drop(replaced);
        Ok(())
    }

    /// A generation that nobody gets yet, with the place of one who waits for it. Unless it becomes the current one
    /// it is closed once that place is given up.
    fn stand_by(self: &Arc<Self>, resource: Arc<R>) -> Result<Place<R, C>, OpenError> {
        let built = self.settings.build(resource, self.clock.clone());
        let (place, unneeded) = self.book.with(|book| {
            if book.is_shut {
                return (None, (Some(built.managed), Some(built.runner)));
            }
            let (number, runner) = book.add(built.managed, built.runner);
            let place = book.generation(number).map(|generation| {
                generation.retired = Some(Why::Replaced);
                self.place_in(generation)
            });
            (place, (None, runner))
        });
        drop(unneeded);
        self.changed.notify_all();
        place.ok_or_else(|| self.closed())
    }
}
