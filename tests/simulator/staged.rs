//! Scenes in which every operation is dropped wherever it can be: alone, and beside every other.

use std::fmt::Debug;

use tenure_sim::{Sim, cancel_everywhere, cancel_pairs};

use crate::tell::{Drops, tell};
use crate::trouble::{Polls, Trouble};

/// What is staged, what is done with it, and how it is seen to be whole after all.
pub(crate) trait Staged: Sized {
    const NAME: &'static str;

    type Operation: Copy + Debug + 'static;
    /// How things stand when an operation begins.
    type Setting: Copy + 'static;

    const OPERATIONS: &'static [Self::Operation];
    const SETTINGS: &'static [Self::Setting];

    async fn set(sim: Sim, setting: Self::Setting, runner: bool, trouble: Trouble) -> Self;

    async fn perform(&self, operation: Self::Operation);

    async fn prove_whole(self);
}

/// Each operation by itself, in every setting and trouble, with a Runner and without, however tasks are polled.
pub(crate) fn drop_everywhere<S: Staged>() {
    let mut all = Drops::default();
    for operation in S::OPERATIONS {
        let mut drops = Drops::default();
        for setting in S::SETTINGS {
            for trouble in Trouble::ALL {
                for runner in [true, false] {
                    for polls in Polls::ALL {
                        drops += cancel_everywhere(
                            0..1,
                            async |sim| {
                                polls.set(&sim);
                                S::set(sim, *setting, runner, trouble).await
                            },
                            async |scene: &S| scene.perform(*operation).await,
                            async |scene: S| scene.prove_whole().await,
                        );
                    }
                }
            }
        }
        tell(format_args!("{}: {operation:?} {drops}", S::NAME));
        all += drops;
    }
    tell(format_args!("{}: every operation {all}", S::NAME));
}

/// Each operation beside each, with a Runner, in every setting and the troubles that they share.
pub(crate) fn drop_in_pairs<S: Staged>() {
    let mut all = Drops::default();
    for first in S::OPERATIONS {
        for second in S::OPERATIONS {
            for setting in S::SETTINGS {
                for trouble in Trouble::SHARED {
                    all += cancel_pairs(
                        0..1,
                        async |sim| S::set(sim, *setting, true, trouble).await,
                        async |scene: &S| scene.perform(*first).await,
                        async |scene: &S| scene.perform(*second).await,
                        async |scene: S| scene.prove_whole().await,
                    );
                }
            }
        }
    }
    let pairs = S::OPERATIONS.len() * S::OPERATIONS.len();
    tell(format_args!(
        "{}: {pairs} pairs of operations {all}",
        S::NAME
    ));
}
