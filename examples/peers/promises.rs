//! What was promised, and whether that was kept.

use std::fmt::Display;
use std::sync::Arc;

use tenure_core::BoxError;

use crate::screen::Screen;

pub(crate) struct Promises {
    screen: Arc<Screen>,
    broken: Vec<String>,
}

impl Promises {
    pub(crate) const fn new(screen: Arc<Screen>) -> Self {
        let broken = Vec::new();
        Self { screen, broken }
    }

    pub(crate) fn promise(&mut self, what: impl Display, is_kept: bool) {
        let verdict = if is_kept { "kept" } else { "BROKEN" };
        self.screen.say(format_args!("{verdict}: {what}"));
        if !is_kept {
            self.broken.push(what.to_string());
        }
    }

    /// Fails if one was broken, and says which.
    pub(crate) fn verdict(&self) -> Result<(), BoxError> {
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(format!("broken: {}", self.broken.join("; ")).into())
    }
}
