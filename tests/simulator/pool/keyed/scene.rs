//! Keyed pools as they stand when an operation begins, and what goes on beside it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use tenure_core::{Backoff, OwnedLease, Pool, Retry};
use tenure_sim::{Backend, FaultyResource, Sim, Task};

use super::Family;
use crate::drawn::heal;
use crate::trouble::{Background, HOOK_TIME, MEANWHILE, Trouble};

/// The key that an operation is about.
pub(super) const OWN: u64 = 1;

/// The key that has the place which the operation needs.
pub(super) const OTHER: u64 = 2;

/// How a keyed pool stands when an operation begins. One value may be open, but for the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing is open.
    Empty,
    /// A value of the operation's own key lies idle.
    Idle,
    /// A value of the other key lies idle.
    OtherIdle,
    /// The other key's value is on loan, and is given back in the middle of the operation.
    OtherLent,
    /// The same, and the value comes back broken.
    OtherLentAndBroken,
    /// The other key's value is on loan, and a task waits for it already.
    OtherQueued,
    /// The value is of the operation's own key, and on loan; a task waits for one of the other key.
    Contended,
    /// Two values may be open: one of the other key is on loan, and another opens slowly.
    Racing,
    /// Two values may be open: each key has one that lies idle.
    BothIdle,
}

impl Setting {
    pub(super) const ALL: [Self; 9] = [
        Self::Empty,
        Self::Idle,
        Self::OtherIdle,
        Self::OtherLent,
        Self::OtherLentAndBroken,
        Self::OtherQueued,
        Self::Contended,
        Self::Racing,
        Self::BothIdle,
    ];

    const fn most(self) -> usize {
        match self {
            Self::Racing | Self::BothIdle => 2,
            _ => 1,
        }
    }
}

/// How many broken values are closed beside their successors.
const BESIDE: usize = 1;

/// One keyed pool, and what goes on beside the operation that is looked at.
pub(super) struct Scene {
    pub(super) sim: Sim,
    pub(super) family: Family,
    /// On loan; the operation may take it over before it is given back.
    pub(super) lent: Rc<Cell<Option<OwnedLease<FaultyResource, Sim>>>>,
    /// How many values may be open over both keys.
    pub(super) most: usize,
    backend: Backend,
    /// What is over when the operation is.
    others: RefCell<Vec<Task<()>>>,
    /// Ends what would go on for ever, unless it is called off.
    closer: Task<()>,
}

impl Scene {
    pub(super) async fn set(
        sim: Sim,
        setting: Setting,
        background: Background,
        trouble: Trouble,
    ) -> Self {
        let backend = Backend::new(&sim);
        let most = setting.most();
        if background == Background::IsAbsent {
            sim.refuse_tasks(true);
        }
        let family = family(&sim, &backend, most);
        let scene = Self {
            family: family.clone(),
            lent: Rc::default(),
            most,
            backend,
            others: RefCell::default(),
            closer: sim.task("closer", {
                let sleep = sim.sleep(HOOK_TIME * 30);
                async move {
                    sleep.await;
                    family.close().await;
                }
            }),
            sim,
        };
        if background == Background::IsLost {
            let (sleep, runtime) = (scene.sim.sleep(MEANWHILE), scene.sim.clone());
            scene.beside("ends the runtime", async move {
                sleep.await;
                runtime.end_runtime();
            });
        }
        scene.set_values(setting).await;
        trouble.begin(&scene.backend);
        scene
    }

