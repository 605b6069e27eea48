//! Handles, leases and futures are `Send` and `Sync` exactly where the resource is.
//!
//! Most of it is shown by compiling. What must not be `Send` is asked of the compiler by a constant.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use tenure_async_std::AsyncStd;
use tenure_core::pool::{CheckOnAcquire, Idle, KeyedPool, PoolBuilder, Runner, Status, Timings};
use tenure_core::{
    AcquireError, Audit, Cause, Hooks, Lease, LocalResource, OwnedLease, Pool, Report, Resource,
    Spawn, Timer,
};
use tenure_futures::FuturesTimer;
use tenure_smol::Smol;
use tenure_tokio::Tokio;

/// Values that are `Send`, and not `Sync`: as many connections are.
struct SendOnly;

impl Resource for SendOnly {
    type Value = Cell<u8>;
    type Error = std::io::Error;

    async fn open(&self) -> Result<Cell<u8>, std::io::Error> {
        Ok(Cell::new(0))
    }
}

/// The same with hooks and a check, whose futures are part of those that acquire.
struct Hooked;

impl Resource for Hooked {
    type Value = Cell<u8>;
    type Error = std::io::Error;
    const CHECKED: bool = true;
    const HOOKS: Hooks = Hooks::AFTER_OPEN
        .and(Hooks::BEFORE_ACQUIRE)
        .and(Hooks::AFTER_RELEASE)
        .and(Hooks::BEFORE_CLOSE);

    async fn open(&self) -> Result<Cell<u8>, std::io::Error> {
        Ok(Cell::new(0))
    }

    async fn check(&self, _: &mut Cell<u8>) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn after_open(&self, value: &mut Cell<u8>) -> Result<(), std::io::Error> {
        value.set(1);
        Ok(())
    }

    async fn before_acquire(&self, value: &mut Cell<u8>) -> Result<(), std::io::Error> {
        value.set(value.get() + 1);
        Ok(())
    }

    async fn after_release(&self, value: &mut Cell<u8>) -> Result<(), std::io::Error> {
        value.set(0);
        Ok(())
    }

