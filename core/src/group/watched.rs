//! What a supervisor knows of the members it watches: a record without any IO.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::backoff::Delays;
use crate::cause::Cause;
use crate::sync;
use crate::time::Instant;

/// What a supervisor knows of the members it watches.
///
/// A look counts nothing but failed checks in a row. A restart is counted as a failure of the service if the member was
/// up before, and that once: `count` takes `came_up`, and only a success gives it back. So an outage costs one count,
/// however many restarts fail during it.
pub(super) struct MemberWatch {
    /// The time over which failures count together, and for which a member has to be well to begin anew.
    window: Duration,
    /// By their ids.
    members: BTreeMap<u64, Watched>,
    /// When members failed that had come up.
    incidents: VecDeque<Instant>,
    /// Those that are back, without a restart.
    returned: Vec<u64>,
}

#[derive(Default)]
struct Watched {
    /// Failed checks in a row.
    failures: u32,
    /// What the last of them said.
    cause: Option<Cause>,
    is_down: bool,
    /// It has been up since its last failure was counted.
    came_up: bool,
    well_since: Option<Instant>,
    restart_at: Option<Instant>,
    /// The pauses before the next restarts, once there was a first.
    delays: Option<Delays>,
}

/// Condition of a member, as a look finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberCondition {
    Up,
    /// It is down, and recovers by itself, or starts or stops just now.
    Recovers,
    /// It is down, and so is something that it needs.
    Lacks,
    /// It is down, and stays so until it is restarted.
    Down,
}

impl MemberWatch {
    pub(super) const fn new(window: Duration) -> Self {
        Self {
            window,
            members: BTreeMap::new(),
            incidents: VecDeque::new(),
            returned: Vec::new(),
        }
    }

    /// Forgets those that were removed.
    pub(super) fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.members.retain(|member, _| is_there(*member));
    }

    /// Takes note of what a member's check answered.
    pub(super) fn note(&mut self, member: u64, has_come_up: bool, answer: Option<Cause>) {
        let watched = self.members.entry(member).or_insert_with(|| Watched {
            came_up: has_come_up,
            ..Watched::default()
        });
        watched.failures = match answer {
            Some(_) => watched.failures + 1,
            None => 0,
        };
        watched.cause = answer;
    }

    /// Takes note of the condition in which a look found a member.
    pub(super) fn judge(
        &mut self,
        member: u64,
        condition: MemberCondition,
        now: Instant,
        delays: impl FnOnce() -> Delays,
    ) {
        let window = self.window;
        let Some(watched) = self.members.get_mut(&member) else {
            return;
        };
        let was_down = watched.is_down;
        watched.is_down = condition != MemberCondition::Up;
        if condition != MemberCondition::Down {
            watched.restart_at = None;
        }
        match condition {
            MemberCondition::Up => {
                watched.came_up = true;
                let since = *watched.well_since.get_or_insert(now);
                if now - since >= window {
                    watched.delays = None;
                }
                if was_down {
                    self.returned.push(member);
                }
            }
            MemberCondition::Recovers => watched.well_since = None,
            MemberCondition::Lacks => {
                watched.well_since = None;
                // What its checks said then was said of what it needs.
                watched.failures = 0;
            }
            MemberCondition::Down => {
                watched.well_since = None;
                if watched.restart_at.is_none() {
                    watched.restart_at = Some(match &mut watched.delays {
                        Some(delays) => now + pause(delays),
                        None => now,
                    });
                    watched.delays.get_or_insert_with(delays);
                }
            }
        }
    }

    /// Takes the outcome of a restart.
    pub(super) fn restarted(
        &mut self,
        member: u64,
        is_up: bool,
        now: Instant,
        delays: impl FnOnce() -> Delays,
    ) {
        let watched = self.members.entry(member).or_default();
        (watched.failures, watched.cause) = (0, None);
        watched.is_down = !is_up;
        watched.came_up = is_up;
        watched.well_since = is_up.then_some(now);
        let delays = watched.delays.get_or_insert_with(delays);
        watched.restart_at = (!is_up).then(|| now + pause(delays));
    }

    /// When the next restart is due.
    pub(super) fn next_restart(&self) -> Option<Instant> {
        let members = self.members.values();
        members.filter_map(|watched| watched.restart_at).min()
    }

    /// The members whose restart is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<u64> {
        let due = |(member, watched): (&u64, &mut Watched)| {
            watched.restart_at.filter(|at| *at <= now)?;
            watched.restart_at = None;
            Some(*member)
        };
        self.members.iter_mut().filter_map(due).collect()
    }

    /// The members that have come back without a restart.
    pub(super) fn take_returned(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.returned)
    }

    /// Counts the failure of a member that had come up, and returns `true`; or `false` if it has not come up since the
    /// last. Without `most` it is not counted.
    ///
    /// # Errors
    /// The number of failures, if that is `most` already.
    pub(super) fn count(
        &mut self,
        member: u64,
        now: Instant,
        most: Option<usize>,
    ) -> Result<bool, usize> {
        let came_up = match self.members.get_mut(&member) {
            Some(watched) => core::mem::take(&mut watched.came_up),
            None => false,
        };
        let Some(most) = most.filter(|_| came_up) else {
            return Ok(came_up);
        };
        self.incidents.retain(|at| now - *at < self.window);
        if self.incidents.len() >= most {
            return Err(self.incidents.len());
        }
        self.incidents.push_back(now);
        Ok(true)
    }

    /// Number of checks in a row that a member has failed.
    pub(super) fn failures(&self, member: u64) -> u32 {
        self.members
            .get(&member)
            .map_or(0, |watched| watched.failures)
    }

    /// Returns `true` if a member failed its last check.
    pub(super) fn is_ailing(&self, member: u64) -> bool {
        self.cause(member).is_some()
    }

    /// What a member's last check said.
    pub(super) fn cause(&self, member: u64) -> Option<Cause> {
        self.members.get(&member)?.cause.clone()
    }
}

/// The next pause. A backoff of the user's own may panic: a minute is as good as any then.
fn pause(delays: &mut Delays) -> Duration {
    let next = sync::contain(|| delays.next());
    next.ok().flatten().unwrap_or(Duration::from_secs(60))
}
