//! A family of pools under one bound, in which keys compete for places.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tenure_core::pool::{KeyedPool, PoolBuilder};
use tenure_core::{AcquireError, Backoff, Instant, Pool, Resource, Retry, Spawn, Timer};
use tenure_sim::{Sim, explore, run};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Family = KeyedPool<u64, Tenant, Sim>;

/// What happened to each key.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<u64, Account>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    openings: u64,
    live: u64,
    loans: u64,
    longest_wait: Duration,
    server: Server,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Server {
    #[default]
    Well,
    Refuses,
    Hangs,
}

impl Ledger {
    fn with<T>(&self, key: u64, look: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.0.lock().unwrap_or_else(|error| error.into_inner());
        look(accounts.entry(key).or_default())
    }

    fn all(&self) -> Account {
        let accounts = self.0.lock().unwrap_or_else(|error| error.into_inner());
        accounts
            .values()
            .fold(Account::default(), |sum, one| Account {
                openings: sum.openings + one.openings,
                live: sum.live + one.live,
                loans: sum.loans + one.loans,
                longest_wait: sum.longest_wait.max(one.longest_wait),
                server: Server::Well,
            })
    }
}

/// Sessions of one key, each of which takes 20 ms to open.
struct Tenant {
    key: u64,
    sim: Sim,
    ledger: Ledger,
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for Refused {}

impl Resource for Tenant {
    type Value = u64;
    type Error = Refused;

    async fn open(&self) -> Result<u64, Refused> {
        let server = self.ledger.with(self.key, |account| {
            account.openings += 1;
            account.server
        });
        match server {
            Server::Well => {}
            Server::Refuses => return Err(Refused),
            Server::Hangs => pending().await,
        }
        self.sim.sleep(MS * 20).await;
        self.ledger.with(self.key, |account| account.live += 1);
        Ok(self.key)
    }

    async fn close(&self, _: u64, _: tenure_core::Why) -> Result<(), Refused> {
        self.ledger.with(self.key, |account| account.live -= 1);
        Ok(())
    }
}

fn family(
    sim: &Sim,
    ledger: &Ledger,
    most: usize,
    each: impl Fn(u64, PoolBuilder<Tenant>) -> PoolBuilder<Tenant> + Send + Sync + 'static,
) -> Family {
    let family = Pool::keyed(tenants(sim, ledger, each)).max_size(most);
    let family = family.build(sim.clone());
    family.expect("a configuration that makes sense")
}

/// A family in which no value in use gives way to another key.
fn family_of_busy_keys(
    sim: &Sim,
    ledger: &Ledger,
    most: usize,
    each: impl Fn(u64, PoolBuilder<Tenant>) -> PoolBuilder<Tenant> + Send + Sync + 'static,
) -> Family {
    let family = Pool::keyed(tenants(sim, ledger, each)).max_size(most);
    let family = family.give_way_after(None).build(sim.clone());
    family.expect("a configuration that makes sense")
}

fn tenants(
    sim: &Sim,
    ledger: &Ledger,
    each: impl Fn(u64, PoolBuilder<Tenant>) -> PoolBuilder<Tenant> + Send + Sync + 'static,
) -> impl Fn(&u64) -> PoolBuilder<Tenant> + Send + Sync + 'static {
    let (sim, ledger) = (sim.clone(), ledger.clone());
    move |key| {
        let (key, sim, ledger) = (*key, sim.clone(), ledger.clone());
        each(key, Pool::builder(Tenant { key, sim, ledger }))
    }
}

/// Asks for a value of this key, and notes how long that took.
async fn borrow(
    sim: &Sim,
    ledger: &Ledger,
    family: &Family,
    key: u64,
    loan: Duration,
) -> Result<Duration, AcquireError> {
    let began = sim.now();
    let lease = family.acquire(&key).await?;
    let waited = sim.now() - began;
    ledger.with(key, |account| {
        account.loans += 1;
        account.longest_wait = account.longest_wait.max(waited);
    });
    sim.sleep(loan).await;
    drop(lease);
    Ok(waited)
}

/// Some tasks that use a value of this key again and again, with nothing in between.
fn keep_busy(sim: &Sim, ledger: &Ledger, family: &Family, key: u64, tasks: u64, until: Instant) {
    for _ in 0..tasks {
        let (sim, ledger, family) = (sim.clone(), ledger.clone(), family.clone());
        let name = format!("user of {key}");
        let _running = sim.clone().task(name, async move {
            while sim.now() < until {
                let borrowed = borrow(&sim, &ledger, &family, key, MS * 10).await;
                borrowed.expect("a value in time");
            }
        });
    }
}

