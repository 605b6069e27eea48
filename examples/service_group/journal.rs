//! Says what happens and when, and remembers who has stopped.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tenure::{Event, EventKind, EventSink, Why};

pub(crate) struct Journal {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    /// Who has stopped, in this order.
    stopped: Vec<String>,
    /// What each resource said last.
    last: HashMap<String, String>,
}

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            pages: Mutex::default(),
        })
    }

    pub(crate) fn title(&self, line: &str) {
        self.write(format_args!("\n{line}"));
    }

    pub(crate) fn say(&self, line: impl Display) {
        let elapsed = self.began.elapsed().as_secs_f64();
        self.write(format_args!("{elapsed:7.3} s  {line}"));
    }

    /// Something of many lines.
    pub(crate) fn show(&self, text: impl Display) {
        let text = text.to_string();
        for line in text.lines() {
            self.write(format_args!("           {line}"));
        }
    }

    pub(crate) fn stopped(&self, name: &str) {
        self.say(format_args!("{name}: stopped"));
        self.pages().stopped.push(name.to_owned());
    }

    /// Who has stopped since this was last asked.
    pub(crate) fn take_stopped(&self) -> Vec<String> {
        mem::take(&mut self.pages().stopped)
    }

    /// Whoever reads may stop in the middle. The service goes on, to clean up.
    fn write(&self, line: impl Display) {
        let _ = writeln!(io::stdout(), "{line}");
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The managed resources report here.
impl EventSink for Journal {
    fn event(&self, event: &Event<'_>) {
        let line = event.to_string();
        match event.kind {
            // Routine, or told by what follows.
            EventKind::OpenBegan { .. } | EventKind::CheckPassed | EventKind::Transition { .. } => {
                return;
            }
            EventKind::Ended {
                why: Why::Shutdown, ..
            } => return self.stopped(event.name.as_str()),
            _ => {}
        }
        // What is missing is asked for again and again, and says the same again and again.
        let last = self
            .pages()
            .last
            .insert(event.name.to_string(), line.clone());
        if last.as_ref() != Some(&line) {
            self.say(line);
        }
    }
}
