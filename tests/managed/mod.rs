//! What `Managed` promises, on every backend. `probe` is the resource, [`rig::Rig`] all that a test needs.

mod attempts;
mod bounds;
mod call;
mod call_errors;
mod check;
mod endings;
mod errors;
mod events;
mod health;
mod hostile;
mod nested;
mod open;
pub(crate) mod probe;
mod reconnect;
mod recorder;
mod rig;
mod start;
mod states;
mod step;
mod stop;
mod watch;

use tenure_core::managed::ManagedBuilder;
use tenure_core::{LocalResource, Managed};

use crate::worlds::*;
use probe::{LocalProbe, Probe, Refused, SendProbe, Value};
use rig::{Rig, every};
pub(crate) use rig::{soon, until, wait};

/// A world that can hold the probe, and spawns its Runner in the way that is its own.
pub(crate) trait ManagedWorld: World {
    type Probe: LocalResource<Value = Value<Self::Mark>, Error = Refused> + 'static;

    fn resource(&self, probe: &Probe) -> Self::Probe;

    /// Builds it, the Runner spawned if there is anything to spawn it on.
    fn build(&self, builder: ManagedBuilder<Self::Probe>) -> Handle<Self>;
}

type Handle<W> = Managed<<W as ManagedWorld>::Probe, <W as World>::Runtime>;

macro_rules! managed_worlds {
    ($($world:ident holds $probe:ident by |$self:ident, $builder:ident| $build:expr;)+) => {$(
        impl ManagedWorld for $world {
            type Probe = $probe<<Self as World>::Runtime>;

            fn resource(&self, probe: &Probe) -> Self::Probe {
                $probe(probe.clone(), self.runtime())
            }

            fn build(&$self, $builder: ManagedBuilder<Self::Probe>) -> Handle<Self> {
                $build.expect("a valid configuration")
            }
        }
    )+};
}

managed_worlds! {
    TokioMultiThread holds SendProbe by |self, builder| builder.build(self.runtime());
    TokioPaused holds SendProbe by |self, builder| builder.build(self.runtime());
    Simulated holds SendProbe by |self, builder| builder.build(self.runtime());
    TokioLocalSet holds LocalProbe by |self, builder| builder.build_local(self.runtime());
    AsyncStdGlobal holds SendProbe by |self, builder| builder.build(self.runtime());
    SmolGlobal holds SendProbe by |self, builder| builder.build(self.runtime());
    FuturesLocalPool holds LocalProbe by |self, builder| builder.build_local(self.runtime());
    PlainBlockOn holds SendProbe by |self, builder| {
        builder.build_with_runner(self.runtime()).map(|(managed, _runner)| managed)
    };
}