/// All is given back, closed, and as many places are to be had as before.
async fn ends_whole(sim: &Sim, ledger: &Ledger, family: &Family, most: u64) {
    sim.sleep(SECOND).await;
    let other = 1_000_000;
    let mut leases = Vec::new();
    for key in 0..most {
        let acquired = family.acquire(&(other + key)).await;
        leases.push(acquired.expect("a place for each"));
    }
    assert_eq!(ledger.all().live, most);
    drop(leases);
    for (key, report) in family.close().await {
        assert!(report.is_clean(), "{key}: {report}");
    }
    assert_eq!(ledger.all().live, 0);
}

#[test]
fn a_key_is_served_while_another_always_has_waiters() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 2, |_, pool| pool);
        let until = sim.now() + SECOND * 3;
        keep_busy(&sim, &ledger, &family, 1, 6, until);
        sim.sleep(SECOND).await;
        let waited = borrow(&sim, &ledger, &family, 2, MS)
            .await
            .expect("a value");
        // Passed over for 100 ms, then the next value comes back, then one is opened.
        assert!(waited <= MS * (100 + 10 + 20), "{waited:?}");
        sim.sleep_until(until).await;
        assert!(ledger.with(1, |busy| busy.longest_wait) < MS * 200);
        ends_whole(&sim, &ledger, &family, 2).await;
    });
}

#[test]
fn a_busy_key_keeps_its_values_for_as_long_as_was_set() {
    run(0, |sim| async move {
        for (limit, expected) in [(Some(MS * 500), true), (None, false)] {
            let ledger = Ledger::default();
            let pool_for = {
                let (sim, ledger) = (sim.clone(), ledger.clone());
                move |key: &u64| {
                    let (key, sim, ledger) = (*key, sim.clone(), ledger.clone());
                    Pool::builder(Tenant { key, sim, ledger })
                }
            };
            let family = Pool::keyed(pool_for).max_size(1).give_way_after(limit);
            let family = family.build(sim.clone()).expect("it makes sense");
            let until = sim.now() + SECOND * 8;
            keep_busy(&sim, &ledger, &family, 1, 3, until);
            sim.sleep(SECOND).await;
            let pool = family.pool(&2).expect("the family is open");
            let began = sim.now();
            let acquired = pool.acquire_owned_timeout(SECOND * 5).await;
            assert_eq!(acquired.is_ok(), expected, "{limit:?}");
            match acquired {
                Ok(lease) => {
                    assert!(sim.now() - began >= MS * 500);
                    drop(lease);
                }
                Err(error) => {
                    let full = matches!(error, AcquireError::FamilyExhausted { .. });
                    assert!(full, "{error}");
                }
            }
            sim.sleep_until(until).await;
            drop(pool);
            ends_whole(&sim, &ledger, &family, 1).await;
        }
    });
}

#[test]
fn two_busy_keys_share_places_and_few_loans_cost_an_opening() {
    explore(0..40, |sim| async move {
        let ledger = Ledger::default();
        let most = 1 + sim.below(4);
        let tasks = [1 + sim.below(10), 1 + sim.below(10)];
        let family = family(&sim, &ledger, most as usize, |_, pool| pool);
        let until = sim.now() + SECOND * 10;
        for (key, tasks) in (1..).zip(tasks) {
            keep_busy(&sim, &ledger, &family, key, tasks, until);
            sim.sleep(Duration::from_millis(sim.below(300))).await;
        }
        sim.sleep_until(until).await;
        let all = ledger.all();
        let setting = format!("{tasks:?} tasks on {most} places");
        assert!(all.longest_wait < SECOND, "{setting}: {all:?}");
        // Beside those with which it began.
        let openings = all.openings.saturating_sub(2 * most);
        assert!(openings * 10 <= all.loans, "{setting}: {all:?}");
        ends_whole(&sim, &ledger, &family, most).await;
    });
}

