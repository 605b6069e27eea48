//! Says what happens and when, and remembers each attempt to connect.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use tenure::{Event, EventKind, EventSink};

pub(crate) struct Journal {
    began: std::time::Instant,
    attempts: Mutex<Vec<tenure::Instant>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            began: std::time::Instant::now(),
            attempts: Mutex::default(),
        }
    }

    pub(crate) fn say(&self, line: impl Display) {
        let elapsed = self.began.elapsed().as_secs_f64();
        // Whoever reads may stop in the middle. The example goes on, to clean up.
        let _ = writeln!(io::stdout(), "{elapsed:7.3} s  {line}");
    }

    /// When each attempt to connect began, since `then`.
    pub(crate) fn attempts_since(&self, then: tenure::Instant) -> Vec<tenure::Instant> {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.iter().copied().filter(|at| *at >= then).collect()
    }
}

/// The connection reports here. That calls fail is not said one by one: dozens do, at the same moment.
impl EventSink for Journal {
    fn event(&self, event: &Event<'_>) {
        match event.kind {
            EventKind::OpenBegan { .. } => {
                let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
                attempts.extend(event.at);
            }
            EventKind::CallFailed { .. } | EventKind::CheckPassed => {}
            _ => self.say(event),
        }
    }
}
