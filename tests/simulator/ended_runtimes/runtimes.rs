//! Several runtimes in one world, each of which ends on its own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tenure_core::{Instant, Spawn, Timer};
use tenure_sim::{Sim, Sleep};

/// The runtime around the caller, whichever that is: as with `tenure-tokio`, what is spawned runs there.
#[derive(Clone)]
pub(crate) struct Runtimes {
    sim: Sim,
    state: Arc<Mutex<RuntimesState>>,
}

#[derive(Default)]
struct RuntimesState {
    current: u64,
    ended: Vec<u64>,
    /// What was polled in each runtime, to be woken as it ends.
    wakers: Vec<(u64, Waker)>,
}

impl Runtimes {
    pub(crate) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            state: Arc::default(),
        }
    }

    /// Runs a future in a runtime. It is a caller's, and goes on when the runtime has ended.
    pub(crate) async fn within<F: Future>(&self, runtime: u64, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _entered = self.enter(runtime);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Ends a runtime, and waits until what was spawned there is dropped.
    pub(crate) async fn end(&self, runtime: u64) {
        let wakers = {
            let mut state = self.lock();
            state.ended.push(runtime);
            std::mem::take(&mut state.wakers)
        };
        for (_, waker) in wakers {
            waker.wake();
        }
        self.sim.yield_now().await;
    }

    pub(crate) fn has_ended(&self, runtime: u64) -> bool {
        self.lock().ended.contains(&runtime)
    }

    fn enter(&self, runtime: u64) -> EnteredRuntime<'_> {
        let around = std::mem::replace(&mut self.lock().current, runtime);
        EnteredRuntime {
            runtimes: self,
            around,
        }
    }

    fn lock(&self) -> MutexGuard<'_, RuntimesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer for Runtimes {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.sim.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sim.sleep_until(at)
    }

    fn entropy(&self) -> u64 {
        self.sim.entropy()
    }
}

impl Spawn for Runtimes {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        let runtime = self.lock().current;
        if self.has_ended(runtime) {
            drop(future);
            return;
        }
        self.sim.spawn(SpawnedThere {
            runtimes: self.clone(),
            runtime,
            future: Some(Box::pin(future)),
        });
    }
}

/// While it lives, a runtime is the one around the caller.
struct EnteredRuntime<'r> {
    runtimes: &'r Runtimes,
    around: u64,
}

impl Drop for EnteredRuntime<'_> {
    fn drop(&mut self) {
        self.runtimes.lock().current = self.around;
    }
}

/// What was spawned in a runtime, and is dropped as that ends.
struct SpawnedThere {
    runtimes: Runtimes,
    runtime: u64,
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Future for SpawnedThere {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let _entered = this.runtimes.enter(this.runtime);
        if this.runtimes.has_ended(this.runtime) {
            this.future = None;
            return Poll::Ready(());
        }
        let waker = (this.runtime, cx.waker().clone());
        this.runtimes.lock().wakers.push(waker);
        match &mut this.future {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Ready(()),
        }
    }
}
