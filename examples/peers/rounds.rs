//! How a prompt is answered: for each token a round through all peers, and another if one does not get through.
//!
//! ```text
//! origin -SendPrompt-> .. -> first layer -SendTensor-> .. -> last layer -SendResult-> .. -> origin
//! ```
//!
//! All go to the next peer of the ring only, and each is answered once what it leads to has arrived. So whoever dies on
//! the way, the origin is told.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenure_core::{BoxError, retry};
use tenure_tokio::Tokio;
use tokio::task::spawn_blocking;

use crate::PATIENCE;
use crate::answers::Answers;
use crate::handle::{Handle, POLICY};
use crate::model::embed;
use crate::neighbours::Neighbours;
use crate::peer::say;
use crate::proto::{InferenceState, Prompt, Shard, TensorHead, TokenResult};
use crate::tensor::{DTYPE, Tensor};

/// What a peer does in a round.
pub(crate) struct Rounds {
    pub(crate) id: String,
    pub(crate) shard: Shard,
    pub(crate) neighbours: Arc<Neighbours>,
    pub(crate) answers: Answers,
    /// How many rounds it has begun as an origin.
    pub(crate) begun: AtomicU64,
}

impl Rounds {
    /// As the origin: token after token, since each depends on the one before.
    pub(crate) async fn answer(&self, mut prompt: Prompt) -> Result<Vec<u64>, BoxError> {
        prompt.origin.clone_from(&self.id);
        let mut tokens = Vec::new();
        loop {
            // A round is made of what may have failed anywhere, so each failure is worth another one.
            let policy = POLICY.deadline(PATIENCE);
            let rounds = retry(&Tokio::current(), policy, || self.round(prompt.clone()));
            let TokenResult {
                position,
                token,
                is_finished,
                ..
            } = rounds.await.map_err(|error| error.to_string())?;
            tokens.push(token);
            if is_finished {
                return Ok(tokens);
            }
            prompt.state = Some(InferenceState {
                position: position + 1,
                token,
            });
        }
    }

    async fn round(&self, prompt: Prompt) -> Result<TokenResult, BoxError> {
        let position = prompt.state.unwrap_or_default().position;
        let request_id = prompt.request_id.clone();
        // An earlier round may have got through, though nobody could say so.
        if let Some(token) = self.answers.find(&request_id, position) {
            return Ok(token);
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.bring(prompt).await {
            say(format_args!(
                "{request_id} needs another round: {}",
                root(&error)
            ));
            return Err(error);
        }
        let token = self.answers.find(&request_id, position);
        token.ok_or_else(|| "a round came to its end without a token".into())
    }

    /// Brings a prompt to the peer with the first layer.
    pub(crate) async fn bring(&self, prompt: Prompt) -> Result<(), BoxError> {
        if prompt.shard.as_ref() == Some(&self.shard) {
            return self.begin(prompt).await;
        }
        self.next()?.send_prompt(prompt).await?;
        Ok(())
    }

    async fn begin(&self, prompt: Prompt) -> Result<(), BoxError> {
        let _under_way = self.neighbours.pulse.clone().tensor_begins();
        let head = TensorHead {
            shard: prompt.shard.clone(),
            dtype: DTYPE.to_owned(),
            state: prompt.state,
            request_id: prompt.request_id.clone(),
            origin: prompt.origin.clone(),
            tokens: prompt.tokens,
            ..TensorHead::default()
        };
        let layers = self.shard.layers();
        let tensor = spawn_blocking(move || embed(&prompt, layers)).await?;
        self.pass_on(head, tensor).await
    }

    /// Sends what was computed to the peer with the next layers, or the token to its origin, if there are none.
    pub(crate) async fn pass_on(&self, head: TensorHead, tensor: Tensor) -> Result<(), BoxError> {
        if let Some(shard) = self.shard.next() {
            let head = TensorHead {
                shard: Some(shard),
                shape: tensor.shape(),
                ..head
            };
            return self.next()?.send_tensor(head, tensor).await;
        }
        let position = head.state.unwrap_or_default().position;
        let result = TokenResult {
            request_id: head.request_id,
            origin: head.origin,
            position,
            token: tensor.checksum(),
            is_finished: position + 1 >= head.tokens,
        };
        self.deliver(result).await.map(drop)
    }

    /// Brings a token to the origin of its prompt. Says whether it is new there.
    pub(crate) async fn deliver(&self, result: TokenResult) -> Result<bool, BoxError> {
        if result.origin == self.id {
            return Ok(self.answers.accept(result));
        }
        Ok(self.next()?.send_result(result).await?.is_new)
    }

    fn next(&self) -> Result<&Handle, BoxError> {
        let next = self.neighbours.handles().first();
        next.map(AsRef::as_ref)
            .ok_or_else(|| "the next peer is not known yet".into())
    }
}

/// What lies at the bottom of an error.
pub(crate) fn root(error: &BoxError) -> String {
    let mut error: &dyn Error = error.as_ref();
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
