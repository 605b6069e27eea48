//! One value that is open as long as anyone uses it, on every backend.

mod swap;
mod users;

use tenure_core::shared::SharedBuilder;
use tenure_core::{ErrorClass, OpenError, Retry, Shared, State};

use crate::managed::probe::{Did, Hook, Probe, Step};
use crate::managed::{ManagedWorld, ProbeWorld, in_every_world, soon, until};
use crate::worlds::*;

/// A world that spawns the Runner of a shared value in the way that is its own.
pub(crate) trait SharedWorld: ManagedWorld {
    fn share(&self, builder: SharedBuilder<Self::Probe>) -> Handle<Self>;
}

type Handle<W> = Shared<<W as ProbeWorld>::Probe, <W as World>::Runtime>;

in_every_world! { impl SharedWorld { fn share(SharedBuilder) } }

/// A shared probe, and all that a test needs of it.
struct Rig<W: SharedWorld> {
    world: W,
    probe: Probe,
    shared: Handle<W>,
}

impl<W: SharedWorld> Rig<W> {
    /// Not retried, and kept for four ticks, unless `configure` says otherwise.
    fn new(
        world: &W,
        configure: impl FnOnce(SharedBuilder<W::Probe>) -> SharedBuilder<W::Probe>,
    ) -> Self {
        let probe = Probe::default();
        let builder = Shared::builder(world.resource(&probe))
            .name("probe")
            .idle_timeout(world.tick() * 4)
            .retry(Retry::NEVER);
        Self {
            shared: world.share(configure(builder)),
            world: world.clone(),
            probe,
        }
    }

    fn plain(world: &W) -> Self {
        Self::new(world, |builder| builder)
    }

    /// Acquires it, and lets go of it at once.
    async fn touch(&self) -> Result<u32, OpenError> {
        let acquired = soon(&self.world, self.shared.acquire()).await;
        acquired.map(|share| share.id)
    }

    async fn until_did(&self, what: Did) {
        until(&self.world, "the probe did it", || self.probe.did(what)).await;
    }

    /// Closes all, and makes sure that every value has ended exactly once.
    async fn ends_well(self) {
        let report = soon(&self.world, self.shared.close()).await;
        assert_eq!(self.shared.state(), State::Closed, "{report}");
        let audit = self.shared.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        assert_eq!(audit.opened, self.probe.opened() as u64, "{audit}");
        let refused = soon(&self.world, self.shared.acquire()).await;
        assert!(matches!(refused, Err(OpenError::Closed { .. })));
        let all_dropped = || self.probe.alive() == 0;
        until(&self.world, "every value dropped", all_dropped).await;
    }
}

fn refuse() -> Step {
    Step::fail(ErrorClass::Retry)
}

/// How often values were closed, and which.
fn closes(probe: &Probe) -> Vec<u32> {
    let log = probe.log().into_iter();
    let closes = log.filter_map(|did| match did {
        Did::EndClose(id) => Some(id),
        _ => None,
    });
    closes.collect()
}
