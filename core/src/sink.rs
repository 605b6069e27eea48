//! What is the user's and shared by many holders: where events go, and what pays for retries.

use core::fmt;
use core::ops::Deref;

use crate::event::EventSink;
use crate::retry::Budget;
use crate::sync::{Arc, Weak, erased};

/// Where the events of a holder go: an [`EventSink`] behind an `Arc`, or in a `static`.
///
/// All `events` methods take `impl Into<Sink>`, so this type is seldom named. A `static` needs no memory, and is the
/// same on every platform; where there are no atomic swaps the `Arc` is that of the crate `portable-atomic-util`, and
/// [`Sink::new`] spares naming it.
///
/// ```
/// use std::sync::Arc;
/// use tenure_core::{Event, EventSink, Managed, Resource, Sink};
///
/// struct Log;
///
/// impl EventSink for Log {
///     fn event(&self, event: &Event<'_>) {
///         println!("{event}");
///     }
/// }
///
/// static LOG: Log = Log;
///
/// # struct Db;
/// # impl Resource for Db {
/// #     type Value = ();
/// #     type Error = std::convert::Infallible;
/// #     async fn open(&self) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// let from_a_static = Managed::builder(Db).events(&LOG);
/// let from_an_arc = Managed::builder(Db).events(Arc::new(Log));
/// let from_a_closure = Managed::builder(Db).events(Sink::new(|event: &Event<'_>| println!("{event}")));
/// ```
#[derive(Clone)]
pub struct Sink(ArcOrStatic<dyn EventSink>);

/// A [`Budget`] that many calls share: behind an `Arc`, or in a `static`.
///
/// All `budget` methods of holders and calls take `impl Into<SharedBudget>`, so this type is seldom named.
///
/// ```
/// use std::sync::Arc;
/// use tenure_core::{Budget, CallOptions};
///
/// static SEARCH: Budget = Budget::standard();
///
/// let from_a_static = CallOptions::named("search").budget(&SEARCH);
/// let from_an_arc = CallOptions::named("search").budget(Arc::new(Budget::standard()));
/// ```
#[derive(Clone, Debug)]
pub struct SharedBudget(ArcOrStatic<Budget>);

/// What all clones share.
#[derive(Debug)]
enum ArcOrStatic<T: ?Sized + 'static> {
    Counted(Arc<T>),
    Static(&'static T),
}

impl Sink {
    /// A sink of its own, behind an `Arc`.
    ///
    /// ```
    /// use tenure_core::{Event, EventKind, EventSink, Sink};
    /// # use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// # static RESTARTS: AtomicU32 = AtomicU32::new(0);
    /// let sink = Sink::new(|event: &Event<'_>| {
    ///     if matches!(event.kind, EventKind::RunnerRestarted) {
    ///         RESTARTS.fetch_add(1, Relaxed);
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn new(sink: impl EventSink + 'static) -> Self {
        Self::from(Arc::new(sink))
    }

    pub(crate) fn downgrade(&self) -> WeakSink {
        match &self.0 {
            ArcOrStatic::Counted(sink) => WeakSink::Counted(Arc::downgrade(sink)),
            ArcOrStatic::Static(sink) => WeakSink::Static(*sink),
        }
    }
}

/// A sink that is not kept.
pub(crate) enum WeakSink {
    Counted(Weak<dyn EventSink>),
    Static(&'static dyn EventSink),
}

impl WeakSink {
    pub(crate) fn upgrade(&self) -> Option<Sink> {
        Some(Sink(match self {
            Self::Counted(sink) => ArcOrStatic::Counted(sink.upgrade()?),
            Self::Static(sink) => ArcOrStatic::Static(*sink),
        }))
    }
}

impl Deref for Sink {
    type Target = dyn EventSink;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Deref for SharedBudget {
    type Target = Budget;

    fn deref(&self) -> &Budget {
        &self.0
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl<S: EventSink + 'static> From<Arc<S>> for Sink {
    fn from(sink: Arc<S>) -> Self {
        let sink = erased!(sink, {
            struct Behind<S>(Arc<S>);

            impl<S: EventSink> EventSink for Behind<S> {
                fn event(&self, event: &crate::event::Event<'_>) {
                    self.0.event(event);
                }
            }

            alloc::boxed::Box::new(Behind(sink)) as alloc::boxed::Box<dyn EventSink>
        });
        Self(ArcOrStatic::Counted(sink))
    }
}

impl From<Arc<dyn EventSink>> for Sink {
    fn from(sink: Arc<dyn EventSink>) -> Self {
        Self(ArcOrStatic::Counted(sink))
    }
}

impl<S: EventSink> From<&'static S> for Sink {
    fn from(sink: &'static S) -> Self {
        Self(ArcOrStatic::Static(sink))
    }
}

impl From<&'static dyn EventSink> for Sink {
    fn from(sink: &'static dyn EventSink) -> Self {
        Self(ArcOrStatic::Static(sink))
    }
}

impl From<Arc<Budget>> for SharedBudget {
    fn from(budget: Arc<Budget>) -> Self {
        Self(ArcOrStatic::Counted(budget))
    }
}

impl From<&'static Budget> for SharedBudget {
    fn from(budget: &'static Budget) -> Self {
        Self(ArcOrStatic::Static(budget))
    }
}

impl<T: ?Sized> Deref for ArcOrStatic<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Counted(shared) => shared,
            Self::Static(shared) => shared,
        }
    }
}

impl<T: ?Sized> Clone for ArcOrStatic<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Counted(shared) => Self::Counted(shared.clone()),
            Self::Static(shared) => Self::Static(shared),
        }
    }
}
