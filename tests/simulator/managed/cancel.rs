//! Every operation of a managed resource, dropped wherever it can be: alone, and beside every other.

use tenure_sim::{cancel_everywhere, cancel_pairs};

use super::operations::Operation;
use super::scene::{Scene, Setting};
use crate::tell::{Drops, tell};
use crate::trouble::{Background, Polls, Trouble};

#[test]
fn every_operation_dropped_everywhere_loses_nothing() {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for background in operation.backgrounds() {
            for setting in Setting::ALL {
                for trouble in Trouble::ALL {
                    for polls in Polls::ALL {
                        drops += cancel_everywhere(
                            0..1,
                            async |sim| {
                                polls.set(&sim);
                                Scene::set(sim, setting, background, trouble).await
                            },
                            async |scene: &Scene| operation.perform(scene).await,
                            async |scene: Scene| scene.prove_whole().await,
                        );
                    }
                }
            }
        }
        tell(format_args!("managed: {operation:?} {drops}"));
        all += drops;
    }
    tell(format_args!("managed: every operation {all}"));
}

#[test]
fn every_pair_of_operations_loses_nothing() {
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
                    for trouble in Trouble::SHARED {
                        drops += cancel_pairs(
                            0..1,
                            async |sim| Scene::set(sim, setting, background, trouble).await,
                            async |scene: &Scene| first.perform(scene).await,
                            async |scene: &Scene| second.perform(scene).await,
                            async |scene: Scene| scene.prove_whole().await,
                        );
                    }
                }
            }
            pairs += 1;
        }
        tell(format_args!("managed: {first:?} beside each {drops}"));
        all += drops;
    }
    tell(format_args!("managed: {pairs} pairs of operations {all}"));
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
