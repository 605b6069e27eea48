//! No code of a user's runs under a lock: hooks, drops of values and of errors, sinks, wakers.
//!
//! Each of them has another thread ask the holder how it stands. Were a lock held, that thread would
//! wait for it, and the look would be over before.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tenure_core::group::Lifecycle;
use tenure_core::{
    Backoff, BoxError, Connection, ErrorClass, Event, EventSink, Failure, Group, Instant, Managed,
    Pool, Resource, Retry, Scope, Shared, Spawn, Start, State, Timer, Why,
};
use tenure_sim::{Sim, Sleep, run};

#[test]
fn no_lock_of_a_pool_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let builder = || {
            Pool::builder(Nosy(lookout.clone()))
                .max_size(1)
                // A timer would hold the waker too, and so be where it is dropped.
                .acquire_timeout(None)
                .idle_timeout(MOMENT * 40)
                .check_every(MOMENT * 4)
                .retry(Retry::new(Backoff::constant(MOMENT)))
                .start(Start::Lazily)
                .events(lookout.sink())
        };
        let pool = builder().build(sim.clone()).expect("a valid configuration");
        lookout.looks_at({
            let pool = pool.clone();
            move || drop((pool.status(), pool.audit(), pool.try_acquire()))
        });
        // One waiter leaves while it waits, one with what it was handed, one is served, one refused.
        let lease = pool.acquire().await.expect("a value");
        let waits = sim.task("waits", lookout.clone().wakes(use_it(pool.clone())));
        let leaves = sim.task("leaves", lookout.clone().wakes(use_it(pool.clone())));
        let served = sim.task("is served", lookout.clone().wakes(use_it(pool.clone())));
        sim.sleep(MOMENT).await;
        waits.cancel();
        sim.sleep(MOMENT).await;
        drop(lease);
        leaves.cancel();
        served.await;
        sim.sleep(MOMENT * 20).await;
        pool.acquire().await.expect("a value").discard();
        drop(pool.acquire().await.expect("a value").detach());
        sim.sleep(MOMENT * 100).await;
        let lease = pool.acquire().await.expect("a value");
        let refused = sim.task("is refused", lookout.clone().wakes(use_it(pool.clone())));
        sim.sleep(MOMENT).await;
        let closing = pool.shutdown(MOMENT);
        drop(lookout.clone().wakes(closing).await);
        drop(lease);
        refused.await;
        pool.close().await;
        lookout.forget();
        let (pool, runner) = builder()
            .build_with_runner(sim)
            .expect("a valid configuration");
        drop(runner);
        drop(pool.acquire().await.expect("a value"));
        drop(pool);
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "check",
            "is_broken",
            "classify",
            "abandon",
            "drop of a value",
            "drop of an error",
            "sink",
            "wake",
            "drop of a waker",
        ]);
    });
}

#[test]
fn no_lock_of_a_family_is_held_over_its_keys() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let of_pools = lookout.clone();
        let family = Pool::keyed(move |_: &NosyKey| Pool::builder(Nosy(of_pools.clone())))
            .max_size(3)
            .forget_after(MOMENT * 400)
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let (family, lookout) = (family.clone(), lookout.clone());
            // It makes a key of its own, and so compares, clones and drops as well.
            move || drop((family.pool(&NosyKey(9, lookout.clone())), family.status()))
        });
        let key = |number| NosyKey(number, lookout.clone());
        for number in [3, 1, 2, 4, 1] {
            drop(family.acquire(&key(number)).await.expect("a value"));
        }
        drop(family.remove(&key(3)).expect("it has a pool"));
        let shut = family.pool(&key(1)).expect("the family is open");
        shut.close().await;
        drop(
            family
                .acquire(&key(1))
                .await
                .expect("a value of a fresh pool"),
        );
        drop(shut);
        sim.sleep(MOMENT * 2_000).await;
        lookout.forget();
        family.close().await;
        drop(family);
        lookout.saw_nothing_locked(&["order of a key", "clone of a key", "drop of a key"]);
    });
}

/// A key that has the holder looked at whenever something is done with it.
struct NosyKey(u64, Lookout);

impl Clone for NosyKey {
    fn clone(&self) -> Self {
        self.1.look("clone of a key");
        Self(self.0, self.1.clone())
    }
}

impl Drop for NosyKey {
    fn drop(&mut self) {
        self.1.look("drop of a key");
    }
}

impl Ord for NosyKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.1.look("order of a key");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for NosyKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NosyKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NosyKey {}

