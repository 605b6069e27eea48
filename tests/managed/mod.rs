//! What `Managed` promises, on every backend. `probe` is the resource, [`rig::Rig`] all that a test needs.

mod attempts;
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

/// A world that can hold the probe.
pub(crate) trait ProbeWorld: World {
    type Probe: LocalResource<Value = Value<Self::Mark>, Error = Refused> + 'static;

    fn resource(&self, probe: &Probe) -> Self::Probe;
}

/// A world that spawns the Runner of the probe in the way that is its own.
pub(crate) trait ManagedWorld: ProbeWorld {
    /// Builds it, the Runner spawned if there is anything to spawn it on.
    fn build(&self, builder: ManagedBuilder<Self::Probe>) -> Handle<Self>;
}

type Handle<W> = Managed<<W as ProbeWorld>::Probe, <W as World>::Runtime>;

/// In every world, `$hold` builds what has a Runner, and spawns that in the way that is the world's own.
macro_rules! in_every_world {
    (impl $held:ident { fn $hold:ident($builder:ident) }) => {
        for_every_world! { in_every_world! { $held, $hold, $builder } }
    };
    ({ $held:ident, $hold:ident, $builder:ident }
        spawned: $($spawned:ident)*;
        spawned_locally: $($local:ident)*;
        by_hand: $($by_hand:ident)*;
    ) => {
        $( in_every_world! { @ $held, $hold, $builder, build: $spawned } )*
        $( in_every_world! { @ $held, $hold, $builder, build_local: $local } )*

        $(
            impl $held for $by_hand {
                fn $hold(&self, builder: $builder<Self::Probe>) -> Handle<Self> {
                    let built = builder.build_with_runner(self.runtime());
                    let (held, runner) = built.expect("a valid configuration");
                    self.background(runner.run());
                    held
                }
            }
        )*
    };
    (@ $held:ident, $hold:ident, $builder:ident, $build:ident: $world:ident) => {
        impl $held for $world {
            fn $hold(&self, builder: $builder<Self::Probe>) -> Handle<Self> {
                let built = builder.$build(self.runtime());
                built.expect("a valid configuration")
            }
        }
    };
}
pub(crate) use in_every_world;

macro_rules! probes {
    ({}
        spawned: $($spawned:ident)*;
        spawned_locally: $($local:ident)*;
        by_hand: $($by_hand:ident)*;
    ) => {
        $( probes! { @ SendProbe in $spawned } )*
        $( probes! { @ LocalProbe in $local } )*
        $( probes! { @ SendProbe in $by_hand } )*
    };
    (@ $probe:ident in $world:ident) => {
        impl ProbeWorld for $world {
            type Probe = $probe<<Self as World>::Runtime>;

            fn resource(&self, probe: &Probe) -> Self::Probe {
                $probe(probe.clone(), self.runtime())
            }
        }
    };
}

for_every_world! { probes! {} }

in_every_world! { impl ManagedWorld { fn build(ManagedBuilder) } }
