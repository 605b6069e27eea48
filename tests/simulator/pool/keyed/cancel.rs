//! Every operation of a keyed pool, dropped wherever it can be: alone, and beside every other.

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
        for background in Background::ALL {
            for setting in Setting::ALL {
                for trouble in Trouble::SHARED {
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
        tell(format_args!("keyed pool: {operation:?} {drops}"));
        all += drops;
    }
    tell(format_args!("keyed pool: every operation {all}"));
}

#[test]
fn every_pair_of_operations_loses_nothing() {
    let mut all = Drops::default();
    for first in Operation::ALL {
        let mut drops = Drops::default();
        for second in Operation::ALL {
            for setting in Setting::ALL {
                let (background, trouble) = (Background::Runs, Trouble::Nothing);
                drops += cancel_pairs(
                    0..1,
                    async |sim| Scene::set(sim, setting, background, trouble).await,
                    async |scene: &Scene| first.perform(scene).await,
                    async |scene: &Scene| second.perform(scene).await,
                    async |scene: Scene| scene.prove_whole().await,
                );
            }
        }
        tell(format_args!("keyed pool: {first:?} beside each {drops}"));
        all += drops;
    }
    tell(format_args!("keyed pool: every pair of operations {all}"));
}