    async fn before_close(&self, _: &mut Cell<u8>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// Values that stay on their thread.
struct Local;

impl LocalResource for Local {
    type Value = Rc<Cell<u8>>;
    type Error = std::io::Error;

    async fn open(&self) -> Result<Rc<Cell<u8>>, std::io::Error> {
        Ok(Rc::default())
    }
}

/// `Is::<T>::SEND` says whether `T` is `Send`: the inherent constant, where there is one, hides the
/// trait's.
struct Is<T>(PhantomData<T>);

trait NotSend {
    const SEND: bool = false;
}

trait NotSync {
    const SYNC: bool = false;
}

impl<T> NotSend for Is<T> {}
impl<T> NotSync for Is<T> {}

impl<T: Send> Is<T> {
    const SEND: bool = true;
}

impl<T: Sync> Is<T> {
    const SYNC: bool = true;
}

macro_rules! assert_bounds {
    ($($type:ty: $send:literal, $sync:literal;)+) => {
        $(
            assert_eq!(
                (Is::<$type>::SEND, Is::<$type>::SYNC),
                ($send, $sync),
                "Send and Sync of {}",
                stringify!($type),
            );
        )+
    };
}

#[test]
fn n14_handles_are_send_and_sync_where_the_resource_is() {
    assert_bounds! {
        Pool<SendOnly, Tokio>: true, true;
        Pool<SendOnly, AsyncStd>: true, true;
        Pool<SendOnly, Smol>: true, true;
        Pool<SendOnly, FuturesTimer>: true, true;
        PoolBuilder<SendOnly>: true, true;
        Runner<SendOnly, Tokio>: true, true;
        // A lease is its value: it may move, and be shared if the value may.
        Lease<'static, SendOnly, Tokio>: true, false;
        OwnedLease<SendOnly, Tokio>: true, false;

        KeyedPool<String, SendOnly, Tokio>: true, true;

        Pool<Local, Tokio>: false, false;
        Runner<Local, Tokio>: false, false;
        Lease<'static, Local, Tokio>: false, false;
        OwnedLease<Local, Tokio>: false, false;

        AcquireError: true, true;
        Cause: true, true;
        Report: true, true;
        Audit: true, true;
        Status: true, true;
        Timings: true, true;
        Idle: true, true;
    }
}

fn send<T: Send>(future: T) -> T {
    future
}

/// Written for any resource and any timer, as a library on top of this one would be.
#[expect(dead_code, reason = "that it compiles is the test")]
fn futures_are_send<R, T>(pool: &'static Pool<R, T>, runner: Runner<R, T>)
where
    R: Resource,
    T: Timer<Sleep: Send> + Send + Sync + 'static,
{
    drop(send(pool.acquire()));
    drop(send(pool.acquire_timeout(Duration::ZERO)));
    drop(send(pool.acquire_owned()));
    drop(send(pool.acquire_owned_timeout(Duration::ZERO)));
    drop(send(pool.acquire_many(2)));
    drop(send(pool.acquire_many_timeout(2, Duration::ZERO)));
    drop(send(pool.start()));
    drop(send(pool.close()));
    drop(send(pool.shutdown(Duration::ZERO)));
    drop(send(runner.run()));
}

/// The same of a family of pools, whose values are lent to whichever task asks.
#[expect(dead_code, reason = "that it compiles is the test")]
fn futures_of_a_family_are_send<R, T>(family: &'static KeyedPool<String, R, T>, key: &String)
where
    R: Resource,
    T: Timer<Sleep: Send> + Send + Sync + 'static,
{
    drop(send(family.acquire(key)));
    drop(send(family.close()));
    drop(send(family.shutdown(Duration::ZERO)));
}

/// A task that uses a pool is spawned as any other is.
#[expect(dead_code, reason = "that it compiles is the test")]
fn a_task_is_spawned<T>(runtime: &T, pool: Pool<SendOnly, T>)
where
    T: Timer<Sleep: Send> + Spawn + Send + Sync + 'static,
{
    runtime.spawn(async move {
        if let Ok(lease) = pool.acquire().await {
            pool.start().await.ok();
            lease.set(1);
            pool.acquire_timeout(Duration::ZERO).await.ok();
            drop(pool.acquire_many(2).await);
        }
        pool.close().await;
    });
}

/// Leases held across an await do not keep a task from moving.
#[test]
fn n14_a_task_with_leases_moves_to_another_thread() {
    async fn task<T: Timer>(pool: Pool<SendOnly, T>) -> u8 {
        let lease = pool.acquire().await.expect("a value");
        lease.set(lease.get() + 1);
        let owned = pool.acquire_owned().await.expect("another");
        owned.set(owned.get() + 2);
        pool.shutdown(Duration::ZERO).await;
        lease.get() + owned.get()
    }
    let pool = Pool::builder(SendOnly).build_with_runner(FuturesTimer);
    let (pool, _runner) = pool.expect("a pool");
    let task = task(pool);
    let sum = std::thread::spawn(|| futures::executor::block_on(task));
    assert_eq!(sum.join().expect("it does not panic"), 3);
}

#[test]
fn n14_a_task_that_waits_for_hooks_moves_to_another_thread() {
    async fn task<T: Timer>(pool: Pool<Hooked, T>) -> (u8, u8) {
        let lease = pool.acquire().await.expect("a value");
        let first = lease.get();
        drop(lease);
        let both = pool.acquire_many(2).await.expect("two values");
        let sum = both.iter().map(|lease| lease.get()).sum();
        drop(both);
        pool.close().await;
        (first, sum)
    }
    let pool = Pool::builder(Hooked)
        .max_size(2)
        .check_on_acquire(CheckOnAcquire::Always);
    let pool = pool.build_with_runner(FuturesTimer);
    let (pool, runner) = pool.expect("a pool");
    let background = std::thread::spawn(|| futures::executor::block_on(runner.run()));
    let task = task(pool);
    let values = std::thread::spawn(|| futures::executor::block_on(task));
    // Opened and made ready; then cleaned and made ready beside another that was opened.
    assert_eq!(values.join().expect("it does not panic"), (2, 3));
    background.join().expect("it does not panic");
}

/// The same program with an `Rc`, on one thread.
#[test]
fn n14_values_that_are_not_send_are_pooled_too() {
    let pool = Pool::builder(Local).max_size(1);
    let (pool, runner) = pool.build_with_runner(FuturesTimer).expect("a pool");
    let work = async {
        let lease = pool.acquire().await.expect("a value");
        let kept = Rc::clone(&lease);
        kept.set(7);
        drop(lease);
        let again = pool.acquire_owned().await.expect("the value").get();
        assert!(pool.close().await.is_clean());
        again
    };
    let both = async { futures::join!(work, runner.run()) };
    let (seen, ()) = futures::executor::block_on(both);
    assert_eq!(seen, 7);
}
