//! Where a scope is dropped, and what has to hold afterwards.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tenure_core::scope::ScopeBuilder;
use tenure_core::{Audit, LocalScope, Scope, ScopeError};
use tenure_sim::{Backend, FaultyResource, Sim, Task};

use super::runtime::Runtime;
use crate::drawn::{coin, heal, noted};
use crate::trouble::{Background, HOOK_TIME, MEANWHILE, Trouble};

pub(super) type Handle = LocalScope<Runtime>;

/// One world with scopes, and what goes on beside the operation that is looked at.
pub(super) struct Scene {
    pub(super) sim: Sim,
    pub(super) backend: Backend,
    background: Background,
    runtime: Runtime,
    /// A handle on each scope that was begun and is no child.
    handles: RefCell<Vec<Handle>>,
    deferred: Rc<Deferred>,
    others: RefCell<Vec<Task<()>>>,
}

/// The finalizers that were deferred.
#[derive(Default)]
struct Deferred {
    registered: Cell<u64>,
    begun: RefCell<Vec<u64>>,
}

impl Scene {
    pub(super) fn set(sim: Sim, background: Background, trouble: Trouble) -> Self {
        let backend = Backend::new(&sim);
        trouble.begin(&backend);
        let scene = Self {
            runtime: if coin(&sim) {
                Runtime::new(&sim)
            } else {
                Runtime::eager(&sim)
            },
            backend,
            background,
            handles: RefCell::default(),
            deferred: Rc::default(),
            others: RefCell::default(),
            sim,
        };
        if background == Background::IsLost {
            let (sleep, runtime) = (scene.sim.sleep(MEANWHILE * 5), scene.runtime.clone());
            scene.beside("loses the runner", async move {
                sleep.await;
                runtime.lose_all();
            });
        }
        scene
    }

    /// Runs a scope, and bears the panic of its body.
    pub(super) async fn scope<E>(&self, body: impl AsyncFnOnce(&Handle) -> Result<(), E>) {
        let builder = self.builder();
        let body = async |handle: Handle| {
            self.handles.borrow_mut().push(handle.clone());
            body(&handle).await
        };
        let answer = if self.background == Background::IsAbsent {
            bear(builder.run_inline(&self.runtime, body)).await
        } else {
            bear(builder.run_local(&self.runtime, body)).await
        };
        if let Some(Err(ScopeError::Config { error })) = answer {
            panic!("{error}");
        }
    }

    fn builder(&self) -> ScopeBuilder {
        Scope::builder()
            .name("scene")
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .events(noted(&self.sim))
    }

    pub(super) fn resource(&self) -> FaultyResource {
        FaultyResource::new(&self.backend)
    }

    /// Defers a finalizer that takes its time, and ends as it is told.
    pub(super) fn defer(&self, scope: &Handle, ends: Ends) {
        let number = self.deferred.registered.get() + 1;
        self.deferred.registered.set(number);
        let (sim, deferred) = (self.sim.clone(), self.deferred.clone());
        scope.defer(move |_exit| async move {
            deferred.begun.borrow_mut().push(number);
            sim.sleep(HOOK_TIME).await;
            match ends {
                Ends::Well => Ok(()),
                Ends::Badly => Err("by plan".into()),
                Ends::Never => std::future::pending().await,
            }
        });
    }

    /// A handle on the first scope there is, once there is one.
    pub(super) async fn handle(&self) -> Option<Handle> {
        for _ in 0..20 {
            let first = self.handles.borrow().first().cloned();
            if first.is_some() {
                return first;
            }
            self.sim.yield_now().await;
        }
        None
    }

    pub(super) fn beside(&self, name: &str, future: impl Future<Output = ()> + 'static) {
        let task = self.sim.task(name, future);
        self.others.borrow_mut().push(task);
    }

    /// What has to hold once the operation is over, however it came to be over.
    pub(super) async fn prove_whole(self) {
        for handle in self.handles.borrow().iter() {
            assert!(handle.audit().is_balanced(), "{}", handle.audit());
        }
        heal(&self.backend);
        for other in self.others.take() {
            other.await;
        }
        // Longer than all finalizers of all scopes may take, one after the other.
        self.sim.sleep(HOOK_TIME * 200).await;
        let handles = self.handles.take();
        let audits: Vec<Audit> = handles.iter().map(Handle::audit).collect();
        for audit in &audits {
            assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        }
        let sum = |count: fn(&Audit) -> u64| audits.iter().map(count).sum::<u64>();
        assert_eq!(sum(|audit| audit.opened), self.backend.opened());
        let (deferred, dropped) = (&self.deferred, sum(|audit| audit.finalize_dropped));
        let run = sum(|audit| audit.finalized + audit.finalize_failed);
        assert_eq!(run + dropped, deferred.registered.get());
        let begun = deferred.begun.borrow();
        assert!(run <= begun.len() as u64 && begun.len() as u64 <= run + dropped);
        self.backend.assert_accounted();
        drop(handles);
        assert!(self.runtime.is_idle(), "a Runner goes on without a scope");
    }

    /// The finalizers that were begun, in the order in which they were.
    pub(super) fn begun(&self) -> Vec<u64> {
        self.deferred.begun.borrow().clone()
    }
}

/// How a deferred finalizer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    Well,
    Badly,
    Never,
}

/// Awaits a future, and bears its panic.
async fn bear<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(polled) => polled.map(Some),
            Err(_panic) => Poll::Ready(None),
        }
    })
    .await
}
