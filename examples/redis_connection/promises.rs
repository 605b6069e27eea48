//! What was promised, and whether that was kept.

use std::fmt::Display;
use std::sync::Arc;

use tenure::BoxError;

use crate::journal::Journal;

pub(crate) struct Promises {
    journal: Arc<Journal>,
    broken: Vec<String>,
}

impl Promises {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        let broken = Vec::new();
        Self { journal, broken }
    }

    pub(crate) fn promise(&mut self, what: impl Display, is_kept: bool) {
        let verdict = if is_kept { "kept" } else { "BROKEN" };
        self.journal.say(format_args!("{verdict}: {what}"));
        if !is_kept {
            self.broken.push(what.to_string());
        }
    }

    /// Fails if one was broken, and says which.
    pub(crate) fn verdict(self) -> Result<(), BoxError> {
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(format!("broken: {}", self.broken.join("; ")).into())
    }
}
