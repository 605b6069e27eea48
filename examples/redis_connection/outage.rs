//! The outages: the server is killed under the load, and started again.

use std::time::Duration;

use tenure::tokio::Tokio;
use tenure::{BoxError, Instant, Timer};

use crate::promises::Promises;
use crate::server::until;
use crate::story::Story;
use crate::{BACKOFF, when_down};

/// So many calls are answered, of those that count, before an outage and after it.
const CALM: u64 = 2_000;

/// So many attempts to connect show that they keep their pauses.
const ATTEMPTS: u64 = 6;

impl Story {
    /// Long enough to see what calls do meanwhile, and how often it is tried to connect.
    pub(crate) async fn long_outage(&self, promises: &mut Promises) -> Result<(), BoxError> {
        self.some_calls_are_answered().await?;
        let (killed_at, refused) = self.kill().await?;
        let is_refused = |times| self.redis.stats().connects.refused >= refused + times;
        until("an attempt is refused", || is_refused(1)).await?;

        let waiting = when_down::show(&self.counter, &self.journal, promises).await?;
        until("enough attempts are refused", || is_refused(ATTEMPTS)).await?;
        self.restart(1, promises).await?;
        waiting.ends(&self.journal, promises).await?;
        self.promise_pauses(killed_at, promises);
        Ok(())
    }

    /// As short as can be: the connection is lost all the same.
    pub(crate) async fn short_outage(&self, promises: &mut Promises) -> Result<(), BoxError> {
        let (killed_at, _) = self.kill().await?;
        self.restart(2, promises).await?;
        self.promise_pauses(killed_at, promises);
        Ok(())
    }

    /// Says when that was, and how many attempts had been refused before.
    async fn kill(&self) -> Result<(Instant, u64), BoxError> {
        self.journal.say("the server is killed");
        let refused = self.redis.stats().connects.refused;
        let killed_at = Tokio::current().now();
        self.server.kill().await?;
        Ok((killed_at, refused))
    }

    async fn restart(&self, outages: u64, promises: &mut Promises) -> Result<(), BoxError> {
        self.journal.say("the server is started");
        self.server.start().await?;
        let reconnects = || self.redis.stats().connects.reconnects;
        until("it reconnects", || reconnects() >= outages).await?;
        self.some_calls_are_answered().await?;
        promises.promise(
            format_args!("{outages} kills, {outages} reconnects, however many calls have failed"),
            reconnects() == outages,
        );
        Ok(())
    }

    async fn some_calls_are_answered(&self) -> Result<(), BoxError> {
        let answered = || self.redis.stats().calls.succeeded;
        let enough = answered() + CALM;
        until("calls are answered", || answered() >= enough).await
    }

    /// No attempt begins before the pauses of those before it are over. The first pause begins after the kill.
    fn promise_pauses(&self, killed_at: Instant, promises: &mut Promises) {
        let attempts = self.journal.attempts_since(killed_at);
        let mut pauses = Duration::ZERO;
        let mut are_kept = true;
        for (number, at) in (1..).zip(&attempts) {
            are_kept &= *at >= killed_at + pauses;
            pauses += BACKOFF.nominal(number);
        }
        let times: Vec<_> = attempts
            .iter()
            .map(|at| (*at - killed_at).as_millis())
            .collect();
        promises.promise(
            format_args!(
                "attempts to connect keep their pauses: they began {times:?} ms after the kill"
            ),
            are_kept && !attempts.is_empty(),
        );
    }
}
