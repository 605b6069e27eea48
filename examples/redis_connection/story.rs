//! What happens: many count over one connection, the server dies twice, and at the end all is as it should be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure::connection::{ConnectionState, WhenDown};
use tenure::tokio::Connection;
use tenure::{BoxError, Resource};
use tokio::time::sleep;

use crate::PATIENCE;
use crate::client::Redis;
use crate::counter::Counter;
use crate::journal::Journal;
use crate::load::{Load, TASKS, Tally};
use crate::promises::Promises;
use crate::server::Server;

/// So often each task counts before there is any trouble.
const TIMES: usize = 20;

pub(crate) struct Story {
    pub(crate) redis: Connection<Redis>,
    pub(crate) counter: Counter,
    pub(crate) server: Server,
    pub(crate) journal: Arc<Journal>,
}

impl Story {
    pub(crate) fn new(
        redis: Connection<Redis>,
        key: &str,
        server: Server,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            counter: Counter::new(redis.clone(), key),
            redis,
            server,
            journal,
        }
    }

    pub(crate) async fn tell(&self) -> Result<(), BoxError> {
        let mut promises = Promises::new(self.journal.clone());
        let mut tally = self.count_in_calm(&mut promises).await?;
        if self.server.can_be_killed() {
            let load = Load::start(&self.counter, usize::MAX);
            self.long_outage(&mut promises).await?;
            self.short_outage(&mut promises).await?;
            tally.add(load.end().await?);
        } else {
            self.journal
                .say("there is no outage: REDIS_KILL and REDIS_START are not set");
        }
        self.compare(&tally, &mut promises).await?;
        self.counter.remove().await?;
        self.close(&mut promises).await?;
        promises.verdict()
    }

    /// All tasks at once, over one connection.
    async fn count_in_calm(&self, promises: &mut Promises) -> Result<Tally, BoxError> {
        self.counter.reset().await?;
        let tally = Load::start(&self.counter, TIMES).ended().await?;
        let mut other = self.redis.resource().open().await?;
        let connected = self.redis.resource().connected(&mut other).await?;
        promises.promise(
            format_args!("{TASKS} tasks have counted over one connection"),
            tally.acknowledged == (TASKS * TIMES) as u64 && connected == 2,
        );
        self.journal.say(self.redis.stats());
        Ok(tally)
    }

    async fn compare(&self, tally: &Tally, promises: &mut Promises) -> Result<(), BoxError> {
        let counted = self
            .counter
            .read(WhenDown::WaitToDeadline, PATIENCE)
            .await?;
        let counted = u64::try_from(counted)?;
        let stats = self.redis.stats();
        self.journal.say(&stats);
        self.journal.say(format_args!(
            "increments: {} acknowledged, {} may have run, {} refused, {} not sent; the counter is at {counted}",
            tally.acknowledged, tally.may_have_run, tally.refused, tally.not_sent,
        ));
        if let Some(example) = &tally.example {
            self.journal.say(format_args!("one of them: {example}"));
        }
        promises.promise(
            "every acknowledged increment is counted, and none that was not sent",
            (tally.acknowledged..=tally.acknowledged + tally.may_have_run).contains(&counted),
        );
        promises.promise(
            "no two increments were answered with the same number",
            tally.are_numbers_distinct(),
        );
        let (others_answered, others_failed) = match self.server.can_be_killed() {
            true => (3, 2), // the reset, the read above, and of the three ways the one that was answered
            false => (2, 0),
        };
        promises.promise(
            "the statistics balance, and say the same as the tasks",
            stats.is_balanced()
                && stats.calls.in_flight + stats.calls.cancelled == 0
                && stats.calls.succeeded == tally.acknowledged + others_answered
                && stats.calls.failed == tally.failed_in_all() + others_failed,
        );
        Ok(())
    }

    /// Closes the connection, and asks the server over another one.
    async fn close(&self, promises: &mut Promises) -> Result<(), BoxError> {
        let report = self.redis.shutdown(PATIENCE).await;
        let audit = self.redis.audit();
        promises.promise(
            format_args!("all is closed ({report}; {audit})"),
            report.is_clean() && audit.is_balanced() && audit.live() == 0,
        );
        let redis = self.redis.resource();
        let mut other = redis.open().await?;
        // The server needs a moment to see that somebody has left.
        let deadline = Instant::now() + PATIENCE;
        let mut connected = redis.connected(&mut other).await?;
        while connected > 1 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
            connected = redis.connected(&mut other).await?;
        }
        promises.promise(
            "the server has no connection left but that which asks",
            connected == 1,
        );
        Ok(())
    }

    /// Wherever the story broke off: the server runs again, the key is gone, and the connection closed.
    pub(crate) async fn put_right(&self) -> Result<(), BoxError> {
        self.server.start().await?;
        if self.redis.connection_state() == ConnectionState::Closed {
            return Ok(());
        }
        let removed = self.counter.remove().await;
        self.redis.shutdown(PATIENCE).await;
        removed.map_err(Into::into)
    }
}
