//! Fixed pools as they stand when an operation begins, and what goes on beside it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use tenure_core::fixed::{FixedLease, FixedPool};
use tenure_core::{Backoff, Retry};
use tenure_sim::{Backend, FaultyResource, Sim, Task};

use crate::drawn::heal;
use crate::trouble::{Background, HOOK_TIME, MEANWHILE, Trouble};

/// At most three wait.
pub(super) type FaultyPool<const VALUES: usize> = FixedPool<FaultyResource, Sim, VALUES, 3>;
pub(super) type FaultyLease<const VALUES: usize> =
    FixedLease<'static, FaultyResource, Sim, VALUES, 3>;

/// How a pool stands when an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing is open.
    Empty,
    /// A value lies idle.
    Idle,
    /// A value is on loan, and is given back in the middle of the operation.
    Lent,
    /// The same, and the value comes back broken.
    LentAndBroken,
    /// The same, with its last operation cut off.
    LentAndSuspect,
    /// A value is on loan, and one task waits for it already.
    Queued,
}

impl Setting {
    pub(super) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Idle,
        Self::Lent,
        Self::LentAndBroken,
        Self::LentAndSuspect,
        Self::Queued,
    ];
}

/// One pool, as one in a `static` would be, and what goes on beside the operation that is looked at.
pub(super) struct Scene<const VALUES: usize> {
    pub(super) sim: Sim,
    pub(super) pool: &'static FaultyPool<VALUES>,
    pub(super) lent: Rc<Cell<Option<FaultyLease<VALUES>>>>,
    backend: Backend,
    /// What is over when the pool is.
    others: RefCell<Vec<Task<()>>>,
    /// Ends what would go on for ever, unless it is called off.
    closer: Task<()>,
}

impl<const VALUES: usize> Scene<VALUES> {
    pub(super) async fn set(
        sim: Sim,
        setting: Setting,
        background: Background,
        trouble: Trouble,
    ) -> Self {
        let backend = Backend::new(&sim);
        let pool = FaultyPool::new(FaultyResource::new(&backend), sim.clone())
            .check_every(HOOK_TIME * 2)
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .check_timeout(HOOK_TIME * 3)
            .open_retry(Retry::new(Backoff::constant(HOOK_TIME)));
        let pool: &'static _ = Box::leak(Box::new(pool));
        let scene = Self {
            pool,
            lent: Rc::default(),
            backend,
            others: RefCell::default(),
            closer: sim.task("closer", {
                let sleep = sim.sleep(HOOK_TIME * 20);
                async move {
                    sleep.await;
                    pool.shutdown(HOOK_TIME * 100).await;
                }
            }),
            sim,
        };
        scene.set_background(background);
        scene.set_values(setting).await;
        trouble.begin(&scene.backend);
        scene
    }

    fn set_background(&self, background: Background) {
        let pool = self.pool;
        match background {
            Background::IsAbsent => {}
            Background::Runs => self.beside("runner", async move { pool.run().await }),
            Background::IsLost => {
                let runner = self.sim.task("runner", async move { pool.run().await });
                let sleep = self.sim.sleep(MEANWHILE);
                self.beside("loses the runner", async move {
                    sleep.await;
                    runner.cancel();
                });
            }
        }
    }

    async fn set_values(&self, setting: Setting) {
        if setting == Setting::Empty {
            return;
        }
        let pool = self.pool;
        let lease = pool.acquire().await;
        if setting == Setting::Idle {
            return;
        }
        self.lent.set(lease.ok());
        if setting == Setting::Queued {
            self.beside("waits", async move { drop(pool.acquire().await) });
            self.sim.yield_now().await;
        }
        let (lent, backend) = (self.lent.clone(), self.backend.clone());
        let sleep = self.sim.sleep(MEANWHILE);
        self.beside("gives back", async move {
            sleep.await;
            let mut lease = lent.take();
            if setting == Setting::LentAndBroken {
                backend.break_all();
            }
            if let (Some(lease), Setting::LentAndSuspect) = (&mut lease, setting) {
                cut_off(lease).await;
            }
            drop(lease);
        });
    }

    fn beside(&self, name: &str, future: impl Future<Output = ()> + 'static) {
        let task = self.sim.task(name, future);
        self.others.borrow_mut().push(task);
    }

    /// What has to hold once the operation is over, however it came to be over: nobody waits for ever, the pool is as good
    /// as new, and every value ends once.
    pub(super) async fn prove_whole(self) {
        self.closer.cancel();
        drop(self.lent.take());
        heal(&self.backend);
        let was_open = self.is_served_in_full().await;
        assert!(self.backend.most_live() <= VALUES);
        let was_closed = self.pool.shutdown(HOOK_TIME * 100).await;
        assert!(was_closed, "open before: {was_open}");
        for other in self.others.take() {
            // One that was called off never ends as one that is awaited.
            self.sim.sleep(HOOK_TIME).await;
            assert!(other.is_over(), "{other:?} goes on after the close");
        }
        assert_eq!(self.backend.live(), []);
        self.backend.assert_accounted();
    }

    /// As many as there may be are served, and no more. Returns `false` if the pool is closed.
    async fn is_served_in_full(&self) -> bool {
        let mut leases = Vec::new();
        let mut refused = 0;
        while leases.len() < VALUES {
            match self.pool.acquire_within(HOOK_TIME * 100).await {
                Ok(lease) => leases.push(lease),
                Err(tenure_core::fixed::FixedError::Closed) => return false,
                Err(error) => {
                    // An opening that began before the backend was healed may still fail, and others may wait.
                    refused += 1;
                    assert!(refused <= VALUES + 3, "{error}");
                    self.sim.sleep(HOOK_TIME).await;
                }
            }
        }
        let one_more = self.pool.acquire_within(HOOK_TIME).await;
        assert!(one_more.is_err(), "more than {VALUES} are lent");
        true
    }
}

/// Leaves a value suspect.
pub(super) async fn cut_off<const VALUES: usize>(lease: &mut FaultyLease<VALUES>) {
    let never = lease.run(async |_| std::future::pending::<()>().await);
    let mut never = Box::pin(never);
    std::future::poll_fn(|cx| {
        assert!(never.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}
