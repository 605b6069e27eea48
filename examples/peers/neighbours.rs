//! Those whom one is connected to, as members of a group that can do without any of them.

use std::sync::{Arc, OnceLock};

use tenure_core::group::Addition;
use tenure_core::{BoxError, Event, EventSink, Group};
use tenure_tokio::Tokio;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::handle::Handle;
use crate::proto::Health;

pub(crate) struct Neighbours {
    /// They, and whatever else has to be up.
    pub(crate) group: Group<Tokio>,
    handles: OnceLock<Vec<Arc<Handle>>>,
    pub(crate) pulse: Arc<Pulse>,
}

impl Neighbours {
    pub(crate) fn of(group: Group<Tokio>) -> Self {
        Self {
            group,
            handles: OnceLock::new(),
            pulse: Arc::default(),
        }
    }

    /// Once it is known who they are. Only the first time counts.
    pub(crate) fn meet(&self, handles: Vec<Arc<Handle>>) {
        let _ = self.handles.set(handles);
    }

    /// Has them connected to from now on, each after these members, and waits until all are. Whoever is not there is
    /// missing, and no more.
    pub(crate) async fn connect(&self, after: &[&'static str]) -> Result<(), BoxError> {
        let mut connecting = JoinSet::new();
        for handle in self.handles().iter().cloned() {
            let (group, pulse) = (self.group.clone(), self.pulse.clone());
            let after = after.to_vec();
            connecting.spawn(async move {
                let connection = handle.channel.connection().clone();
                let member = group.add(handle.id.clone(), connection).optional();
                let member = after.into_iter().fold(member, Addition::after);
                let started = member.start().await;
                pulse.beat();
                started
            });
        }
        while let Some(started) = connecting.join_next().await {
            started??;
        }
        Ok(())
    }

    /// Nobody, before they are known.
    pub(crate) fn handles(&self) -> &[Arc<Handle>] {
        self.handles.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn handle(&self, id: &str) -> Option<&Arc<Handle>> {
        self.handles().iter().find(|handle| handle.id == id)
    }

    /// As it looks from here, with nobody asked.
    pub(crate) fn health(&self) -> Health {
        let state = self.group.state();
        Health {
            is_healthy: state.is_healthy(),
            state: state.to_string(),
            links: self.handles().iter().map(|handle| handle.link()).collect(),
            tensors_under_way: self.pulse.tensors(),
        }
    }
}

/// Beats whenever something has changed that belongs into the picture.
pub(crate) struct Pulse(watch::Sender<u32>);

impl Default for Pulse {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Pulse {
    /// The number is of no interest; that it was sent is.
    pub(crate) fn beats(&self) -> watch::Receiver<u32> {
        self.0.subscribe()
    }

    fn tensors(&self) -> u32 {
        *self.0.borrow()
    }

    pub(crate) fn beat(&self) {
        self.0.send_modify(|_| ());
    }

    pub(crate) fn tensor_begins(self: Arc<Self>) -> TensorUnderWay {
        self.0.send_modify(|tensors| *tensors += 1);
        TensorUnderWay(self)
    }
}

/// What a channel tells is that something has changed with it.
impl EventSink for Pulse {
    fn event(&self, _: &Event<'_>) {
        self.beat();
    }
}

/// Until it is dropped.
pub(crate) struct TensorUnderWay(Arc<Pulse>);

impl Drop for TensorUnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|tensors| *tensors -= 1);
    }
}
