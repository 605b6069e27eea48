//! What was seen, what was promised, and whether that was kept.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use tenure::{Audit, BoxError};

use crate::black_hole::Recovery;
use crate::ledger::{Comparison, Failures, Ledger};
use crate::load::TASKS;
use crate::observer::Seen;
use crate::outage::Outage;
use crate::{ACQUIRE_TIMEOUT, MAX_SIZE};

/// What a busy machine may add to a timeout.
const SLACK: Duration = Duration::from_secs(5);

/// So often in a row too many connections must be seen. The server needs a moment to notice that one was
/// closed, and the pool may use it to open another.
const LOOKS_THAT_COUNT: usize = 5;

pub(crate) struct Report {
    pub(crate) began: Instant,
    pub(crate) outages: Vec<Outage>,
    pub(crate) written: Ledger,
    pub(crate) comparison: Comparison,
    pub(crate) seen: Seen,
    pub(crate) recovery: Recovery,
    pub(crate) shutdown: tenure::Report,
    pub(crate) audit: Audit,
    pub(crate) connections_left: usize,
}

struct Promise {
    what: String,
    is_kept: bool,
}

impl Report {
    /// Fails if a promise was broken, and says which.
    pub(crate) fn verdict(&self) -> Result<(), BoxError> {
        let promises = self.promises().into_iter();
        let broken = promises.filter(|promise| !promise.is_kept);
        let broken: Vec<String> = broken.map(|promise| promise.what).collect();
        if broken.is_empty() {
            return Ok(());
        }
        Err(format!("broken: {}", broken.join("; ")).into())
    }

    fn promises(&self) -> Vec<Promise> {
        let (rows, audit) = (&self.comparison, &self.audit);
        let slowest = self.written.slowest_acquire;
        let mut promises = Vec::new();
        let mut promise = |what: &str, is_kept| {
            let what = what.to_owned();
            promises.push(Promise { what, is_kept });
        };
        promise("rows are written", !self.written.acknowledged.is_empty());
        promise("every acknowledged row is in the table", rows.lost == 0);
        promise("no row is there twice", rows.twice == 0);
        promise("no row is there that had failed", rows.strange == 0);
        promise(
            "nobody waits for a connection beyond the timeout",
            slowest < ACQUIRE_TIMEOUT + SLACK,
        );
        if !self.outages.is_empty() {
            let told = self.written.told() > 0;
            promise("callers are told while the server is down", told);
        }
        for (number, outage) in (1..).zip(&self.outages) {
            let what = format!("rows are acknowledged after outage {number}");
            promise(&what, self.silence(outage).is_some());
            let what = format!("all {MAX_SIZE} connections are back after outage {number}");
            promise(&what, outage.full.is_some());
        }
        promise(
            "the server never has more connections than the maximum",
            self.seen.over_limit < LOOKS_THAT_COUNT,
        );
        promise(
            "callers are served soon after all connections fell silent",
            self.recovery.is_prompt(),
        );
        promise("every connection is closed", self.shutdown.is_clean());
        promise(
            "the audit balances, and nothing is left open",
            audit.is_balanced() && audit.live() == 0,
        );
        promise(
            "the server has none of the connections after the shutdown",
            self.connections_left == 0,
        );
        promises
    }

