//! Pools as they stand when an operation begins, and what goes on beside it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use tenure_core::pool::Runner;
use tenure_core::{Backoff, OwnedLease, Pool, Retry, Start};
use tenure_sim::{Backend, FaultyResource, Sim, Task};

use crate::drawn::heal;
use crate::trouble::{Background, HOOK_TIME, MEANWHILE, Trouble};

/// How a pool stands when an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing is open.
    Empty,
    /// A value lies idle.
    Idle,
    /// The value is on loan, and is given back in the middle of the operation.
    Lent,
    /// The same, and the value comes back broken.
    LentAndBroken,
    /// The value is on loan, and one task waits for it already.
    Queued,
    /// Two values may be open: one is on loan, and an opening takes long.
    Racing,
}

impl Setting {
    pub(super) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Idle,
        Self::Lent,
        Self::LentAndBroken,
        Self::Queued,
        Self::Racing,
    ];
}

/// One pool, and what goes on beside the operation that is looked at.
pub(super) struct Scene<const HOOKED: bool> {
    pub(super) sim: Sim,
    pub(super) pool: Pool<FaultyResource<HOOKED>, Sim>,
    /// On loan; the operation may take it over before it is given back.
    pub(super) lent: Rc<Cell<Option<SceneLease<HOOKED>>>>,
    /// Where nobody runs it.
    pub(super) runner: Cell<Option<Runner<FaultyResource<HOOKED>, Sim>>>,
    backend: Backend,
    pub(super) max_size: usize,
    /// What is over when the operation is.
    others: RefCell<Vec<Task<()>>>,
    /// Ends what would go on for ever, unless it is called off.
    closer: Task<()>,
}

type SceneLease<const HOOKED: bool> = OwnedLease<FaultyResource<HOOKED>, Sim>;

impl<const HOOKED: bool> Scene<HOOKED> {
    pub(super) async fn set(
        sim: Sim,
        resource: fn(&Backend) -> FaultyResource<HOOKED>,
        setting: Setting,
        background: Background,
        trouble: Trouble,
    ) -> Self {
        let backend = Backend::new(&sim);
        let max_size = if setting == Setting::Racing { 2 } else { 1 };
        let (pool, runner) = Pool::builder(resource(&backend))
            .name("scene")
            .max_size(max_size)
            .min_size(1)
            .idle_timeout(None)
            .check_every(HOOK_TIME * 2)
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .check_timeout(HOOK_TIME * 3)
            .hook_timeout(HOOK_TIME * 3)
            .retry(Retry::new(Backoff::constant(HOOK_TIME)))
            .start(Start::Lazily)
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let scene = Self {
            pool: pool.clone(),
            lent: Rc::default(),
            runner: Cell::default(),
            backend,
            max_size,
            others: RefCell::default(),
            closer: sim.task("closer", {
                let sleep = sim.sleep(HOOK_TIME * 20);
                async move {
                    sleep.await;
                    pool.close().await;
                }
            }),
            sim,
        };
        scene.set_background(background, runner);
        scene.set_values(setting).await;
        trouble.begin(&scene.backend);
        scene
    }

    fn set_background(&self, background: Background, runner: Runner<FaultyResource<HOOKED>, Sim>) {
        match background {
            Background::IsAbsent => self.runner.set(Some(runner)),
            Background::Runs => self.beside("runner", runner.run()),
            Background::IsLost => {
                let runner = self.sim.task("runner", runner.run());
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
        let lease = self.pool.acquire_owned().await;
        if setting == Setting::Idle {
            return;
        }
        self.lent.set(lease.ok());
        if setting == Setting::Queued {
            let pool = self.pool.clone();
            self.beside("waits", async move { drop(pool.acquire().await) });
            self.sim.yield_now().await;
        }
        let (lent, backend) = (self.lent.clone(), self.backend.clone());
        let sleep = self.sim.sleep(MEANWHILE);
        self.beside("gives back", async move {
            sleep.await;
            if setting == Setting::LentAndBroken {
                backend.break_all();
            }
            drop(lent.take());
        });
    }

    fn beside(&self, name: &str, future: impl Future<Output = ()> + 'static) {
        let task = self.sim.task(name, future);
        self.others.borrow_mut().push(task);
    }

    /// What has to hold once the operation is over, however it came to be over: nobody waits for ever,
    /// the pool is as good as new, and every value ends once.
    pub(super) async fn prove_whole(self) {
        self.closer.cancel();
        self.is_balanced();
        drop(self.lent.take());
        heal(&self.backend);
        if !self.pool.is_closed() {
            self.is_served_in_full().await;
        }
        drop(self.runner.take());
        let report = self.pool.close().await;
        assert_eq!(report.still_in_use, 0, "{report}");
        for other in self.others.take() {
            // One that was called off never ends as one that is awaited.
            self.sim.sleep(HOOK_TIME).await;
            assert!(other.is_over(), "{other:?} goes on after the close");
        }
        let audit = self.pool.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        self.backend.assert_accounted();
    }

    /// As many as there may be are served, and no more.
    async fn is_served_in_full(&self) {
        let mut leases = Vec::new();
        let mut refused = 0;
        while leases.len() < self.max_size {
            match self.pool.acquire_timeout(HOOK_TIME * 100).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    // An opening that began before the backend was healed may still fail.
                    refused += 1;
                    assert!(refused <= self.max_size, "{error}");
                }
            }
        }
        self.is_balanced();
        let one_more = self.pool.acquire_timeout(HOOK_TIME).await;
        assert!(one_more.is_err(), "more than {} are lent", self.max_size);
    }

    fn is_balanced(&self) {
        let (audit, status) = (self.pool.audit(), self.pool.status());
        assert!(audit.is_balanced(), "{audit}");
        // One operation lets it grow by one for a while, and one broken value may be closed beside its successor.
        let most = self.max_size + 2;
        assert!(status.size <= most, "{status}");
        assert!(self.backend.most_live() <= most);
        assert_eq!(audit.opened, self.backend.opened(), "{audit}");
    }
}
