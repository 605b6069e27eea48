//! What is opened in these tests: it does what its plan says, and what was done is told.

use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::Shared;
use tenure_core::{LocalResource, Resource, Timer, Why};

/// What happened, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn note(&self, what: impl Into<String>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    pub(crate) fn has(&self, what: &str) -> bool {
        self.all().iter().any(|line| line == what)
    }
}

/// What is to become of one value, or of one deferred finalizer.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) open: Step,
    pub(crate) close: Step,
}

impl From<&'static str> for Plan {
    fn from(name: &'static str) -> Self {
        Self {
            name,
            open: Step::Succeed,
            close: Step::Succeed,
        }
    }
}

impl Plan {
    pub(crate) fn opens(self, open: Step) -> Self {
        Self { open, ..self }
    }

    pub(crate) fn closes(self, close: Step) -> Self {
        Self { close, ..self }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Succeed,
    Fail,
    Panic,
    Hang,
    Take(Duration),
    /// Waits until the other end is dropped.
    Wait(Shared<oneshot::Receiver<()>>),
}

impl Step {
    /// A step that waits until what comes with it is dropped.
    pub(crate) fn gated() -> (oneshot::Sender<()>, Self) {
        let (opener, gate) = oneshot::channel();
        (opener, Self::Wait(gate.shared()))
    }

    pub(crate) async fn perform<T: Timer>(self, timer: &T) -> Result<(), Refused> {
        match self {
            Self::Succeed => Ok(()),
            Self::Fail => Err(Refused),
            // Unwinds as a panic does, without the hook that prints.
            Self::Panic => resume_unwind(Box::new("as planned")),
            Self::Hang => pending().await,
            Self::Take(time) => {
                timer.sleep_until(timer.now() + time).await;
                Ok(())
            }
            Self::Wait(gate) => {
                let _dropped = gate.await;
                Ok(())
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// What a guard shows of a value, whichever its kind is.
pub(crate) trait Value {
    fn name(&self) -> &'static str;

    fn use_it(&mut self) -> u32;
}

#[derive(Debug)]
pub(crate) struct Opening<M> {
    name: &'static str,
    uses: u32,
    _mark: M,
}

impl<M> Value for Opening<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn use_it(&mut self) -> u32 {
        self.uses += 1;
        self.uses
    }
}

/// The resource for tasks that move between threads.
#[derive(Debug)]
pub(crate) struct SendThing<T> {
    pub(crate) plan: Plan,
    pub(crate) told: Told,
    pub(crate) timer: T,
}

/// The resource whose values stay on one thread.
#[derive(Debug)]
pub(crate) struct LocalThing<T> {
    pub(crate) plan: Plan,
    pub(crate) told: Told,
    pub(crate) timer: T,
}

/// Tells when a close is over, whichever way.
struct Closing<'a>(&'a Told, &'static str);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.note(format!("closed {}", self.1));
    }
}

macro_rules! thing {
    ($Thing:ident: $Resource:ident as $mark:ty where {$($bounds:tt)+}) => {
        impl<T: $($bounds)+> $Resource for $Thing<T> {
            type Value = Opening<$mark>;
            type Error = Refused;

            async fn open(&self) -> Result<Self::Value, Refused> {
                self.plan.open.clone().perform(&self.timer).await?;
                self.told.note(format!("open {}", self.plan.name));
                Ok(Opening { name: self.plan.name, uses: 0, _mark: Default::default() })
            }

            async fn close(&self, value: Self::Value, _: Why) -> Result<(), Refused> {
                self.told.note(format!("close {}", value.name));
                let _closing = Closing(&self.told, value.name);
                self.plan.close.clone().perform(&self.timer).await
            }

            fn abandon(&self, value: Self::Value, why: Why) {
                self.told.note(format!("abandon {} ({why})", value.name));
            }
        }
    };
}

thing!(SendThing: Resource as Arc<()> where {Timer<Sleep: Send> + Send + Sync + 'static});
thing!(LocalThing: LocalResource as Rc<()> where {Timer});