#[test]
fn no_lock_of_a_managed_resource_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let managed = Managed::builder(Nosy(lookout.clone()))
            .check_every(MOMENT * 4)
            .reopen_after(2)
            .retry(Retry::new(Backoff::constant(MOMENT)))
            .open_pace(Backoff::constant(MOMENT))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let managed = managed.clone();
            move || {
                drop((
                    managed.state(),
                    managed.audit(),
                    managed.last_error(),
                    managed.try_get(),
                ));
                poll_once(managed.watch().changed());
            }
        });
        let opens = sim.task("opens", {
            let managed = managed.clone();
            lookout
                .clone()
                .wakes(async move { drop(managed.get().await) })
        });
        opens.await;
        for broken in [false, true] {
            let call = managed.call("ask", |value| {
                let lookout = lookout.clone();
                async move {
                    lookout.look("call");
                    drop(value);
                    if broken {
                        Err(Refused::reconnect(lookout))
                    } else {
                        Ok(())
                    }
                }
            });
            let _ = call.await;
        }
        sim.sleep(MOMENT * 50).await;
        let waits = sim.task("waits", {
            let managed = managed.clone();
            lookout.clone().wakes(async move {
                drop(managed.wait_for(State::Closed).await);
            })
        });
        sim.sleep(MOMENT).await;
        managed.close().await;
        waits.await;
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "check",
            "classify",
            "drop of a value",
            "drop of an error",
            "clone",
            "call",
            "sink",
            "wake",
            "drop of a waker",
        ]);
    });
}

#[test]
fn no_lock_of_a_connection_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let connection = Connection::builder("db:5432", Nosy(lookout.clone()))
            .check_every(MOMENT * 4)
            .reopen_after(2)
            .doubt_after(2)
            .retry(Retry::new(Backoff::constant(MOMENT)))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let connection = connection.clone();
            move || {
                drop((
                    connection.state(),
                    connection.stats(),
                    connection.connection_state(),
                    connection.audit(),
                    connection.downgrade().upgrade(),
                ));
                poll_once(connection.watch().changed());
            }
        });
        for broken in [false, true, true, false] {
            let call = connection.call("ask", |value| {
                let lookout = lookout.clone();
                async move {
                    lookout.look("call");
                    drop(value);
                    if broken {
                        Err(Refused::reconnect(lookout))
                    } else {
                        Ok(())
                    }
                }
            });
            drop(lookout.clone().wakes(call).await);
            sim.sleep(MOMENT * 10).await;
        }
        connection.close().await;
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "check",
            "classify",
            "drop of a value",
            "drop of an error",
            "clone",
            "call",
            "sink",
            "wake",
            "drop of a waker",
        ]);
    });
}

#[test]
fn no_lock_of_a_shared_value_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let shared = Shared::builder(Nosy(lookout.clone()))
            .idle_timeout(MOMENT * 2)
            .retry(Retry::new(Backoff::constant(MOMENT)))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let shared = shared.clone();
            move || drop((shared.state(), shared.audit(), shared.clone()))
        });
        for _ in 0..3 {
            let share = lookout.clone().wakes(shared.acquire()).await;
            drop(shared.swap().await);
            drop(shared.swap_to(Nosy(lookout.clone())).await);
            drop(share);
            sim.sleep(MOMENT * 10).await;
        }
        let held = shared.acquire().await;
        let waits = sim.task("waits", {
            let (shared, lookout) = (shared.clone(), lookout.clone());
            async move { drop(lookout.wakes(shared.close()).await) }
        });
        sim.sleep(MOMENT).await;
        drop(held);
        waits.await;
        drop(shared.acquire().await);
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "classify",
            "drop of a value",
            "drop of an error",
            "clone",
            "sink",
            "wake",
            "drop of a waker",
        ]);
    });
}

/// A member of a group that looks wherever the group calls it, and is down now and then.
struct NosyMember {
    lookout: Lookout,
    checks: AtomicUsize,
}

impl NosyMember {
    fn new(lookout: &Lookout) -> Self {
        Self {
            lookout: lookout.clone(),
            checks: AtomicUsize::new(0),
        }
    }
}

impl Lifecycle for NosyMember {
    async fn start(&self) -> Result<(), BoxError> {
        self.lookout.look("start");
        Ok(())
    }

    async fn stop(&self, _: Option<Duration>) -> Result<(), BoxError> {
        self.lookout.look("stop");
        Err(Refused::reconnect(self.lookout.clone()).into())
    }

