//! What is done with scopes.

use std::panic::resume_unwind;

use tenure_core::BoxError;

use super::scene::{Ends, Handle, Scene};
use crate::trouble::HOOK_TIME;

/// What a task does with a scope of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Several openings and finalizers, and a guard that is held to the end.
    Succeeds,
    /// The same with a body that fails.
    Fails,
    /// The same with a body that panics.
    Panics,
    /// With finalizers that fail and hang.
    FinalizersFail,
    /// A child scope, between what its parent opens.
    HasChild,
    /// Two child scopes at once, in tasks of their own, which their parent does not wait for.
    LeavesChildren,
    /// A scope of its own within another.
    IsNested,
    /// A guard that another task holds on to.
    LosesAGuard,
}

impl Operation {
    pub(super) const ALL: [Self; 8] = [
        Self::Succeeds,
        Self::Fails,
        Self::Panics,
        Self::FinalizersFail,
        Self::HasChild,
        Self::LeavesChildren,
        Self::IsNested,
        Self::LosesAGuard,
    ];

    pub(super) async fn perform(self, scene: &Scene) {
        match self {
            Self::Succeeds => scene.scope(async |s| fill(scene, s).await).await,
            Self::Fails => {
                let body = async |s: &Handle| {
                    fill(scene, s).await?;
                    Err::<(), BoxError>("by plan".into())
                };
                scene.scope(body).await;
            }
            Self::Panics => {
                let body = async |s: &Handle| {
                    fill(scene, s).await?;
                    // Unwinds as a panic does, without the hook that prints.
                    resume_unwind(Box::new("by plan"));
                    #[expect(unreachable_code, reason = "it says what the body's type is")]
                    Ok::<(), BoxError>(())
                };
                scene.scope(body).await;
            }
            Self::FinalizersFail => {
                let body = async |s: &Handle| {
                    scene.defer(s, Ends::Well);
                    scene.defer(s, Ends::Badly);
                    drop(s.open(scene.resource()).await?);
                    scene.defer(s, Ends::Never);
                    Ok::<(), BoxError>(())
                };
                scene.scope(body).await;
            }
            Self::HasChild => {
                let body = async |s: &Handle| {
                    drop(s.open(scene.resource()).await?);
                    let child = s.scope(async |child| fill(scene, &child).await);
                    let answer = child.await.map_err(|error| error.without_value());
                    drop(s.open(scene.resource()).await?);
                    Ok::<(), BoxError>(answer?)
                };
                scene.scope(body).await;
            }
            Self::LeavesChildren => {
                let body = async |s: &Handle| {
                    drop(s.open(scene.resource()).await?);
                    for _ in 0..2 {
                        let (s, resource) = (s.clone(), scene.resource());
                        let sleep = scene.sim.sleep(HOOK_TIME * 2);
                        scene.beside("a child", async move {
                            let child = s.scope(async |child| {
                                let _held = child.open(resource.clone()).await?;
                                sleep.await;
                                drop(child.open(resource).await?);
                                Ok::<(), BoxError>(())
                            });
                            let _ = child.await;
                        });
                    }
                    scene.sim.sleep(HOOK_TIME * 3 / 2).await;
                    Ok::<(), BoxError>(())
                };
                scene.scope(body).await;
            }
            Self::IsNested => {
                let body = async |s: &Handle| {
                    drop(s.open(scene.resource()).await?);
                    let inner = async |s: &Handle| {
                        scene.defer(s, Ends::Well);
                        let _held = s.open(scene.resource()).await?;
                        Ok::<(), BoxError>(())
                    };
                    Box::pin(scene.scope(inner)).await;
                    drop(s.open(scene.resource()).await?);
                    Ok::<(), BoxError>(())
                };
                scene.scope(body).await;
            }
            Self::LosesAGuard => {
                let body = async |s: &Handle| {
                    let held = s.open(scene.resource()).await?;
                    let sleep = scene.sim.sleep(HOOK_TIME * 3);
                    scene.beside("holds a guard", async move {
                        sleep.await;
                        drop(held);
                    });
                    fill(scene, s).await
                };
                scene.scope(body).await;
            }
        }
    }
}

async fn fill(scene: &Scene, s: &Handle) -> Result<(), BoxError> {
    scene.defer(s, Ends::Well);
    let _held = s.open(scene.resource()).await?;
    drop(s.open(scene.resource()).await?);
    scene.defer(s, Ends::Well);
    scene.sim.yield_now().await;
    Ok(())
}

/// What a task does with the scope of another, in time or late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Defer,
    /// An opening, and a guard that is held for a while.
    Open,
    Child,
}

impl Late {
    pub(super) const ALL: [Self; 3] = [Self::Defer, Self::Open, Self::Child];

    pub(super) async fn perform(self, scene: &Scene) {
        let Some(s) = scene.handle().await else {
            return;
        };
        match self {
            Self::Defer => {
                scene.sim.sleep(HOOK_TIME / 2).await;
                scene.defer(&s, Ends::Well);
                scene.sim.sleep(HOOK_TIME).await;
                scene.defer(&s, Ends::Badly);
            }
            Self::Open => {
                let held = s.open(scene.resource()).await;
                scene.sim.sleep(HOOK_TIME).await;
                drop(held);
            }
            Self::Child => {
                let child = s.scope(async |child| fill(scene, &child).await);
                let _ = child.await;
            }
        }
    }
}