#[test]
fn fifty_busy_keys_take_turns_on_ten_places() {
    explore(0..4, |sim| async move {
        let ledger = Ledger::default();
        // Some of them keep a minimum, which not all can.
        let family = family(&sim, &ledger, 10, |key, pool| {
            pool.min_size(usize::from(key % 2 == 0))
        });
        let until = sim.now() + SECOND * 10;
        for key in 0..50 {
            keep_busy(&sim, &ledger, &family, key, 1 + key % 3, until);
        }
        sim.sleep_until(until).await;
        let all = ledger.all();
        assert!(all.longest_wait < SECOND, "{all:?}");
        assert!(all.openings * 8 <= all.loans, "{all:?}");
        let loans = (0..50).map(|key| ledger.with(key, |account| account.loans));
        let (least, most) = (loans.clone().min(), loans.max());
        assert!(most < least.map(|least| least * 3), "{least:?} to {most:?}");
        drop(family);
        sim.sleep(SECOND * 5).await;
        assert_eq!(ledger.all().live, 0);
    });
}

/// A minimum that all together can't have is no reason for some to have nothing.
#[test]
fn minimums_that_fill_the_family_give_way_to_a_waiter() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 2, |key, pool| {
            pool.min_size(usize::from(key < 2))
        });
        let pools = [0, 1].map(|key| family.pool(&key).expect("the family is open"));
        sim.sleep(SECOND).await;
        assert_eq!(ledger.all().live, 2);
        let waited = borrow(&sim, &ledger, &family, 7, MS)
            .await
            .expect("a value");
        assert!(waited >= MS * 100 && waited <= MS * 130, "{waited:?}");
        drop(pools);
        ends_whole(&sim, &ledger, &family, 2).await;
    });
}

/// The value is in nobody's use, so no return frees its place.
#[test]
fn an_idle_minimum_gives_way_to_a_waiter_even_where_busy_values_do_not() {
    for fails in [false, true] {
        run(0, move |sim| async move {
            let ledger = Ledger::default();
            let family = family_of_busy_keys(&sim, &ledger, 1, |key, pool| {
                let retry = Retry::new(Backoff::constant(MS * 500)).max_retries(0);
                let pool = pool.min_size(usize::from(key == 1)).retry(retry);
                pool.max_lifetime(None).acquire_timeout(SECOND * 5)
            });
            if fails {
                ledger.with(2, |account| account.server = Server::Refuses);
                assert!(family.acquire(&2).await.is_err());
                ledger.with(2, |account| account.server = Server::Well);
            }
            drop(family.acquire(&1).await.expect("a value"));
            let waited = borrow(&sim, &ledger, &family, 2, MS).await;
            let waited = waited.expect("the place of the minimum");
            // A key that failed waits for its pace, and then for five times as long.
            let limit = if fails { 500 + 500 + 20 } else { 100 + 20 };
            assert!(waited >= MS * 100 && waited <= MS * limit, "{waited:?}");
            ends_whole(&sim, &ledger, &family, 1).await;
        });
    }
}

/// Until its pause ends it demands no place, and nothing but the time ends that.
#[test]
fn a_caller_that_comes_in_the_pause_of_its_key_is_served_once_a_full_family_has_a_place() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 1, |_, pool| {
            let retry = Retry::new(Backoff::constant(MS * 500)).max_retries(0);
            pool.retry(retry).acquire_timeout(SECOND * 5)
        });
        ledger.with(2, |account| account.server = Server::Refuses);
        assert!(family.acquire(&2).await.is_err());
        ledger.with(2, |account| account.server = Server::Well);
        let held = family.acquire(&1).await.expect("the only place");
        let waits = sim.task("waits", {
            let (sim, ledger, family) = (sim.clone(), ledger.clone(), family.clone());
            async move { borrow(&sim, &ledger, &family, 2, MS).await }
        });
        sim.sleep(SECOND).await;
        assert!(!waits.is_over());
        drop(held);
        let waited = waits.await.expect("the place that became free");
        assert!(waited <= SECOND + MS * 20, "{waited:?}");
        ends_whole(&sim, &ledger, &family, 1).await;
    });
}

/// The only value of a key may be on loan for an hour.
#[test]
fn a_key_whose_values_are_on_long_loans_is_served_beside_a_busy_one() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 2, |_, pool| pool);
        let listens = family.acquire(&2).await.expect("a value");
        let until = sim.now() + SECOND * 5;
        keep_busy(&sim, &ledger, &family, 1, 4, until);
        sim.sleep(SECOND).await;
        let waited = borrow(&sim, &ledger, &family, 2, MS)
            .await
            .expect("a value");
        assert!(waited < SECOND, "{waited:?}");
        sim.sleep_until(until).await;
        drop(listens);
        assert!(ledger.all().longest_wait < SECOND, "{:?}", ledger.all());
        ends_whole(&sim, &ledger, &family, 2).await;
    });
}

