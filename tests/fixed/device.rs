//! A device that does as it is told, and the pools of it.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;

use tenure_core::fixed::FixedPool;
use tenure_core::{Backoff, ErrorClass, Failure, LocalResource, Retry, Timer, Why};

use crate::worlds::World;

/// What a device is told to do, and what it has done.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) opened: Cell<u32>,
    pub(super) most_at_once: Cell<u32>,
    /// So many openings fail from now on.
    pub(super) failing: Cell<u32>,
    /// Whether failures are for good.
    pub(super) refuses: Cell<bool>,
    pub(super) hangs: Cell<bool>,
    pub(super) checks: Cell<u32>,
    pub(super) fails_checks: Cell<bool>,
    pub(super) closed: RefCell<Vec<Why>>,
    pub(super) hangs_closing: Cell<bool>,
    under_way: Cell<u32>,
}

/// `CHECKED`: whether it can be checked.
pub(super) struct Device<W: World, const CHECKED: bool> {
    world: W,
    wishes: Rc<Wishes>,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) number: u32,
    pub(super) is_broken: bool,
}

impl<W: World, const CHECKED: bool> LocalResource for Device<W, CHECKED> {
    type Value = Unit;
    type Error = u32;
    const CHECKED: bool = CHECKED;

    async fn open(&self) -> Result<Unit, u32> {
        let wishes = &self.wishes;
        wishes.under_way.set(wishes.under_way.get() + 1);
        let at_once = wishes.most_at_once.get().max(wishes.under_way.get());
        wishes.most_at_once.set(at_once);
        wait(&self.world, 1).await;
        if wishes.hangs.get() {
            pending::<()>().await;
        }
        wishes.under_way.set(wishes.under_way.get() - 1);
        let failing = wishes.failing.get();
        if failing > 0 {
            wishes.failing.set(failing - 1);
            return Err(failing);
        }
        let number = wishes.opened.get() + 1;
        wishes.opened.set(number);
        Ok(Unit {
            number,
            is_broken: false,
        })
    }

    async fn close(&self, _: Unit, why: Why) -> Result<(), u32> {
        if self.wishes.hangs_closing.get() {
            pending::<()>().await;
        }
        self.wishes.closed.borrow_mut().push(why);
        Ok(())
    }

    async fn check(&self, _: &mut Unit) -> Result<(), u32> {
        self.wishes.checks.set(self.wishes.checks.get() + 1);
        if self.wishes.fails_checks.get() {
            Err(0)
        } else {
            Ok(())
        }
    }

    fn is_broken(&self, unit: &mut Unit) -> bool {
        unit.is_broken
    }

    fn classify(&self, _: Failure<'_, u32>) -> ErrorClass {
        if self.wishes.refuses.get() {
            ErrorClass::GiveUp
        } else {
            ErrorClass::Retry
        }
    }
}

/// At most two wait.
pub(super) type Devices<W, const CHECKED: bool, const VALUES: usize> =
    FixedPool<Device<W, CHECKED>, <W as World>::Runtime, VALUES, 2>;

/// A pool, and what its devices are told.
pub(super) fn devices<W: World, const CHECKED: bool, const VALUES: usize>(
    world: &W,
) -> (Rc<Wishes>, Rc<Devices<W, CHECKED, VALUES>>) {
    let wishes = Rc::new(Wishes::default());
    let device = Device {
        world: world.clone(),
        wishes: wishes.clone(),
    };
    let pool = FixedPool::new(device, world.runtime())
        .acquire_timeout(None)
        .open_retry(Retry::new(Backoff::constant(world.tick())).max_retries(1));
    (wishes, Rc::new(pool))
}

pub(super) async fn wait<W: World>(world: &W, ticks: u32) {
    let runtime = world.runtime();
    runtime
        .sleep_until(runtime.now() + world.tick() * ticks)
        .await;
}
