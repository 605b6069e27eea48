//! The tokens that have come back to the origin of their prompts. Each is known by its request and its position, so one
//! that comes twice is the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::proto::TokenResult;

#[derive(Default)]
pub(crate) struct Answers(Mutex<Book>);

#[derive(Default)]
struct Book {
    tokens: HashMap<(String, u32), TokenResult>,
    came_again: u64,
}

impl Answers {
    /// Says whether it is new.
    pub(crate) fn accept(&self, token: TokenResult) -> bool {
        self.with(|book| {
            let key = (token.request_id.clone(), token.position);
            let is_new = book.tokens.insert(key, token).is_none();
            book.came_again += u64::from(!is_new);
            is_new
        })
    }

    pub(crate) fn find(&self, request_id: &str, position: u32) -> Option<TokenResult> {
        let key = (request_id.to_owned(), position);
        self.with(|book| book.tokens.get(&key).cloned())
    }

    /// How many have come, and how often one of them came again.
    pub(crate) fn counts(&self) -> (usize, u64) {
        self.with(|book| (book.tokens.len(), book.came_again))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Book) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