    async fn set_values(&self, setting: Setting) {
        let acquire = async |key| self.family.acquire(&key).await.expect("it is healthy");
        match setting {
            Setting::Empty => return,
            Setting::Idle => return drop(acquire(OWN).await),
            Setting::OtherIdle => return drop(acquire(OTHER).await),
            Setting::BothIdle => {
                let both = [acquire(OWN).await, acquire(OTHER).await];
                return drop(both);
            }
            Setting::Contended => self.lent.set(Some(acquire(OWN).await)),
            _ => self.lent.set(Some(acquire(OTHER).await)),
        }
        if matches!(setting, Setting::OtherQueued | Setting::Contended) {
            let family = self.family.clone();
            self.beside("waits", async move { drop(family.acquire(&OTHER).await) });
            self.sim.yield_now().await;
        }
        let (lent, backend) = (self.lent.clone(), self.backend.clone());
        let sleep = self.sim.sleep(MEANWHILE);
        self.beside("gives back", async move {
            sleep.await;
            if setting == Setting::OtherLentAndBroken {
                backend.break_all();
            }
            drop(lent.take());
        });
    }

    fn beside(&self, name: &str, future: impl Future<Output = ()> + 'static) {
        let task = self.sim.task(name, future);
        self.others.borrow_mut().push(task);
    }

    /// What has to hold once the operation is over, however it came to be over: nobody waits for ever, each key
    /// is served with all places of the family, and every value ends once.
    pub(super) async fn prove_whole(self) {
        self.closer.cancel();
        self.is_balanced();
        self.sim.refuse_tasks(false);
        drop(self.lent.take());
        heal(&self.backend);
        if self.family.pool(&OWN).is_ok() {
            for key in [OWN, OTHER, OWN] {
                self.is_served_in_full(key).await;
            }
        }
        for (key, report) in self.family.close().await {
            assert_eq!(report.still_in_use, 0, "key {key}: {report}");
        }
        for other in self.others.take() {
            // One that was called off never ends as one that is awaited. A waiter of a key that was removed is
            // served still.
            self.sim.sleep(HOOK_TIME * 5).await;
            assert!(other.is_over(), "{other:?} goes on after the close");
        }
        self.is_balanced();
        for (key, status) in self.family.status() {
            assert_eq!(status.size, 0, "key {key}: {status}");
        }
        drop(self.family);
        // What was removed or forgotten is closed by its Runner.
        self.sim.sleep(HOOK_TIME * 20).await;
        self.backend.assert_accounted();
    }

    /// As many values of a key as the family may have are served, and no more.
    async fn is_served_in_full(&self, key: u64) {
        let pool = self.family.pool(&key).expect("the family is open");
        let mut leases = Vec::new();
        let mut refused = 0;
        while leases.len() < self.most {
            match pool.acquire_timeout(HOOK_TIME * 100).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    // An opening that began before the backend was healed may still fail.
                    refused += 1;
                    assert!(refused <= self.most, "key {key}: {error}");
                }
            }
        }
        self.is_balanced();
        let one_more = pool.acquire_timeout(HOOK_TIME / 2).await;
        assert!(one_more.is_err(), "more than {} are lent", self.most);
    }

    fn is_balanced(&self) {
        let mut size = 0;
        for (key, status) in self.family.status() {
            assert!(status.audit.is_balanced(), "key {key}: {status}");
            size += status.size;
        }
        let most = self.most + BESIDE;
        assert!(size <= most, "{size} values of {most}");
        // Where a shutdown ran out of time, values whose close it cut off live until their Runner hears of it.
        let most = most * 2;
        assert!(self.backend.most_live() <= most, "{most}");
    }
}

fn family(sim: &Sim, backend: &Backend, most: usize) -> Family {
    let resource = FaultyResource::new(backend);
    let pool_for = move |_: &u64| {
        Pool::builder(resource.clone())
            .max_size(2)
            .idle_timeout(HOOK_TIME * 3)
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .retry(Retry::new(Backoff::constant(HOOK_TIME)))
    };
    Pool::keyed(pool_for)
        .max_size(most)
        .max_closing_beside(BESIDE)
        .give_way_after(HOOK_TIME)
        .forget_after(HOOK_TIME * 4)
        .build(sim.clone())
        .expect("a configuration that makes sense")
}
