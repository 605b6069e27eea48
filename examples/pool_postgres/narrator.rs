//! Says what happens, line by line, and when.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tenure::{Event, EventKind, EventSink};

pub(crate) struct Narrator {
    pub(crate) began: Instant,
    /// The attempt to open that was last told to have failed, if none has succeeded since.
    told: AtomicU32,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            told: AtomicU32::new(0),
        }
    }

    pub(crate) fn say(&self, line: impl Display) {
        let elapsed = self.began.elapsed().as_secs_f64();
        self.write(format_args!("{elapsed:7.3} s  {line}"));
    }

    /// Whoever reads may stop in the middle. The example goes on, to clean up.
    pub(crate) fn write(&self, text: impl Display) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}

/// The pool reports here. Openings and closings are routine, and there are many: the audit counts them.
impl EventSink for Narrator {
    fn event(&self, event: &Event<'_>) {
        match event.kind {
            EventKind::Opened { .. } => self.told.store(0, Ordering::Relaxed),
            // Openings that were under way at the same time fail as one attempt.
            EventKind::OpenFailed { attempt, .. }
                if self.told.swap(attempt, Ordering::Relaxed) == attempt => {}
            EventKind::OpenFailed { .. }
            | EventKind::CheckFailed { .. }
            | EventKind::Ended { error: Some(_), .. }
            | EventKind::Swallowed { .. } => self.say(event),
            _ => {}
        }
    }
}
