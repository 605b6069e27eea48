//! A managed resource that others keep open.

use core::sync::atomic::Ordering;

use super::Managed;
use super::shared::ManagedShared;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::{Arc, Weak};

/// A handle that does not count as one.
pub(crate) struct WeakManaged<R: LocalResource, C: Clock>(Weak<ManagedShared<R, C>>);

impl<R: LocalResource, C: Clock> Managed<R, C> {
    pub(crate) fn downgrade(&self) -> WeakManaged<R, C> {
        WeakManaged(Arc::downgrade(&self.shared))
    }
}

impl<R: LocalResource, C: Clock> WeakManaged<R, C> {
    /// Another handle, unless the last is gone.
    pub(crate) fn upgrade(&self) -> Option<Managed<R, C>> {
        let shared = self.0.upgrade()?;
        let one_more = |handles: usize| (handles > 0).then_some(handles + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        shared.handles.fetch_update(set, fetch, one_more).ok()?;
        Some(Managed { shared })
    }
}

impl<R: LocalResource, C: Clock> Clone for WeakManaged<R, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
