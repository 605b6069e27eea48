//! The conformance suite of the pool: each behaviour written once, and run in every world.
//!
//! `probe` is the resource of these tests, with hooks or without; [`PoolWorld`] builds a pool of it the way a program in that
//! world would, with its background work spawned where there is anything to spawn on.

mod acquire;
mod arrival;
mod audit;
mod broken;
mod causes;
mod check_on;
mod checks;
mod config;
mod drain;
mod errors;
mod events;
mod evict;
mod hooks;
mod keyed;
mod leaks;
mod leases;
mod lifetime;
mod many;
mod nested;
mod panics;
pub(crate) mod probe;
mod queue;
pub(crate) mod recorder;
mod resize;
mod retain;
pub(crate) mod self_deadlock;
mod start;
mod stop;
mod suspend;
mod timeout;
mod timings;
mod upkeep;
mod wakeups;
mod within;
mod without_runner;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::RemoteHandle;
use futures::poll;
use tenure_core::pool::{PoolBuilder, Runner};
use tenure_core::{
    AcquireError, Backoff, Clock, ConfigError, Instant, LocalResource, Pool, Retry, Timer,
    with_timeout,
};

use crate::worlds::*;
use probe::{Control, Fault, LocalProbe, SendProbe, Value};

/// A pool of the world's probe.
type PoolOf<W> = Pool<<W as PoolWorld>::Probe, <W as World>::Runtime>;

/// A pool of the same probe with all its hooks.
type HookedOf<W> = Pool<<W as PoolWorld>::Hooked, <W as World>::Runtime>;

/// The Runner of a pool, where a test drives it by hand.
type RunnerOf<W> = Runner<<W as PoolWorld>::Probe, <W as World>::Runtime>;

/// What a waiter got: the number of its value, which it has given back by then.
type Outcome = Result<u64, AcquireError>;

/// A world with a probe that is `Send` where values must be.
trait PoolWorld: World {
    type Probe: LocalResource<Value = Value<Self::Mark>, Error = Fault> + 'static;
    /// The same with all hooks, which cost every acquire and every release some work.
    type Hooked: LocalResource<Value = Value<Self::Mark>, Error = Fault> + 'static;

    fn probe(&self, control: &Control) -> Self::Probe;

    fn hooked(&self, control: &Control) -> Self::Hooked;

    /// Builds a pool the way this world does: its Runner is spawned, or dropped where nothing spawns.
    fn build(&self, builder: PoolBuilder<Self::Probe>) -> Result<PoolOf<Self>, ConfigError>;

    fn build_hooked(
        &self,
        builder: PoolBuilder<Self::Hooked>,
    ) -> Result<HookedOf<Self>, ConfigError>;

    /// A pool with the settings that `set` makes. Unless `set` says otherwise, its maximum is strict, and broken values
    /// are closed as others are.
    fn pool(
        &self,
        control: &Control,
        set: impl FnOnce(PoolBuilder<Self::Probe>) -> PoolBuilder<Self::Probe>,
    ) -> PoolOf<Self> {
        self.build(set(Pool::builder(self.probe(control))
            .max_closing_beside(0)
            .broken_close_timeout(None)))
            .expect("a configuration that makes sense")
    }

    /// The same of values with hooks.
    fn hooked_pool(
        &self,
        control: &Control,
        set: impl FnOnce(PoolBuilder<Self::Hooked>) -> PoolBuilder<Self::Hooked>,
    ) -> HookedOf<Self> {
        self.build_hooked(set(Pool::builder(self.hooked(control))
            .max_closing_beside(0)
            .broken_close_timeout(None)))
            .expect("a configuration that makes sense")
    }

    /// A pool whose Runner the test has in hand, in every world.
    fn by_hand(
        &self,
        control: &Control,
        set: impl FnOnce(PoolBuilder<Self::Probe>) -> PoolBuilder<Self::Probe>,
    ) -> (PoolOf<Self>, RunnerOf<Self>) {
        set(Pool::builder(self.probe(control))
            .max_closing_beside(0)
            .broken_close_timeout(None))
        .build_with_runner(self.runtime())
        .expect("a configuration that makes sense")
    }

    fn now(&self) -> Instant {
        self.runtime().now()
    }

    /// Lets time pass.
    async fn pause(&self, ticks: u32) {
        self.sleep(self.tick() * ticks).await;
    }

    async fn sleep(&self, time: Duration) {
        let runtime = self.runtime();
        runtime.sleep_until(runtime.now() + time).await;
    }