    fn write_load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = &self.written;
        writeln!(f, "\n{TASKS} tasks over at most {MAX_SIZE} connections")?;
        writeln!(f, "{:8} rows acknowledged", written.acknowledged.len())?;
        for (kind, Failures { count, example }) in &written.failures {
            writeln!(f, "{count:8} rows not, because {kind}, as in: {example}")?;
        }
        let (unknown, there) = (written.unknown.len(), self.comparison.written_unseen);
        writeln!(
            f,
            "{unknown:8} outcomes unknown; {there} of these rows are in the table"
        )?;
        writeln!(
            f,
            "{:>8} the slowest acquire",
            Seconds(written.slowest_acquire)
        )
    }

    fn write_outage(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: i32,
        outage: &Outage,
    ) -> fmt::Result {
        let Outage {
            killed,
            restarted,
            reopened,
            full,
        } = *outage;
        let (down, at) = (restarted - killed, killed - self.began);
        writeln!(
            f,
            "\noutage {number}: killed at {}, told to restart after {}",
            Seconds(at),
            Seconds(down)
        )?;
        let silence = self.silence(outage);
        if let Some((before, after)) = silence {
            let silent = Seconds(after - before);
            writeln!(f, "{silent:>8} without an acknowledged row")?;
        }
        let first_row = silence.map(|(_, after)| after);
        let server_up = self.server_up(outage);
        for (moment, what) in [
            (server_up, "the server is up"),
            (reopened, "the pool has its first connection"),
            (first_row, "the first row is acknowledged"),
            (full, "the pool has all its connections"),
        ] {
            match moment {
                Some(moment) => writeln!(
                    f,
                    "{:>8} from the restart until {what}",
                    Seconds(moment - restarted)
                )?,
                None => writeln!(f, "   never {what}")?,
            }
        }
        Ok(())
    }

    fn write_connections(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (audit, seen) = (&self.audit, &self.seen);
        writeln!(f, "\nconnections: {audit}")?;
        writeln!(
            f,
            "{:8} openings failed, {} were called off",
            audit.open_failed, audit.open_called_off
        )?;
        writeln!(
            f,
            "{:8} at most in pg_stat_activity, in {} looks",
            seen.most, seen.looks
        )?;
        writeln!(
            f,
            "{:8} there after the shutdown: {}",
            self.connections_left, self.shutdown
        )
    }

    fn write_black_hole(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nblack hole: all connections of a pool fell silent")?;
        let Recovery {
            served_after,
            clean_after,
        } = self.recovery;
        for (time, what) in [
            (served_after, "a caller is served"),
            (clean_after, "the last silent connection is closed"),
        ] {
            match time {
                Some(time) => writeln!(f, "{:>8} until {what}", Seconds(time))?,
                None => writeln!(f, "   never {what}")?,
            }
        }
        Ok(())
    }

    /// The longest time without an acknowledged row: the last one before it, and the first after it.
    fn silence(&self, outage: &Outage) -> Option<(Instant, Instant)> {
        let reopened = outage.reopened?;
        let acknowledged = &self.written.acknowledged;
        acknowledged.last().filter(|&&(_, at)| at > reopened)?;
        let moments = acknowledged.iter().map(|&(_, at)| at);
        let pairs = moments.clone().zip(moments.skip(1));
        let pairs = pairs.filter(|&(before, after)| before < reopened && after > outage.killed);
        pairs.max_by_key(|&(before, after)| after - before)
    }

    fn server_up(&self, outage: &Outage) -> Option<Instant> {
        let ups = self.seen.server_up.iter().copied();
        ups.filter(|&at| at > outage.killed).min()
    }

    /// From when the server was seen to be up until the pool had all its connections.
    fn longest_recovery(&self) -> Option<Duration> {
        let recoveries = self.outages.iter().filter_map(|outage| {
            let (full, up) = (outage.full?, self.server_up(outage)?);
            Some(full.saturating_duration_since(up))
        });
        recoveries.max()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_load(f)?;
        for (number, outage) in (1..).zip(&self.outages) {
            self.write_outage(f, number, outage)?;
        }
        if let Some(longest) = self.longest_recovery() {
            writeln!(
                f,
                "\nThe longest recovery took {}, from when the server was up.",
                Seconds(longest)
            )?;
        }
        self.write_black_hole(f)?;
        self.write_connections(f)?;
        writeln!(f)?;
        for Promise { what, is_kept } in self.promises() {
            writeln!(f, "{:>8} {what}", if is_kept { "kept:" } else { "BROKEN:" })?;
        }
        Ok(())
    }
}

struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} s", self.0.as_secs_f64()))
    }
}
