//! Telling of what happens: whose it is, and where it goes.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::cause::{Cause, PanicListener, Panicked};
use crate::event::{Event, EventKind};
use crate::name::Name;
use crate::runtime::{Clock, NoTimer};
use crate::sink::Sink;
use crate::sync;

/// A resource's name with where its events go.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) name: Name,
    pub(crate) sink: Option<Sink>,
}

impl Reporter {
    /// Sends an event, if anybody listens. Never call it under a lock: a sink is user code.
    pub(crate) fn send(&self, clock: &impl Clock, kind: EventKind<'_>) {
        if let Some(sink) = &self.sink {
            if let Some(error) = kind.error() {
                error.told_to(|| self.listener(sink));
            }
            let event = Event {
                name: &self.name,
                at: clock.try_now(),
                kind,
            };
            // A sink that panics has nobody left to be told.
            let _ = sync::contain(|| sink.event(&event));
        }
    }
}

impl Reporter {
    /// Hears of an error that panics as it is dropped, long after it was told.
    fn listener(&self, sink: &Sink) -> PanicListener {
        let (name, sink) = (self.name.clone(), sink.downgrade());
        Box::new(move |message| {
            if let Some(sink) = sink.upgrade() {
                let (name, sink) = (name.clone(), Some(sink));
                Self { name, sink }.swallowed(&NoTimer, "drop of an error", message);
            }
        })
    }

    /// Tells of a panic of user code that has no caller to return to.
    pub(crate) fn swallowed(&self, clock: &impl Clock, phase: &'static str, message: String) {
        let error = &Cause::new(Panicked::new(message));
        self.send(clock, EventKind::Swallowed { phase, error });
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
