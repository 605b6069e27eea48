//! Prompts from outside: how each was answered, and whether that is right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_core::{BoxError, with_timeout};
use tenure_tokio::Tokio;
use tokio::task::{JoinSet, spawn_blocking};

use crate::PATIENCE;
use crate::handle::Handle;
use crate::model::expected;
use crate::proto::{Prompt, Shard};
use crate::rounds::root;

/// What becomes of prompts.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    right: BTreeSet<String>,
    /// What was said instead of an answer, or what is wrong with it.
    pub(crate) complaints: Vec<String>,
}

impl Tally {
    /// Whether each prompt was answered, and rightly. There is one answer to each, since an answer is that of a call.
    pub(crate) fn is_complete(&self) -> bool {
        self.complaints.is_empty() && self.right.len() == self.asked
    }

    pub(crate) fn right(&self) -> usize {
        self.right.len()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.right.extend(other.right);
        self.complaints.extend(other.complaints);
    }

    fn note(&mut self, request_id: String, answered: Result<(), BoxError>) {
        self.asked += 1;
        match answered {
            Ok(()) => {
                self.right.insert(request_id);
            }
            Err(error) => self
                .complaints
                .push(format!("{request_id}: {}", root(&error))),
        }
    }
}

/// Has one prompt answered by this origin.
pub(crate) async fn ask(
    origin: &Handle,
    request_id: &str,
    tokens: u32,
    tensor_mebibytes: u32,
) -> Tally {
    let prompt = Prompt {
        shard: Some(Shard::of_peer(1)),
        request_id: request_id.to_owned(),
        prompt: format!("what is {request_id}?"),
        tokens,
        tensor_mebibytes,
        ..Prompt::default()
    };
    let mut tally = Tally::default();
    tally.note(request_id.to_owned(), answer(origin, prompt).await);
    tally
}

async fn answer(origin: &Handle, prompt: Prompt) -> Result<(), BoxError> {
    let reply = origin.send_prompt(prompt.clone()).await?;
    let expected = spawn_blocking(move || expected(&prompt)).await?;
    if reply.tokens == expected {
        return Ok(());
    }
    Err(format!("{:?} was answered, not {expected:?}", reply.tokens).into())
}

/// A load: each origin is asked one prompt after the other, whatever happens to the peers.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<Tally>,
}

impl Load {
    pub(crate) fn start(name: &str, origins: &[Arc<Handle>]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks = origins
            .iter()
            .map(|origin| go_on(name.to_owned(), origin.clone(), is_over.clone()));
        let tasks = tasks.collect();
        Self { is_over, tasks }
    }

    /// Lets each prompt be answered that was asked.
    pub(crate) async fn end(mut self) -> Result<Tally, BoxError> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        let join = async {
            while let Some(tally) = self.tasks.join_next().await {
                all.add(tally?);
            }
            Ok(all)
        };
        with_timeout(&Tokio::current(), PATIENCE * 2, "ending the load", join).await?
    }
}

async fn go_on(name: String, origin: Arc<Handle>, is_over: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    while !is_over.load(Ordering::Relaxed) {
        let request_id = format!("{name}-{}-{}", origin.id, tally.asked + 1);
        tally.add(ask(&origin, &request_id, 2, 2).await);
    }
    tally
}
