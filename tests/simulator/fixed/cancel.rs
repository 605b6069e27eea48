//! Every operation, dropped wherever it can be: alone, and beside every other.

use tenure_sim::{Fault, Hook, cancel_everywhere, cancel_pairs};

use super::scene::{Scene, Setting};
use crate::tell::{Drops, tell};
use crate::trouble::{Background, HOOK_TIME, Polls, TIMEOUT, Trouble};

/// What a task does with a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Acquire,
    AcquireWithin,
    GiveBack,
    /// Runs an operation on a value, which may be cut off.
    RunInLease,
    Discard,
    Shutdown,
    /// The background work, by hand.
    Run,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::Acquire,
        Self::AcquireWithin,
        Self::GiveBack,
        Self::RunInLease,
        Self::Discard,
        Self::Shutdown,
        Self::Run,
    ];

    async fn perform<const VALUES: usize>(self, scene: &Scene<VALUES>) {
        let pool = scene.pool;
        match self {
            Self::Acquire => drop(pool.acquire().await),
            Self::AcquireWithin => drop(pool.acquire_within(TIMEOUT).await),
            Self::GiveBack => {
                let lease = scene.lent.take();
                scene.sim.yield_now().await;
                drop(lease);
            }
            Self::RunInLease => {
                if let Ok(mut lease) = pool.acquire().await {
                    lease.run(async |_| scene.sim.sleep(HOOK_TIME).await).await;
                }
            }
            Self::Discard => {
                if let Ok(lease) = pool.acquire().await {
                    scene.sim.yield_now().await;
                    lease.discard();
                }
            }
            Self::Shutdown => {
                let _ = pool.shutdown(TIMEOUT).await;
            }
            Self::Run => pool.run().await,
        }
    }

    /// The background work by hand has to be the only one.
    fn backgrounds(self) -> impl Iterator<Item = Background> {
        let by_hand = self == Self::Run;
        Background::ALL
            .into_iter()
            .filter(move |background| !by_hand || *background == Background::IsAbsent)
    }
}

/// Without a heap nothing contains a panic: it reaches who polls.
const TROUBLES: [Trouble; 6] = [
    Trouble::Nothing,
    Trouble::First(Hook::Open, Fault::Fail),
    Trouble::First(Hook::Open, Fault::Hang),
    Trouble::First(Hook::Check, Fault::Fail),
    Trouble::First(Hook::Close, Fault::Fail),
    Trouble::First(Hook::Close, Fault::Hang),
];

#[test]
fn every_operation_on_an_exclusive_value_dropped_everywhere_loses_nothing() {
    drop_every_operation::<1>("exclusive value");
}

#[test]
fn every_operation_on_a_fixed_pool_dropped_everywhere_loses_nothing() {
    drop_every_operation::<2>("fixed pool");
}

fn drop_every_operation<const VALUES: usize>(what: &str) {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for background in operation.backgrounds() {
            for setting in Setting::ALL {
                for trouble in TROUBLES {
                    for polls in Polls::ALL {
                        drops += cancel_everywhere(
                            0..1,
                            async |sim| {
                                polls.set(&sim);
                                Scene::<VALUES>::set(sim, setting, background, trouble).await
                            },
                            async |scene: &Scene<VALUES>| operation.perform(scene).await,
                            async |scene: Scene<VALUES>| scene.prove_whole().await,
                        );
                    }
                }
            }
        }
        tell(format_args!("{what}: {operation:?} {drops}"));
        all += drops;
    }
    tell(format_args!("{what}: every operation {all}"));
}

#[test]
fn every_pair_of_operations_on_an_exclusive_value_loses_nothing() {
    let mut all = Drops::default();
    for first in Operation::ALL {
        for second in Operation::ALL {
            for background in first.backgrounds() {
                if !second.backgrounds().any(|its| its == background) {
                    continue;
                }
                for setting in Setting::ALL {
                    for trouble in Trouble::SHARED {
                        all += cancel_pairs(
                            0..1,
                            async |sim| Scene::<1>::set(sim, setting, background, trouble).await,
                            async |scene: &Scene<1>| first.perform(scene).await,
                            async |scene: &Scene<1>| second.perform(scene).await,
                            async |scene: Scene<1>| scene.prove_whole().await,
                        );
                    }
                }
            }
        }
    }
    tell(format_args!("exclusive value: every pair {all}"));
}