    /// It took as long as this since then: no less anywhere, and no more where time is virtual.
    fn took(&self, began_at: Instant, time: Duration) {
        let took = self.now() - began_at;
        assert!(took >= time, "{took:?} instead of {time:?}");
        let at_most = time + self.tick() / 100;
        assert!(
            took <= at_most || !Self::VIRTUAL_TIME,
            "{took:?} instead of {time:?}"
        );
    }

    /// Waits for what happens in another task, and fails when it does not.
    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if holds() {
                return;
            }
            self.sleep(Duration::from_millis(1)).await;
        }
        panic!("it never came true that {what}");
    }

    /// Awaits what must end, and fails the test when it does not, before the harness ends them all.
    async fn ends<F: Future>(&self, what: &str, future: F) -> F::Output {
        let long = if Self::VIRTUAL_TIME { 3600 } else { 10 };
        let what = format!("{what} never ended");
        match with_timeout(&self.runtime(), Duration::from_secs(long), what, future).await {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Closes the pool, and looks that nothing is left of it.
    async fn ends_clean<R: LocalResource>(&self, pool: &Pool<R, Self::Runtime>, control: &Control) {
        let report = self.ends("the close", pool.close()).await;
        assert!(report.is_clean(), "{report}");
        assert_all_ended(pool, control);
    }

    /// A task that waits for a value, once it has joined the queue.
    async fn waiter<R>(&self, pool: &Pool<R, Self::Runtime>) -> RemoteHandle<Outcome>
    where
        R: LocalResource<Value = Value<Self::Mark>> + 'static,
    {
        let joined = Rc::new(Cell::new(false));
        let waiter = self.task({
            let (pool, joined) = (pool.clone(), joined.clone());
            async move {
                let mut acquire = pin!(pool.acquire());
                let outcome = match poll!(acquire.as_mut()) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => {
                        joined.set(true);
                        acquire.await
                    }
                };
                joined.set(true);
                outcome.map(|lease| lease.id)
            }
        });
        self.until("the waiter has joined the queue", || joined.get())
            .await;
        waiter
    }

    /// A few quick retries: for tests that do not look at the time between them.
    fn quick_retries(&self) -> Retry {
        Retry::new(Backoff::constant(Duration::from_millis(1)))
    }
}

macro_rules! pool_worlds {
    ({}
        spawned: $($spawned:ident)*;
        spawned_locally: $($local:ident)*;
        by_hand: $($by_hand:ident)*;
    ) => {
        $( pool_worlds! { $spawned: SendProbe by |world, builder| builder.build(world.runtime()) } )*
        $( pool_worlds! { $local: LocalProbe by |world, builder| builder.build_local(world.runtime()) } )*
        $( pool_worlds! { $by_hand: SendProbe by |world, builder| {
            let (pool, runner) = builder.build_with_runner(world.runtime())?;
            world.background(runner.run());
            Ok(pool)
        } } )*
    };
    ($world:ident: $probe:ident by |$this:ident, $builder:ident| $build:expr) => {
        impl PoolWorld for $world {
            type Probe = $probe<<$world as World>::Runtime>;
            type Hooked = $probe<<$world as World>::Runtime, true>;

            fn probe(&self, control: &Control) -> Self::Probe {
                $probe::new(control, self.runtime())
            }

            fn hooked(&self, control: &Control) -> Self::Hooked {
                $probe::hooked(control, self.runtime())
            }

            fn build(&self, $builder: PoolBuilder<Self::Probe>) -> Result<PoolOf<Self>, ConfigError> {
                let $this = self;
                $build
            }

            fn build_hooked(
                &self,
                $builder: PoolBuilder<Self::Hooked>,
            ) -> Result<HookedOf<Self>, ConfigError> {
                let $this = self;
                $build
            }
        }
    };
}

for_every_world! { pool_worlds! {} }

/// Every value that was opened has ended, by the pool's counters and by the probe's.
pub(crate) fn assert_all_ended<R: LocalResource, C: Clock>(pool: &Pool<R, C>, control: &Control) {
    let audit = pool.audit();
    assert!(audit.is_balanced(), "{audit}");
    assert_eq!(audit.live(), 0, "{audit}");
    assert_eq!(audit.opened, control.opened(), "{audit}");
    assert_eq!(pool.status().size, 0, "{}", pool.status());
    assert_eq!(control.live(), 0, "a value outlives its end");
}
