//! Pools of every configuration, used in every way, on backends on which everything goes wrong.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tenure_core::pool::{CheckOnAcquire, IdleOrder};
use tenure_core::{OwnedLease, Pool, Start};
use tenure_sim::{Backend, Faults, FaultyResource, Sim, Task, explore};

use crate::drawn::{a_limit, backend, coin, heal, noted, retry, some_limit, some_time};
use crate::patience::Patience;

/// As many worlds as the tests of every build explore.
const SEEDS: u64 = 10_000;

#[test]
fn random_worlds_lose_nothing() {
    let explored = explore(0..SEEDS, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        let backend = backend(&sim);
        if coin(&sim) {
            live(&sim, &backend, FaultyResource::new(&backend)).await;
        } else {
            live(&sim, &backend, FaultyResource::hooked(&backend)).await;
        }
    });
    println!("{} pools, {} steps", explored.runs, explored.steps);
}

/// The life of one pool.
async fn live<const HOOKED: bool>(sim: &Sim, backend: &Backend, resource: FaultyResource<HOOKED>) {
    let world = World::drawn(sim, backend, resource);
    let users: Vec<_> = (0..2 + sim.below(5))
        .map(|number| sim.task(format!("user {number}"), world.clone().user()))
        .collect();
    for user in users {
        user.await;
    }
    world.end().await;
}

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct World<const HOOKED: bool> {
    sim: Sim,
    backend: Backend,
    pool: Pool<FaultyResource<HOOKED>, Sim>,
    /// The most that the maximum ever was.
    most: Rc<Cell<usize>>,
    /// How many broken values may be closed beside their successors.
    allowance: usize,
    waits: Option<usize>,
    /// Absent where the pool has none, or has lost it.
    runner: Rc<RefCell<Option<Task<()>>>>,
    /// Leases that one task took and another may give back.
    passed_on: Rc<RefCell<Vec<OwnedLease<FaultyResource<HOOKED>, Sim>>>>,
}

impl<const HOOKED: bool> World<HOOKED> {
    fn drawn(sim: &Sim, backend: &Backend, resource: FaultyResource<HOOKED>) -> Self {
        let max_size = 1 + sim.below(4) as usize;
        let allowance = sim.below(3) as usize;
        let waits = (sim.below(4) == 0).then(|| 1 + sim.below(3) as usize);
        let on_acquire = match sim.below(4) {
            0 => CheckOnAcquire::Always,
            1 => CheckOnAcquire::Never,
            _ => CheckOnAcquire::AfterIdle(a_limit(sim, 5)),
        };
        let builder = Pool::builder(resource)
            .name("drawn")
            .max_waiters(waits)
            .idle_order(if coin(sim) {
                IdleOrder::LatestFirst
            } else {
                IdleOrder::OldestFirst
            })
            .max_lifetime(some_limit(sim, 60))
            .strict_limits(coin(sim))
            .max_uses((sim.below(4) == 0).then(|| 1 + sim.below(4) as u32))
            .check_on_open(sim.below(4) == 0)
            .check_on_acquire(on_acquire)
            .check_on_release(sim.below(4) == 0)
            .hook_timeout(a_limit(sim, 5))
            .leak_after(some_limit(sim, 20))
            .refuse_self_deadlock(sim.below(4) == 0)
            .timings(coin(sim))
            .events(noted(sim))
            .max_size(max_size)
            .min_size(sim.below(max_size as u64 + 1) as usize)
            .idle_timeout(some_limit(sim, 20))
            .check_every(some_limit(sim, 10))
            .check_timeout(a_limit(sim, 5))
            .open_timeout(a_limit(sim, 5))
            .close_timeout(a_limit(sim, 5))
            .max_closing_beside(allowance)
            .acquire_timeout(a_limit(sim, 30))
            .retry(retry(sim))
            .start(if coin(sim) {
                Start::Lazily
            } else {
                Start::InBackground
            });
        let (pool, runner) = builder
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let runner = match sim.below(3) {
            0 => None,
            _ => Some(sim.task("runner", runner.run())),
        };
        Self {
            sim: sim.clone(),
            backend: backend.clone(),
            pool,
            most: Rc::new(Cell::new(max_size)),
            waits,
            allowance,
            runner: Rc::new(RefCell::new(runner)),
            passed_on: Rc::default(),
        }
    }

    async fn user(self) {
        for _ in 0..1 + self.sim.below(8) {
            self.act().await;
            self.look();
            if coin(&self.sim) {
                self.sim.sleep(some_time(&self.sim, 3_000)).await;
            }
        }
    }

