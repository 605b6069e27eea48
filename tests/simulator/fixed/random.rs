//! Fixed pools of every size, used in every way, on backends on which everything goes wrong.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::fixed::{FixedError, FixedLease, FixedPool};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, Sim, Task, explore};

use crate::drawn::{a_limit, coin, heal, retry, some_time};
use crate::patience::Patience;

/// As many worlds as the tests of every build explore.
const SEEDS: u64 = 5_000;

#[test]
fn random_fixed_pools_lose_nothing() {
    let explored = explore(0..SEEDS, |sim| async move {
        if sim.below(4) == 0 {
            sim.poll_spuriously(4);
        }
        match sim.below(4) {
            0 => World::<1, 1>::drawn(&sim).live().await,
            1 => World::<1, 3>::drawn(&sim).live().await,
            2 => World::<2, 2>::drawn(&sim).live().await,
            _ => World::<3, 4>::drawn(&sim).live().await,
        }
    });
    println!("{} fixed pools, {} steps", explored.runs, explored.steps);
}

type DrawnPool<const VALUES: usize, const WAITERS: usize> =
    FixedPool<FaultyResource, Sim, VALUES, WAITERS>;
type DrawnLease<const VALUES: usize, const WAITERS: usize> =
    FixedLease<'static, FaultyResource, Sim, VALUES, WAITERS>;

#[derive(Clone)]
struct World<const VALUES: usize, const WAITERS: usize> {
    sim: Sim,
    backend: Backend,
    pool: &'static DrawnPool<VALUES, WAITERS>,
    runner: Rc<RefCell<Option<Task<()>>>>,
    /// Leases that one task took and another may give back.
    passed_on: Rc<RefCell<Vec<DrawnLease<VALUES, WAITERS>>>>,
}

/// Without a heap nothing contains a panic: it reaches who polls.
fn faults(sim: &Sim) -> Faults {
    let mut faults = Faults::none();
    for hook in [Hook::Open, Hook::Check, Hook::Close] {
        let fault = if coin(sim) { Fault::Fail } else { Fault::Hang };
        if coin(sim) {
            faults = faults.one_in(2 + sim.below(6), hook, fault);
        }
    }
    faults
}

impl<const VALUES: usize, const WAITERS: usize> World<VALUES, WAITERS> {
    fn drawn(sim: &Sim) -> Self {
        let backend = Backend::new(sim);
        for hook in Hook::ALL {
            backend.set_time(hook, some_time(sim, 1_500));
        }
        if !coin(sim) {
            backend.set_faults(faults(sim));
        }
        let pool = FixedPool::new(FaultyResource::new(&backend), sim.clone())
            .acquire_timeout(a_limit(sim, 30))
            .open_timeout(a_limit(sim, 5))
            .close_timeout(a_limit(sim, 5))
            .check_timeout(a_limit(sim, 5))
            .check_every(a_limit(sim, 10))
            .open_retry(retry(sim));
        let pool: &'static _ = Box::leak(Box::new(pool));
        let runner = match sim.below(3) {
            0 => None,
            _ => Some(sim.task("runner", async move { pool.run().await })),
        };
        Self {
            sim: sim.clone(),
            backend,
            pool,
            runner: Rc::new(RefCell::new(runner)),
            passed_on: Rc::default(),
        }
    }

    async fn live(self) {
        let users: Vec<_> = (0..2 + self.sim.below(5))
            .map(|number| {
                let user = self.clone().user();
                self.sim.task(format!("user {number}"), user)
            })
            .collect();
        for user in users {
            user.await;
        }
        self.end().await;
    }

    async fn user(self) {
        for _ in 0..1 + self.sim.below(8) {
            self.act().await;
            assert!(self.backend.most_live() <= VALUES);
            if coin(&self.sim) {
                self.sim.sleep(some_time(&self.sim, 3_000)).await;
            }
        }
    }

    async fn act(&self) {
        let (sim, pool) = (&self.sim, self.pool);
        let patience = Patience::drawn(sim);
        match sim.below(16) {
            0..=4 => {
                if let Some(Ok(mut lease)) = patience.wait(sim, pool.acquire()).await {
                    match sim.below(4) {
                        0 => lease.discard(),
                        1 => {
                            let operation =
                                lease.run(async |_| sim.sleep(some_time(sim, 2_000)).await);
                            let _ = Patience::drawn(sim).wait(sim, operation).await;
                        }
                        _ => sim.sleep(some_time(sim, 2_000)).await,
                    }
                }
            }
            5..=7 => {
                let limit = some_time(sim, 10_000);
                let began = sim.time_passed();
                let acquired = patience.wait(sim, pool.acquire_within(limit)).await;
                let took = sim.time_passed() - began;
                assert!(took <= limit, "{took:?} of {limit:?}");
                if let Some(Ok(lease)) = acquired {
                    self.passed_on.borrow_mut().push(lease);
                }
            }
            8 | 9 => {
                let lease = self.passed_on.borrow_mut().pop();
                drop(lease);
            }
            10 => self.backend.break_all(),
            11 => {
                let runner = self.runner.borrow_mut().take();
                if let Some(runner) = runner {
                    runner.cancel();
                }
            }
            12 if coin(sim) => {
                let pool = self.pool;
                let runner = sim.task("runner", async move { pool.run().await });
                // If one runs already, this one ends at once.
                let before = self.runner.borrow_mut().replace(runner);
                if let Some(before) = before {
                    before.cancel();
                }
            }
            13 => sim.sleep(Duration::from_secs(sim.below(30))).await,
            14 if sim.below(6) == 0 => {
                let within = some_time(sim, 5_000);
                let _ = patience.wait(sim, pool.shutdown(within)).await;
            }
            _ => self.backend.set_faults(if coin(sim) {
                Faults::none()
            } else {
                faults(sim)
            }),
        }
    }

    /// Whatever happened: once the backend is well, whoever asks is served; and all ends.
    async fn end(self) {
        heal(&self.backend);
        let kept = std::mem::take(&mut *self.passed_on.borrow_mut());
        drop(kept);
        let mut refused = 0;
        loop {
            match self.pool.acquire_within(Duration::from_secs(600)).await {
                Ok(_) | Err(FixedError::Closed) => break,
                Err(error) => {
                    // Openings that began before the backend was healed may still fail, each once.
                    refused += 1;
                    assert!(refused <= VALUES, "{error}");
                }
            }
        }
        // Others may have given up one that they began.
        let was_closed = self.pool.shutdown(Duration::from_secs(600)).await;
        assert!(was_closed);
        let runner = self.runner.borrow_mut().take();
        if let Some(runner) = runner {
            self.sim.sleep(Duration::from_millis(1)).await;
            assert!(runner.is_over());
        }
        assert!(matches!(self.pool.acquire().await, Err(FixedError::Closed)));
        self.backend.assert_accounted();
    }
}
