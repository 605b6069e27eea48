//! What an endpoint knows of the channel that it is the resource of.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tenure_core::State;
use tenure_core::connection::WeakConnection;
use tenure_tokio::Tokio;

use crate::endpoint::GrpcEndpoint;
use crate::wire::Wire;

/// A channel, as its endpoint sees it: whether a connection that is to be closed is replaced or the last, and which of
/// the replaced ones still carry streams.
#[derive(Default)]
pub(crate) struct Ties {
    channel: OnceLock<WeakConnection<GrpcEndpoint, Tokio>>,
    /// Replaced connections. Whoever reads a stream on one may finish, so nobody waits for their end.
    lingering: Mutex<Vec<Arc<Wire>>>,
    has_told: AtomicBool,
}

impl Ties {
    pub(crate) fn to(&self, channel: WeakConnection<GrpcEndpoint, Tokio>) {
        let _ = self.channel.set(channel);
    }

    /// Whether the channel goes on, so that a connection that is closed now is one that it lost.
    pub(crate) fn goes_on(&self) -> bool {
        let channel = self.channel.get().and_then(WeakConnection::upgrade);
        let state = channel.map(|channel| channel.state());
        state.is_some_and(|state| !matches!(state, State::Closing | State::Closed))
    }

    /// Tells the channel's event sink, once, that the server's health can't be known.
    pub(crate) fn tell_unimplemented(&self) {
        if self.has_told.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(channel) = self.channel.get().and_then(WeakConnection::upgrade) {
            let told =
                "the server has no grpc.health.v1: it counts as healthy for as long as it answers";
            channel.tell("health", told);
        }
    }

    pub(crate) fn let_linger(&self, wire: Arc<Wire>) {
        wire.begin_closing();
        let mut lingering = self.lock();
        lingering.retain(|wire| !wire.is_gone());
        lingering.push(wire);
    }

    /// The channel is over, and so are they.
    pub(crate) fn cut(&self) {
        let lingering = std::mem::take(&mut *self.lock());
        for wire in lingering {
            wire.cut();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Wire>>> {
        self.lingering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Ties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ties").finish_non_exhaustive()
    }
}
