//! What a hook of the probe is told to do.

use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::Shared;
use tenure_core::{ErrorClass, Timer};

/// What a hook is to do when it is called next.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Step {
    after: Duration,
    gate: Option<Gate>,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Well,
    Fail(ErrorClass),
    Panic,
    Never,
}

impl Step {
    pub(crate) const fn ok() -> Self {
        Self::ending(End::Well)
    }

    pub(crate) const fn fail(class: ErrorClass) -> Self {
        Self::ending(End::Fail(class))
    }

    pub(crate) const fn panic() -> Self {
        Self::ending(End::Panic)
    }

    pub(crate) const fn hang() -> Self {
        Self::ending(End::Never)
    }

    /// Takes this long first.
    pub(crate) const fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Waits for the gate first.
    pub(crate) fn at(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    const fn ending(end: End) -> Self {
        Self {
            after: Duration::ZERO,
            gate: None,
            end,
        }
    }

    pub(super) async fn perform<T: Timer>(self, timer: &T) -> Result<(), Refused> {
        if !self.after.is_zero() {
            timer.sleep_until(timer.now() + self.after).await;
        }
        if let Some(gate) = self.gate {
            gate.passed().await;
        }
        match self.end {
            End::Well => Ok(()),
            End::Fail(class) => Err(Refused(class)),
            End::Panic => panic!("as the script says"),
            End::Never => pending().await,
        }
    }
}

/// Holds up whoever comes, until the test opens it.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    opener: Arc<Mutex<Option<oneshot::Sender<()>>>>,
    opened: Shared<oneshot::Receiver<()>>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (opener, opened) = oneshot::channel();
        Self {
            opener: Arc::new(Mutex::new(Some(opener))),
            opened: opened.shared(),
        }
    }

    pub(crate) fn open(&self) {
        let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
        drop(opener.take());
    }

    /// Waits until it is open.
    pub(crate) fn passed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.opened.clone().map(|_| ())
    }
}

/// The error of the probe, which says itself what it deserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) ErrorClass);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused ({:?})", self.0)
    }
}

impl std::error::Error for Refused {}
