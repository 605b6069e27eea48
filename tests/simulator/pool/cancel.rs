//! Every operation of a pool, dropped wherever it can be: alone, and beside every other.

use tenure_sim::{Backend, FaultyResource, cancel_everywhere, cancel_pairs};

use super::operations::Operation;
use super::scene::{Scene, Setting};
use crate::tell::{Drops, tell};
use crate::trouble::{Background, Polls, Trouble};

#[test]
fn every_operation_dropped_everywhere_loses_nothing() {
    drop_every_operation("pool", FaultyResource::new, &Trouble::ALL);
}

#[test]
fn every_operation_dropped_everywhere_loses_nothing_with_hooks() {
    let troubles = [&Trouble::ALL[..], &Trouble::OF_HOOKS].concat();
    drop_every_operation("pool with hooks", FaultyResource::hooked, &troubles);
}

fn drop_every_operation<const HOOKED: bool>(
    what: &str,
    resource: fn(&Backend) -> FaultyResource<HOOKED>,
    troubles: &[Trouble],
) {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for background in operation.backgrounds() {
            for setting in Setting::ALL {
                for &trouble in troubles {
                    for polls in Polls::ALL {
                        drops += cancel_everywhere(
                            0..1,
                            async |sim| {
                                polls.set(&sim);
                                Scene::set(sim, resource, setting, background, trouble).await
                            },
                            async |scene: &Scene<HOOKED>| operation.perform(scene).await,
                            async |scene: Scene<HOOKED>| scene.prove_whole().await,
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
fn every_pair_of_operations_loses_nothing() {
    drop_one_of_every_pair("pool", FaultyResource::new, &Trouble::SHARED);
}

#[test]
fn every_pair_of_operations_loses_nothing_with_hooks() {
    drop_one_of_every_pair(
        "pool with hooks",
        FaultyResource::hooked,
        &[Trouble::Nothing],
    );
}

fn drop_one_of_every_pair<const HOOKED: bool>(
    what: &str,
    resource: fn(&Backend) -> FaultyResource<HOOKED>,
    troubles: &[Trouble],
) {
    let mut all = Drops::default();
    let mut pairs = 0;
    for first in Operation::ALL {
        let mut drops = Drops::default();
        for second in Operation::ALL {
            for background in first.backgrounds() {
                if !second.backgrounds().any(|its| its == background) {
                    continue;
                }
                for setting in Setting::ALL {
                    for &trouble in troubles {
                        drops += cancel_pairs(
                            0..1,
                            async |sim| {
                                Scene::set(sim, resource, setting, background, trouble).await
                            },
                            async |scene: &Scene<HOOKED>| first.perform(scene).await,
                            async |scene: &Scene<HOOKED>| second.perform(scene).await,
                            async |scene: Scene<HOOKED>| scene.prove_whole().await,
                        );
                    }
                }
            }
            pairs += 1;
        }
        tell(format_args!("{what}: {first:?} beside each {drops}"));
        all += drops;
    }
    tell(format_args!("{what}: {pairs} pairs of operations {all}"));
}

impl Operation {
    /// The background work by hand has to be the only one.
    fn backgrounds(self) -> impl Iterator<Item = Background> {
        let by_hand = self == Self::Run;
        Background::ALL
            .into_iter()
            .filter(move |background| !by_hand || *background == Background::IsAbsent)
    }
}
