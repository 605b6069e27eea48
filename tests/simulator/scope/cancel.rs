//! Every scope, dropped wherever it can be: alone, and beside others who use it.

use std::cell::RefCell;
use std::rc::Rc;

use tenure_core::{BoxError, Exit, Scope, scope, scope_inline, scope_local, with_resource};
use tenure_sim::{Backend, Ended, FaultyResource, Hook, cancel_everywhere, cancel_pairs, run};

use super::operations::{Late, Operation};
use super::runtime::Runtime;
use super::scene::{Ends, Handle, Scene};
use crate::tell::{Drops, tell};
use crate::trouble::{Background, HOOK_TIME, Polls, Trouble};

#[test]
fn every_scope_dropped_everywhere_loses_nothing() {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for background in Background::ALL {
            for trouble in Trouble::ALL.into_iter().filter(concerns_scopes) {
                for polls in Polls::ALL {
                    drops += cancel_everywhere(
                        0..1,
                        async |sim| {
                            polls.set(&sim);
                            Scene::set(sim, background, trouble)
                        },
                        async |scene: &Scene| operation.perform(scene).await,
                        async |scene: Scene| scene.prove_whole().await,
                    );
                }
            }
        }
        tell(format_args!("scope: {operation:?} {drops}"));
        all += drops;
    }
    tell(format_args!("scope: every operation {all}"));
}

#[test]
fn every_scope_dropped_beside_who_uses_it_loses_nothing() {
    let mut all = Drops::default();
    for operation in Operation::ALL {
        let mut drops = Drops::default();
        for late in Late::ALL {
            for background in Background::ALL {
                for trouble in Trouble::SHARED {
                    drops += cancel_pairs(
                        0..1,
                        async |sim| Scene::set(sim, background, trouble),
                        async |scene: &Scene| operation.perform(scene).await,
                        async |scene: &Scene| late.perform(scene).await,
                        async |scene: Scene| scene.prove_whole().await,
                    );
                    drops += cancel_pairs(
                        0..1,
                        async |sim| Scene::set(sim, background, trouble),
                        async |scene: &Scene| late.perform(scene).await,
                        async |scene: &Scene| operation.perform(scene).await,
                        async |scene: Scene| scene.prove_whole().await,
                    );
                }
            }
        }
        tell(format_args!("scope: {operation:?} beside each {drops}"));
        all += drops;
    }
    tell(format_args!("scope: every pair {all}"));
}

/// Checks are no matter of scopes.
fn concerns_scopes(trouble: &Trouble) -> bool {
    !matches!(trouble, Trouble::First(Hook::Check, _))
}

/// With a Runner nothing is cut off, wherever the scope is dropped: all that was opened is closed.
#[test]
fn a_scope_with_a_runner_closes_all_wherever_it_is_dropped() {
    let drops = cancel_everywhere(
        0..4,
        async |sim| Scene::set(sim, Background::Runs, Trouble::Nothing),
        async |scene: &Scene| Operation::HasChild.perform(scene).await,
        async |scene: Scene| {
            let backend = scene.backend.clone();
            scene.prove_whole().await;
            assert_eq!(backend.ended(Ended::Closed), backend.opened());
        },
    );
    tell(format_args!("scope: with a Runner {drops}"));
}

/// Finalizers of one scope are begun in the reverse of the order in which they were deferred, whoever
/// runs them.
#[test]
fn finalizers_are_run_in_reverse_wherever_the_scope_is_dropped() {
    for background in Background::ALL {
        cancel_everywhere(
            0..2,
            async |sim| Scene::set(sim, background, Trouble::Nothing),
            async |scene: &Scene| {
                let body = async |s: &Handle| {
                    for _ in 0..3 {
                        scene.defer(s, Ends::Well);
                        scene.sim.yield_now().await;
                    }
                    Ok::<(), BoxError>(())
                };
                scene.scope(body).await;
            },
            async |scene: Scene| {
                scene.sim.sleep(HOOK_TIME * 20).await;
                let begun = scene.begun();
                assert!(begun.is_sorted_by(|one, next| one > next), "{begun:?}");
                scene.prove_whole().await;
            },
        );
    }
}

/// A Runner that is polled before its spawner goes on finds nothing to do yet.
#[test]
fn a_late_finalizer_is_run_though_its_runner_is_polled_at_once() {
    run(0, |sim| async move {
        let runtime = Runtime::eager(&sim);
        let s = scope_local(&runtime, async |s| Ok::<_, BoxError>(s)).await;
        let s = s.expect("all went well");
        for count in 1..4 {
            s.defer(|_| async { Ok(()) });
            sim.sleep(HOOK_TIME).await;
            assert_eq!(s.audit().finalized, count);
        }
    });
}

/// A finalizer may register what its scope is to finalize next.
#[test]
fn a_finalizer_may_defer_another() {
    run(0, |sim| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let note = |what| {
            let order = order.clone();
            move |exit: Exit| async move {
                order.borrow_mut().push((what, exit));
                Ok(())
            }
        };
        let ended = scope_inline(&sim, async |s| {
            s.defer(note("first"));
            let (again, next) = (s.clone(), note("next"));
            s.defer(move |_| async move {
                again.defer(next);
                Ok(())
            });
            Ok::<_, BoxError>(())
        });
        ended.await.expect("all went well");
        let order = order.take();
        let wanted = ["next", "first"].map(|what| (what, Exit::Succeeded));
        assert_eq!(order, wanted);
    });
}

/// The forms for tasks that move between threads.
#[test]
fn a_sending_scope_dropped_everywhere_loses_nothing() {
    let drops = cancel_everywhere(
        0..2,
        async |sim| {
            let backend = Backend::new(&sim);
            for hook in [Hook::Open, Hook::Close] {
                backend.set_time(hook, HOOK_TIME);
            }
            (sim, backend)
        },
        async |(sim, backend): &(tenure_sim::Sim, Backend)| {
            let resource = FaultyResource::new(backend);
            let body = {
                let resource = resource.clone();
                async move |s: Scope<_>| {
                    let _held = s.open(resource.clone()).await?;
                    s.defer(|_| async { Ok(()) });
                    drop(s.open(resource).await?);
                    Ok::<(), BoxError>(())
                }
            };
            let _ = scope(sim, body).await;
            let used = with_resource(sim, resource, async |value| {
                value.ask().map_err(BoxError::from)
            });
            let _ = used.await;
        },
        async |(sim, backend): (tenure_sim::Sim, Backend)| {
            sim.sleep(HOOK_TIME * 20).await;
            assert_eq!(backend.ended(Ended::Closed), backend.opened());
            backend.assert_accounted();
        },
    );
    tell(format_args!("scope: sending {drops}"));
}
