//! Says what happens and when. On a terminal a table below that shows how all are, drawn anew in its place; elsewhere
//! each change is said in a line.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::handle::RECONNECTING;
use crate::proto::{Health, Link};

/// How each is, as it has said last; nothing for one that is away.
pub(crate) type Picture = BTreeMap<String, Option<Health>>;

pub(crate) struct Screen {
    began: Instant,
    is_terminal: bool,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    /// A row for each.
    rows: BTreeMap<String, String>,
    /// How many lines of the table are on the terminal.
    height: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_terminal: io::stdout().is_terminal(),
            shown: Mutex::default(),
        }
    }

    /// What has several lines goes on below the first.
    pub(crate) fn say(&self, what: impl Display) {
        let what = what.to_string().replace('\n', "\n           ");
        self.write(&mut self.lock(), &[what]);
    }

    /// Shows how all are, if that is not what was shown before.
    pub(crate) fn show(&self, picture: &Picture) {
        let mut shown = self.lock();
        let rows = picture.iter().map(|(id, health)| (id.clone(), row(health)));
        let before = std::mem::replace(&mut shown.rows, rows.collect());
        let is_new = |(id, row): &(&String, &String)| before.get(*id) != Some(*row);
        let news = shown.rows.iter().filter(is_new);
        let news: Vec<_> = news.map(|(id, row)| format!("{id:<9} {row}")).collect();
        if self.is_terminal {
            self.write(&mut shown, &[]);
        } else {
            self.write(&mut shown, &news);
        }
    }

    /// The table is not drawn any more.
    pub(crate) fn close(&self) {
        self.lock().rows.clear();
    }

    fn write(&self, shown: &mut Shown, lines: &[String]) {
        let elapsed = self.began.elapsed().as_secs_f64();
        let mut text = String::new();
        if shown.height > 0 {
            // Up to where the table begins, and away with it.
            let _ = write!(text, "\x1b[{}A\x1b[J", shown.height);
            shown.height = 0;
        }
        for line in lines {
            let _ = writeln!(text, "{elapsed:7.3} s  {line}");
        }
        if self.is_terminal {
            for (id, row) in &shown.rows {
                // What is longer than the terminal's width would take two lines, and is cut off instead.
                let _ = writeln!(text, "\x1b[?7l  | {id:<9} {row}\x1b[?7h");
            }
            shown.height = shown.rows.len();
        }
        // Whoever reads may stop in the middle. The example goes on, to clean up.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(health: &Option<Health>) -> String {
    let Some(health) = health else {
        return "away".to_owned();
    };
    let links: Vec<_> = health.links.iter().map(link).collect();
    format!("{:<9} {}", health.state, links.join(", "))
}

fn link(link: &Link) -> String {
    let Link {
        peer,
        state,
        refused,
        reconnects,
        ..
    } = link;
    let tries = match state.as_str() {
        RECONNECTING => format!(", {refused} refused"),
        _ if *reconnects > 0 => format!(" (reconnects: {reconnects})"),
        _ => String::new(),
    };
    format!("{peer} {state}{tries}")
}
