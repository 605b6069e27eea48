//! A server that does as it is told, in virtual time, and the resource that connects to it.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_core::{ErrorClass, Failure, Instant, Resource, Timer, Why};
use tenure_sim::Sim;

/// What the server does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Answers,
    AnswersAfter(Duration),
    Refuses(ErrorClass),
    Hangs,
}

/// A refusal that is worth a retry.
pub(crate) const DOWN: Step = Step::Refuses(ErrorClass::Retry);

/// What the server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Open,
    Close,
    Query,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(ErrorClass);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[derive(Default)]
struct State {
    next: [VecDeque<Step>; 3],
    always: [Option<Step>; 3],
    opened: u64,
    /// Sessions up to this one are known to be broken.
    broken: u64,
    begun: Vec<Instant>,
    closed: Vec<(u64, Why)>,
    live: u64,
    most_live: u64,
}

/// The server, and the recipe for a session with it.
#[derive(Clone)]
pub(crate) struct Server<const EXCLUSIVE: bool = false> {
    sim: Sim,
    state: Arc<Mutex<State>>,
}

/// A session with the server.
pub(crate) struct Session<const EXCLUSIVE: bool = false> {
    pub(crate) id: u64,
    server: Server<EXCLUSIVE>,
}

impl<const EXCLUSIVE: bool> Server<EXCLUSIVE> {
    pub(crate) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what the next requests of this kind meet.
    pub(crate) fn next(&self, ask: Ask, steps: impl IntoIterator<Item = Step>) {
        self.state().next[ask as usize].extend(steps);
    }

    /// Says what all requests of this kind meet.
    pub(crate) fn always(&self, ask: Ask, step: Step) {
        self.state().always[ask as usize] = Some(step);
    }

    /// When each opening began.
    pub(crate) fn openings(&self) -> Vec<Instant> {
        self.state().begun.clone()
    }

    /// Which sessions were closed, and why.
    pub(crate) fn closed(&self) -> Vec<(u64, Why)> {
        self.state().closed.clone()
    }

    /// The most sessions there were at once.
    pub(crate) fn most_live(&self) -> u64 {
        self.state().most_live
    }

    /// All that is open is known to be broken from now on.
    pub(crate) fn break_all(&self) {
        let mut state = self.state();
        state.broken = state.opened;
    }

    async fn play(&self, ask: Ask) -> Result<(), Refused> {
        let step = {
            let mut state = self.state();
            let next = state.next[ask as usize].pop_front();
            next.or(state.always[ask as usize]).unwrap_or(Step::Answers)
        };
        match step {
            Step::Answers => Ok(()),
            Step::AnswersAfter(time) => {
                self.sim.sleep(time).await;
                Ok(())
            }
            Step::Refuses(class) => Err(Refused(class)),
            Step::Hangs => pending().await,
        }
    }
}

impl<const EXCLUSIVE: bool> Session<EXCLUSIVE> {
    pub(crate) async fn query(&self) -> Result<(), Refused> {
        self.server.play(Ask::Query).await
    }
}

impl<const EXCLUSIVE: bool> Drop for Session<EXCLUSIVE> {
    fn drop(&mut self) {
        self.server.state().live -= 1;
    }
}

impl<const EXCLUSIVE: bool> Resource for Server<EXCLUSIVE> {
    type Value = Session<EXCLUSIVE>;
    type Error = Refused;
    const EXCLUSIVE: bool = EXCLUSIVE;

    async fn open(&self) -> Result<Session<EXCLUSIVE>, Refused> {
        let now = self.sim.now();
        self.state().begun.push(now);
        self.play(Ask::Open).await?;
        let mut state = self.state();
        state.opened += 1;
        state.live += 1;
        state.most_live = state.most_live.max(state.live);
        Ok(Session {
            id: state.opened,
            server: self.clone(),
        })
    }

    async fn close(&self, session: Session<EXCLUSIVE>, why: Why) -> Result<(), Refused> {
        self.state().closed.push((session.id, why));
        self.play(Ask::Close).await
    }

    fn is_broken(&self, session: &mut Session<EXCLUSIVE>) -> bool {
        session.id <= self.state().broken
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        failure.error().map_or(ErrorClass::Retry, |error| error.0)
    }
}

/// How much virtual time something takes, and what it gives.
pub(crate) async fn timed<F: Future>(sim: &Sim, future: F) -> (Duration, F::Output) {
    let began_at = sim.now();
    let output = future.await;
    (sim.now() - began_at, output)
}