    async fn act(&self) {
        let (sim, pool) = (&self.sim, &self.pool);
        let patience = Patience::drawn(sim);
        match sim.below(32) {
            0..=6 => {
                if let Some(Ok(lease)) = patience.wait(sim, pool.acquire()).await {
                    self.look();
                    sim.sleep(some_time(sim, 2_000)).await;
                    match sim.below(8) {
                        0 => lease.discard(),
                        1 => lease.detach().end(),
                        _ => drop(lease),
                    }
                }
            }
            7..=9 => {
                let limit = some_time(sim, 10_000);
                let began = sim.time_passed();
                let acquired = patience.wait(sim, pool.acquire_timeout(limit)).await;
                let took = sim.time_passed() - began;
                assert!(took <= limit, "{took:?} of {limit:?}");
                if let Some(Ok(_lease)) = acquired {
                    sim.yield_now().await;
                }
            }
            10..=12 => {
                if let Some(Ok(lease)) = patience.wait(sim, pool.acquire_owned()).await {
                    self.passed_on.borrow_mut().push(lease);
                }
            }
            13..=15 => {
                let lease = self.passed_on.borrow_mut().pop();
                drop(lease);
            }
            16 => {
                let lease = pool.try_acquire();
                sim.yield_now().await;
                drop(lease);
            }
            // A minimum whose values fail their checks as soon as they are open is never reached.
            17 => drop(patience.at_most(MINUTE).wait(sim, pool.start()).await),
            18 => {
                let live = self.backend.live();
                if !live.is_empty() {
                    let index = sim.below(live.len() as u64) as usize;
                    self.backend.break_value(live[index]);
                }
            }
            19 => self.backend.break_all(),
            20 => {
                let runner = self.runner.borrow_mut().take();
                if let Some(runner) = runner {
                    runner.cancel();
                }
            }
            21 => sim.sleep(Duration::from_secs(sim.below(30))).await,
            22 => {
                let max_size = 1 + sim.below(5) as usize;
                if pool.resize(max_size).is_ok() {
                    self.most.set(self.most.get().max(max_size));
                }
            }
            23 => {
                pool.suspend();
                sim.sleep(some_time(sim, 5_000)).await;
                pool.resume();
            }
            24 => pool.evict_all(),
            25 => pool.retain(|value, idle| !value.is_broken() && idle.uses % 2 == 0),
            26..=28 => {
                let values = sim.below(4) as usize;
                if let Some(Ok(mut leases)) = patience.wait(sim, pool.acquire_many(values)).await {
                    assert_eq!(leases.len(), values);
                    self.look();
                    sim.sleep(some_time(sim, 2_000)).await;
                    if let (Some(lease), true) = (leases.first_mut(), coin(sim)) {
                        lease.invalidate();
                    }
                }
            }
            29 if sim.below(4) == 0 => {
                let within = some_time(sim, 5_000);
                let _ = patience.wait(sim, pool.shutdown(within)).await;
            }
            _ => self.backend.set_faults(if coin(sim) {
                Faults::none()
            } else {
                Faults::drawn(sim)
            }),
        }
    }

    /// What holds at any moment.
    fn look(&self) {
        let (audit, status) = (self.pool.audit(), self.pool.status());
        assert!(audit.is_balanced(), "{audit}");
        let taken = status.idle + status.in_use + status.checking + status.closing + status.opening;
        assert_eq!(status.size, taken, "{status}");
        let most = self.most.get() + self.allowance;
        assert!(status.size <= most, "{status}");
        assert!(
            // One that was handed a bad value comes back to the front, beyond the bound.
            self.waits
                .is_none_or(|most| status.waiting <= most + self.most.get()),
            "{status}"
        );
        assert!(self.backend.most_live() <= most);
        assert_eq!(audit.opened, self.backend.opened(), "{audit}");
    }

    /// Openings that began before the backend was healed may still fail, each once.
    async fn is_served(&self) {
        let mut refused = 0;
        while let Err(error) = self.pool.acquire_timeout(Duration::from_secs(600)).await {
            refused += 1;
            assert!(refused <= self.most.get(), "{error}");
        }
    }

    /// Whatever happened: once the backend is well, whoever asks is served; and all ends.
    async fn end(self) {
        heal(&self.backend);
        let kept = std::mem::take(&mut *self.passed_on.borrow_mut());
        drop(kept);
        if !self.pool.is_closed() {
            self.is_served().await;
        }
        self.look();
        if coin(&self.sim) {
            let _ = self.pool.shutdown(some_time(&self.sim, 5_000)).await;
            self.look();
        }
        if coin(&self.sim) {
            let report = self.pool.close().await;
            assert_eq!(report.still_in_use, 0, "{report}");
            assert!(self.pool.audit().is_balanced(), "{}", self.pool.audit());
            assert_eq!(self.pool.audit().live(), 0, "{}", self.pool.audit());
        }
        let runner = self.runner.borrow_mut().take();
        drop(self.pool);
        if let Some(runner) = runner {
            runner.await;
        }
        self.backend.assert_accounted();
    }
}