/// Each has gathered a part of what it wants, and waits for the part of the other.
#[test]
fn callers_of_two_keys_who_gather_values_do_not_wait_for_each_other() {
    explore(0..20, |sim| async move {
        let ledger = Ledger::default();
        let family = if sim.below(2) == 0 {
            family(&sim, &ledger, 2, |_, pool| pool)
        } else {
            family_of_busy_keys(&sim, &ledger, 2, |_, pool| pool)
        };
        let first = [1, 2].map(|key| family.pool(&key).expect("the family is open"));
        for pool in &first {
            drop(pool.acquire().await.expect("a value"));
        }
        let gather = |pool: Pool<Tenant, Sim>| {
            let sim = sim.clone();
            let name = pool.name().to_string();
            sim.clone().task(name, async move {
                let began = sim.now();
                let leases = pool.acquire_many(2).await.expect("both, in time");
                sim.sleep(MS * 10).await;
                drop(leases);
                sim.now() - began
            })
        };
        let [one, other] = first.map(gather);
        let (one, other) = (one.await, other.await);
        assert!(one.max(other) < SECOND, "{one:?}, {other:?}");
        ends_whole(&sim, &ledger, &family, 2).await;
    });
}

#[test]
fn keys_whose_servers_are_down_hold_up_no_other_key() {
    for server in [Server::Refuses, Server::Hangs] {
        explore(0..6, |sim| async move {
            let ledger = Ledger::default();
            let family = family(&sim, &ledger, 4, |_, pool| {
                let retry = Retry::new(Backoff::constant(MS * 500)).max_retries(3);
                pool.retry(retry).open_timeout(SECOND * 2)
            });
            let until = sim.now() + SECOND * 20;
            for key in 0..3 {
                ledger.with(100 + key, |account| account.server = server);
                let (sim, family) = (sim.clone(), family.clone());
                let _running = sim.clone().task("asks in vain", async move {
                    while sim.now() < until {
                        let acquired = family.acquire(&(100 + key)).await;
                        assert!(acquired.is_err());
                    }
                });
            }
            keep_busy(&sim, &ledger, &family, 1, 5, until);
            keep_busy(&sim, &ledger, &family, 2, 5, until);
            sim.sleep_until(until).await;
            for key in [1, 2] {
                let account = ledger.with(key, |account| *account);
                assert!(account.longest_wait < SECOND * 3, "{server:?}: {account:?}");
                assert!(account.loans > 500, "{server:?}: {account:?}");
            }
            let probes = ledger.with(100, |account| account.openings);
            assert!(probes >= 4, "{server:?}: probed {probes} times");
            sim.sleep(SECOND * 60).await;
            ends_whole(&sim, &ledger, &family, 4).await;
        });
    }
}

#[test]
fn a_waiter_that_leaves_and_a_pool_that_is_shut_down_give_their_turn_away() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 1, |_, pool| pool);
        let held = family.acquire(&1).await.expect("a value");
        let asks = |key: u64| {
            let family = family.clone();
            sim.task(format!("asks for {key}"), async move {
                let lease = family.acquire(&key).await?;
                Ok::<u64, AcquireError>(*lease)
            })
        };
        let leaves = asks(2);
        sim.sleep(MS).await;
        let refused = asks(3);
        sim.sleep(MS).await;
        let served = asks(4);
        sim.sleep(MS).await;
        leaves.cancel();
        let shut = family.pool(&3).expect("the family is open");
        assert!(shut.close().await.is_clean());
        assert!(matches!(refused.await, Err(AcquireError::Closed { .. })));
        drop(shut);
        drop(held);
        assert_eq!(served.await.expect("the next in turn"), 4);
        assert_eq!(ledger.with(2, |account| account.openings), 0);
        assert_eq!(ledger.with(3, |account| account.openings), 0);
        ends_whole(&sim, &ledger, &family, 1).await;
    });
}