    async fn restart(&self) -> Result<(), BoxError> {
        self.lookout.look("restart");
        Ok(())
    }

    async fn check(&self) -> Result<(), BoxError> {
        self.lookout.look("check of a member");
        match self.checks.fetch_add(1, Ordering::SeqCst) % 8 {
            0..5 => Err(Refused::reconnect(self.lookout.clone()).into()),
            _ => Ok(()),
        }
    }

    fn state(&self) -> State {
        self.lookout.look("state");
        State::Ready
    }

    fn abandon(&self) {
        self.lookout.look("abandon of a member");
    }
}

impl Drop for NosyMember {
    fn drop(&mut self) {
        self.lookout.look("drop of a member");
    }
}

#[test]
fn no_lock_of_a_group_or_its_supervisor_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let group = Group::builder("service")
            .add("first", NosyMember::new(&lookout))
            .add("second", NosyMember::new(&lookout))
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let group = group.clone();
            move || drop((group.state(), group.graph().to_string(), group.clone()))
        });
        lookout.clone().wakes(group.start()).await.expect("a start");
        let supervisor = group
            .supervisor()
            .check_every(MOMENT)
            .intensity(1_000, Duration::from_secs(60));
        let watching = sim.task("supervisor", {
            let lookout = lookout.clone();
            async move { drop(lookout.wakes(supervisor.run()).await) }
        });
        sim.sleep(MOMENT * 20).await;
        let added = group.add("third", NosyMember::new(&lookout));
        added.start().await.expect("it may come");
        drop(group.health().await);
        drop(group.remove("third").await);
        drop(lookout.clone().wakes(group.close()).await);
        watching.await;
        drop(group);
        lookout.forget();
        lookout.saw_nothing_locked(&[
            "start",
            "stop",
            "restart",
            "check of a member",
            "state",
            "drop of a member",
            "drop of an error",
            "wake",
            "drop of a waker",
        ]);
    });
}

#[test]
fn no_lock_of_a_scope_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let builder = || Scope::builder().events(lookout.sink());
        let ends = builder().run(&sim, async |s: Scope<Sim>| {
            lookout.looks_at({
                let s = s.clone();
                move || drop((s.name(), s.audit()))
            });
            // Each way a little more than a report remembers.
            for _ in 0..20 {
                let child = s.scope(async |child| {
                    drop(child.open(Nosy(lookout.clone())).await);
                    sim.sleep(MOMENT).await;
                    let value = NosyValue(lookout.clone());
                    child.defer(|_| fails(value));
                    Ok::<_, BoxError>(())
                });
                drop(child.await);
                let value = NosyValue(lookout.clone());
                s.defer(|_| fails(value));
            }
            Ok::<_, BoxError>(())
        });
        drop(lookout.clone().wakes(ends).await);
        let dropped = builder().run(&Spawnless(sim.clone()), async |s: Scope<Spawnless>| {
            lookout.looks_at({
                let s = s.clone();
                move || drop((s.name(), s.audit()))
            });
            for _ in 0..4 {
                drop(s.open(Nosy(lookout.clone())).await);
                let value = NosyValue(lookout.clone());
                s.defer(|_| fails(value));
            }
            std::future::pending::<Result<(), BoxError>>().await
        });
        poll_once(dropped);
        lookout.forget();
        lookout.saw_nothing_locked(&[
            "open",
            "close",
            "classify",
            "abandon",
            "finalizer",
            "drop of a value",
            "drop of an error",
            "sink",
            "wake",
            "drop of a waker",
        ]);
    });
}

/// A runtime that is shut down: what it spawns is dropped at once.
#[derive(Clone)]
struct Spawnless(Sim);

impl Timer for Spawnless {
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.0.sleep_until(at)
    }
}

impl Spawn for Spawnless {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(future);
    }
}

/// A finalizer that holds a value, and fails.
async fn fails(value: NosyValue) -> Result<(), BoxError> {
    value.0.look("finalizer");
    Err(Refused::reconnect(value.0.clone()).into())
}

const MOMENT: Duration = Duration::from_millis(10);

async fn use_it(pool: Pool<Nosy, Sim>) {
    let lease = pool.acquire().await;
    drop(lease);
}

