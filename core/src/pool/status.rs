//! A snapshot of a pool.

use core::fmt;

use crate::cleanup::Audit;

/// How a pool stands, at one moment.
///
/// ```
/// # fn show(status: tenure_core::pool::Status) {
/// println!("{} of {} in use, {} waiting", status.in_use, status.max_size, status.waiting);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Most values that may be open at once.
    pub max_size: usize,
    /// Values, those being closed included, and openings under way. Above `max_size` there are only values that were
    /// found broken and are being closed, and no more than
    /// [`max_closing_beside`](super::PoolBuilder::max_closing_beside) allows.
    pub size: usize,
    /// Values that wait for a user.
    pub idle: usize,
    /// Values in use.
    pub in_use: usize,
    /// Tasks that wait for a value.
    pub waiting: usize,
    /// Openings under way.
    pub opening: usize,
    /// Values under a check or a hook.
    pub checking: usize,
    /// Values that wait to be closed, and those being closed.
    pub closing: usize,
    /// How many values were opened since the pool was built, and where each of them is.
    pub audit: Audit,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            max_size,
            size,
            idle,
            in_use,
            waiting,
            opening,
            checking,
            closing,
            audit: _,
        } = self;
        write!(
            f,
            "{size} of {max_size}: {idle} idle, {in_use} in use, {opening} opening, \
             {checking} checking, {closing} closing; {waiting} waiting"
        )
    }
}
