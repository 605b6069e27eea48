//! Every operation of a managed resource that takes time.

use tenure_core::managed::CallOptions;
use tenure_core::{State, Timer};

use super::scene::Scene;
use crate::trouble::{HOOK_TIME, TIMEOUT};

/// What a task does with a managed resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    OpenTimeout,
    Get,
    GetTimeout,
    /// A call whose operation takes its time.
    Call,
    /// The same, with a limit for each attempt and one for all.
    CallWithLimits,
    /// A call whose operation panics.
    CallPanics,
    Check,
    Watch,
    WaitFor,
    Close,
    Shutdown,
    /// The background work, by hand.
    Run,
}

impl Operation {
    pub(super) const ALL: [Self; 13] = [
        Self::Open,
        Self::OpenTimeout,
        Self::Get,
        Self::GetTimeout,
        Self::Call,
        Self::CallWithLimits,
        Self::CallPanics,
        Self::Check,
        Self::Watch,
        Self::WaitFor,
        Self::Close,
        Self::Shutdown,
        Self::Run,
    ];

    pub(super) async fn perform(self, scene: &Scene) {
        let (sim, managed) = (&scene.sim, &scene.managed);
        let began_at = sim.now();
        match self {
            Self::Open => drop(managed.open().await),
            Self::OpenTimeout => {
                let _ = managed.open_timeout(TIMEOUT).await;
                assert!(sim.now() - began_at <= TIMEOUT);
            }
            Self::Get => drop(managed.get().await),
            Self::GetTimeout => {
                let _ = managed.get_timeout(TIMEOUT).await;
                assert!(sim.now() - began_at <= TIMEOUT);
            }
            Self::Call => {
                let asked = managed.call("ask", |value| async move {
                    sim.sleep(HOOK_TIME).await;
                    value.ask()
                });
                let _ = asked.await;
            }
            Self::CallWithLimits => {
                let options = CallOptions::named("ask")
                    .attempt_timeout(HOOK_TIME / 2)
                    .deadline(HOOK_TIME * 3);
                let asked = managed.call_with(options, |value| async move {
                    sim.sleep(HOOK_TIME).await;
                    value.ask()
                });
                let _ = asked.await;
                assert!(sim.now() - began_at <= HOOK_TIME * 3);
            }
            Self::CallPanics => scene.panics_in_a_call().await,
            Self::Check => drop(managed.check().await),
            Self::Watch => drop(managed.watch().changed().await),
            Self::WaitFor => drop(managed.wait_for(State::Ready).await),
            Self::Close => drop(managed.close().await),
            Self::Shutdown => {
                let _ = managed.shutdown(TIMEOUT).await;
                assert!(sim.now() - began_at <= TIMEOUT);
            }
            Self::Run => {
                let runner = scene.runner.take();
                if let Some(runner) = runner {
                    runner.run().await;
                }
            }
        }
    }
}