std::thread_local! {
    /// Whether this thread was made to ask: what it runs into is not looked at again.
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// Looks whether the holder can be asked, and takes note of where it could not.
#[derive(Clone, Default)]
struct Lookout(Arc<Notes>);

#[derive(Default)]
struct Notes {
    ask: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
    looks: Mutex<BTreeMap<&'static str, usize>>,
    locked: Mutex<Vec<&'static str>>,
}

impl Lookout {
    fn looks_at(&self, ask: impl Fn() + Send + Sync + 'static) {
        *lock(&self.0.ask) = Some(Arc::new(ask));
    }

    /// Lets go of the holder.
    fn forget(&self) {
        let ask = lock(&self.0.ask).take();
        drop(ask);
    }

    fn look(&self, from: &'static str) {
        if ASKS.get() {
            return;
        }
        *lock(&self.0.looks).entry(from).or_default() += 1;
        let Some(ask) = lock(&self.0.ask).clone() else {
            return;
        };
        let (answer, answered) = channel();
        std::thread::spawn(move || {
            ASKS.set(true);
            ask();
            // Whoever looked may have given up.
            let _ = answer.send(());
        });
        if answered.recv_timeout(Duration::from_secs(5)).is_err() {
            lock(&self.0.locked).push(from);
        }
    }

    fn sink(&self) -> Arc<dyn EventSink> {
        let lookout = self.clone();
        Arc::new(move |_: &Event<'_>| lookout.look("sink"))
    }

    /// Runs a future with a waker of its own at each poll.
    async fn wakes<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let waker = Waker::from(Arc::new(NosyWaker {
                lookout: self.clone(),
                task: cx.waker().clone(),
            }));
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    /// # Panics
    /// If a lock was held over one of them, or if one of them never ran.
    fn saw_nothing_locked(&self, everywhere: &[&'static str]) {
        let locked = lock(&self.0.locked).clone();
        assert!(locked.is_empty(), "a lock was held over: {locked:?}");
        let looks = lock(&self.0.looks).clone();
        for place in everywhere {
            assert!(looks.contains_key(place), "{place} never ran: {looks:?}");
        }
    }
}

/// Listens for a change, and stops listening.
fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    let _ = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct NosyWaker {
    lookout: Lookout,
    task: Waker,
}

impl Wake for NosyWaker {
    fn wake(self: Arc<Self>) {
        self.lookout.look("wake");
        self.task.wake_by_ref();
    }
}

impl Drop for NosyWaker {
    fn drop(&mut self) {
        self.lookout.look("drop of a waker");
    }
}

/// A resource whose every hook looks.
struct Nosy(Lookout);

struct NosyValue(Lookout);

impl Clone for NosyValue {
    fn clone(&self) -> Self {
        self.0.look("clone");
        Self(self.0.clone())
    }
}

impl Drop for NosyValue {
    fn drop(&mut self) {
        self.0.look("drop of a value");
    }
}

#[derive(Debug)]
struct Refused {
    lookout: Lookout,
    class: ErrorClass,
}

impl Refused {
    fn reconnect(lookout: Lookout) -> Self {
        let class = ErrorClass::Reconnect;
        Self { lookout, class }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::fmt::Debug for Lookout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookout")
    }
}

impl std::error::Error for Refused {}

impl Drop for Refused {
    fn drop(&mut self) {
        self.lookout.look("drop of an error");
    }
}

/// Every second open, close and check fails.
impl Nosy {
    fn fails(&self, hook: &'static str, each: usize) -> Result<(), Refused> {
        self.0.look(hook);
        if lock(&self.0.0.looks)[hook].is_multiple_of(each) {
            let (lookout, class) = (self.0.clone(), ErrorClass::Retry);
            return Err(Refused { lookout, class });
        }
        Ok(())
    }
}

impl Resource for Nosy {
    type Value = NosyValue;
    type Error = Refused;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<NosyValue, Refused> {
        self.fails("open", 2)?;
        Ok(NosyValue(self.0.clone()))
    }

    async fn close(&self, value: NosyValue, _: Why) -> Result<(), Refused> {
        drop(value);
        self.fails("close", 2)
    }

    async fn check(&self, _: &mut NosyValue) -> Result<(), Refused> {
        self.fails("check", 2)
    }

    fn is_broken(&self, _: &mut NosyValue) -> bool {
        self.0.look("is_broken");
        false
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        self.0.look("classify");
        failure
            .error()
            .map_or(ErrorClass::Retry, |refused| refused.class)
    }

    fn abandon(&self, value: NosyValue, _: Why) {
        self.0.look("abandon");
        drop(value);
    }
}