/// The keys are served in the order in which they began to wait, whichever key frees the places.
#[test]
fn the_key_that_waits_longest_gets_the_place() {
    run(0, |sim| async move {
        let ledger = Ledger::default();
        let family = family(&sim, &ledger, 4, |_, pool| pool);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(family.acquire(&0).await.expect("a value"));
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        // The busy key waits too, and has done so for longest; it has something, the others have nothing.
        let mut asking = Vec::new();
        for key in [0, 5, 3, 4] {
            let (world, family, order) = (sim.clone(), family.clone(), order.clone());
            asking.push(sim.task(format!("asks for {key}"), async move {
                let lease = family.acquire(&key).await.expect("a value");
                order.lock().expect("no panic").push(*lease);
                world.sleep(SECOND).await;
            }));
            sim.sleep(MS * 5).await;
        }
        let stays = held.pop();
        for lease in held {
            lease.discard();
            sim.sleep(MS * 30).await;
        }
        drop(stays);
        for one in asking {
            one.await;
        }
        assert_eq!(*order.lock().expect("no panic"), [5, 3, 4, 0]);
        ends_whole(&sim, &ledger, &family, 4).await;
    });
}

/// A runtime that counts how often its tasks are polled.
#[derive(Clone)]
struct Counted {
    sim: Sim,
    polls: Arc<AtomicU64>,
}

impl Timer for Counted {
    type Sleep = tenure_sim::Sleep;

    fn now(&self) -> Instant {
        Timer::now(&self.sim)
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        Timer::sleep_until(&self.sim, at)
    }

    fn entropy(&self) -> u64 {
        self.sim.entropy()
    }
}

impl Spawn for Counted {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        let (mut future, polls) = (Box::pin(future), self.polls.clone());
        Spawn::spawn(
            &self.sim,
            std::future::poll_fn(move |cx: &mut Context<'_>| -> Poll<()> {
                polls.fetch_add(1, Ordering::Relaxed);
                Pin::as_mut(&mut future).poll(cx)
            }),
        );
    }
}

/// A family whose tasks are counted, and the count of their polls. The last of its keys keeps a minimum.
fn counted_family(sim: &Sim, keys: u64) -> (KeyedPool<u64, Tenant, Counted>, Arc<AtomicU64>) {
    let (ledger, polls) = (Ledger::default(), Arc::new(AtomicU64::new(0)));
    let runtime = Counted {
        sim: sim.clone(),
        polls: polls.clone(),
    };
    let sim = sim.clone();
    let family = Pool::keyed(move |key: &u64| {
        let (key, sim, ledger) = (*key, sim.clone(), ledger.clone());
        let pool = Pool::builder(Tenant { key, sim, ledger });
        let pool = pool.min_size(usize::from(key == keys));
        pool.idle_timeout(None).max_lifetime(None)
    });
    let family = family.forget_after(None).max_size(2_000);
    (family.build(runtime).expect("it makes sense"), polls)
}

/// Beside thousands of keys that nobody uses, the tasks of all of them would be polled before the first value of one.
#[test]
fn a_key_that_is_only_looked_up_has_no_task() {
    run(0, |sim| async move {
        let (family, polls) = counted_family(&sim, 5);
        let polls = || polls.swap(0, Ordering::Relaxed);
        for key in 0..5 {
            family.pool(&key).expect("the family is open");
        }
        sim.sleep(SECOND).await;
        assert_eq!(polls(), 0);
        drop(family.acquire(&0).await.expect("a value"));
        assert!(polls() > 0);
        let minimum = family.pool(&5).expect("the family is open");
        sim.sleep(SECOND).await;
        assert_eq!(minimum.status().idle, 1);
        drop(minimum);
        assert_eq!(family.close().await.len(), 6);
    });
}

#[test]
fn a_value_of_one_key_wakes_the_runners_of_no_other() {
    run(0, |sim| async move {
        let mut polls = Vec::new();
        for keys in [1, 10, 1_000] {
            let (family, counted) = counted_family(&sim, keys);
            for key in 0..keys {
                drop(family.acquire(&key).await.expect("a value"));
            }
            sim.sleep(MS).await;
            let before = counted.load(Ordering::Relaxed);
            for _ in 0..20 {
                family.acquire(&0).await.expect("a value").discard();
                sim.sleep(MS).await;
            }
            polls.push(counted.load(Ordering::Relaxed) - before);
            family.close().await;
        }
        assert_eq!(polls, [polls[0]; 3]);
    });
}
