//! A server that does as it is told, and the resource that connects to it.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{ErrorClass, Failure, Instant, Resource, Timer, Why};
use tenure_sim::Sim;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// What a call of a hook, or a query, comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Well,
    After(Duration),
    Fails(ErrorClass),
    Hangs,
}

/// The server refuses.
pub(super) const DOWN: Step = Step::Fails(ErrorClass::Retry);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Open,
    Check,
    Close,
    Query,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(&'static str, ErrorClass);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Default)]
struct Script {
    next: [VecDeque<Step>; 4],
    always: [Option<Step>; 4],
    calls: [u64; 4],
    begun: Vec<Instant>,
    opened: u64,
    closed: Vec<(u64, Why)>,
    /// Values up to this one answer nothing any more.
    silent: u64,
}

/// The server, and the resource.
#[derive(Clone)]
pub(super) struct Server<const CHECKED: bool = false, const EXCLUSIVE: bool = false> {
    sim: Sim,
    script: Arc<Mutex<Script>>,
}

#[derive(Clone)]
pub(super) struct Session<const CHECKED: bool = false, const EXCLUSIVE: bool = false> {
    pub(super) id: u64,
    server: Server<CHECKED, EXCLUSIVE>,
}

impl<const CHECKED: bool, const EXCLUSIVE: bool> Server<CHECKED, EXCLUSIVE> {
    pub(super) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            script: Arc::default(),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what the next calls of a hook come to.
    pub(super) fn next(&self, hook: Hook, steps: impl IntoIterator<Item = Step>) {
        self.with(|script| script.next[hook as usize].extend(steps));
    }

    /// Sets what all further calls of a hook come to.
    pub(super) fn always(&self, hook: Hook, step: Step) {
        self.with(|script| script.always[hook as usize] = Some(step));
    }

    pub(super) fn calls(&self, hook: Hook) -> u64 {
        self.with(|script| script.calls[hook as usize])
    }

    /// When each opening began.
    pub(super) fn openings(&self) -> Vec<Instant> {
        self.with(|script| script.begun.clone())
    }

    pub(super) fn opened(&self) -> u64 {
        self.with(|script| script.opened)
    }

    /// The values whose close has begun, and why.
    pub(super) fn closed(&self) -> Vec<(u64, Why)> {
        self.with(|script| script.closed.clone())
    }

    /// Whatever is open answers nothing from now on.
    pub(super) fn silence(&self) {
        self.with(|script| script.silent = script.opened);
    }

    async fn play(&self, hook: Hook, name: &'static str) -> Result<(), Refused> {
        let step = self.with(|script| {
            script.calls[hook as usize] += 1;
            let next = script.next[hook as usize].pop_front();
            next.or(script.always[hook as usize]).unwrap_or(Step::Well)
        });
        match step {
            Step::Well => Ok(()),
            Step::After(time) => {
                self.sim.sleep(time).await;
                Ok(())
            }
            Step::Fails(class) => Err(Refused(name, class)),
            Step::Hangs => pending().await,
        }
    }

    async fn play_on(&self, session: u64, hook: Hook, name: &'static str) -> Result<(), Refused> {
        if self.with(|script| session <= script.silent) {
            self.with(|script| script.calls[hook as usize] += 1);
            pending::<()>().await;
        }
        self.play(hook, name).await
    }
}

impl<const CHECKED: bool, const EXCLUSIVE: bool> Session<CHECKED, EXCLUSIVE> {
    /// Answers with the number of the session.
    pub(super) async fn query(self) -> Result<u64, Refused> {
        self.server.play_on(self.id, Hook::Query, "query").await?;
        Ok(self.id)
    }
}

impl<const CHECKED: bool, const EXCLUSIVE: bool> Resource for Server<CHECKED, EXCLUSIVE> {
    type Value = Session<CHECKED, EXCLUSIVE>;
    type Error = Refused;
    const CHECKED: bool = CHECKED;
    const EXCLUSIVE: bool = EXCLUSIVE;

    async fn open(&self) -> Result<Self::Value, Refused> {
        let now = self.sim.now();
        self.with(|script| script.begun.push(now));
        self.play(Hook::Open, "open").await?;
        let id = self.with(|script| {
            script.opened += 1;
            script.opened
        });
        Ok(Session {
            id,
            server: self.clone(),
        })
    }

    async fn check(&self, session: &mut Self::Value) -> Result<(), Refused> {
        self.play_on(session.id, Hook::Check, "check").await
    }

    async fn close(&self, session: Self::Value, why: Why) -> Result<(), Refused> {
        self.with(|script| script.closed.push((session.id, why)));
        self.play(Hook::Close, "close").await
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        failure.error().map_or(ErrorClass::Retry, |error| error.1)
    }
}

/// Measures how much virtual time something takes.
pub(super) async fn timed<F: Future>(sim: &Sim, future: F) -> (Duration, F::Output) {
    let begun = sim.now();
    let output = future.await;
    (sim.now() - begun, output)
}
