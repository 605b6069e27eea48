//! Scopes of every form, used in every way, on a backend on which everything goes wrong.

use std::time::Duration;

use tenure_sim::{Sim, explore};

use super::operations::{Late, Operation};
use super::scene::Scene;
use crate::drawn::coin;
use crate::patience::Patience;
use crate::trouble::{Background, Trouble};

/// As many worlds as the tests of every build explore.
const SEEDS: u64 = 3_000;

#[test]
fn random_worlds_lose_nothing() {
    let explored = explore(0..SEEDS, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        let background = one_of(&sim, Background::ALL);
        let trouble = one_of(&sim, Trouble::ALL);
        let scene = std::rc::Rc::new(Scene::set(sim.clone(), background, trouble));
        let users: Vec<_> = (0..1 + sim.below(3))
            .map(|number| {
                let (sim, scene) = (sim.clone(), scene.clone());
                scene
                    .sim
                    .clone()
                    .task(format!("user {number}"), async move {
                        for _ in 0..1 + sim.below(3) {
                            let patience = Patience::drawn(&sim).at_most(Duration::from_secs(60));
                            if coin(&sim) {
                                let operation = one_of(&sim, Operation::ALL);
                                let _ = patience.wait(&sim, operation.perform(&scene)).await;
                            } else {
                                let late = one_of(&sim, Late::ALL);
                                let _ = patience.wait(&sim, late.perform(&scene)).await;
                            }
                        }
                    })
            })
            .collect();
        for user in users {
            user.await;
        }
        let Some(scene) = std::rc::Rc::into_inner(scene) else {
            unreachable!("its users are gone");
        };
        scene.prove_whole().await;
    });
    println!("{} worlds, {} steps", explored.runs, explored.steps);
}

fn one_of<T: Copy, const N: usize>(sim: &Sim, all: [T; N]) -> T {
    all[sim.below(N as u64) as usize]
}
