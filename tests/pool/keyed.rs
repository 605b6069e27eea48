//! A pool for each key, and one bound for all.

use std::time::Duration;

use futures::future::join_all;
use tenure_core::pool::{KeyedPool, PoolBuilder};
use tenure_core::{AcquireError, Ending, Pool, Spawn, Timer, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, SendProbe, Step};
use super::recorder::{Happened, Recorder};
use crate::worlds::{World, yield_now};

where_tasks_are_spawned! {
    b09_each_key_has_its_bound_and_all_have_one,
    b09_an_idle_value_of_another_key_makes_room,
    b09_one_wish_takes_no_more_than_one_value_from_others,
    a_minimum_gives_way_only_to_a_waiter_that_was_passed_over,
    b09_a_value_that_comes_back_makes_room,
    b09_who_waits_at_its_own_bound_takes_nothing_from_others,
    b09_many_keys_share_few_values,
    b09_a_key_that_nobody_uses_is_forgotten,
    b09_a_key_whose_pool_is_held_is_not_forgotten,
    b09_all_pools_close_together,
    b09_a_family_that_is_dropped_closes_its_values,
    b09_a_lease_says_where_it_was_taken,
    b09_bounds_are_above_zero,
    invalid_settings_of_one_key_are_an_error_of_that_key_alone,
}

type Probe<W> = SendProbe<<W as World>::Runtime>;
type Family<W> = KeyedPool<u64, Probe<W>, <W as World>::Runtime>;

/// A world that can spawn whatever is `Send`.
trait Spawning: PoolWorld<Runtime: Timer<Sleep: Send> + Spawn + Send + Sync> {
    /// A family of pools of this probe, all on one account: the settings of each key, and those of all.
    fn family(
        &self,
        control: &Control,
        each: impl Fn(u64, PoolBuilder<Probe<Self>>) -> PoolBuilder<Probe<Self>> + Send + Sync + 'static,
        max_size: usize,
        forget_after: impl Into<Option<Duration>>,
    ) -> Family<Self> {
        let (control, runtime) = (control.clone(), self.runtime());
        let builder = Pool::keyed(move |key: &u64| {
            let probe = SendProbe::new(&control, runtime.clone());
            each(
                *key,
                Pool::builder(probe).max_closing_beside(0).check_every(None),
            )
        });
        let builder = builder.max_size(max_size).forget_after(forget_after);
        builder
            .build(self.runtime())
            .expect("a configuration that makes sense")
    }

    /// Closes all, and looks that nothing is left.
    async fn all_end_clean(&self, family: &Family<Self>, control: &Control) {
        let reports = self.ends("the close", family.close()).await;
        for (key, report) in reports {
            assert!(report.is_clean(), "{key}: {report}");
        }
        for (key, status) in family.status() {
            assert!(status.audit.is_balanced(), "{key}: {}", status.audit);
            assert_eq!(status.size, 0, "{key}: {status}");
        }
        assert_eq!(control.live(), 0, "a value outlives its end");
    }
}

impl<W: PoolWorld<Runtime: Timer<Sleep: Send> + Spawn + Send + Sync>> Spawning for W {}

async fn b09_each_key_has_its_bound_and_all_have_one<W: Spawning>(world: W) {
    let control = Control::default();
    // So much that an opening ends within it, where time is real.
    let limit = world.tick() * 25;
    let each = move |_, pool: PoolBuilder<_>| pool.max_size(2).acquire_timeout(limit);
    let family = world.family(&control, each, 3, None);
    let held = [family.acquire(&1).await, family.acquire(&1).await];
    assert!(held.iter().all(Result::is_ok));
    let began_at = world.now();
    let error = family.acquire(&1).await.expect_err("its own bound");
    world.took(began_at, limit);
    let AcquireError::Exhausted { status, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((status.size, status.max_size), (2, 2), "{status}");

    let third = family.acquire(&2).await.expect("a value of another key");
    let began_at = world.now();
    let error = family.acquire(&2).await.expect_err("the bound of all");
    world.took(began_at, limit);
    let AcquireError::FamilyExhausted {
        family_max_size,
        status,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(family_max_size, 3);
    assert_eq!((status.size, status.max_size), (1, 2), "{status}");
    let mut keys = family.status();
    keys.sort_by_key(|(key, _)| *key);
    let in_use = keys.iter().map(|(key, status)| (*key, status.in_use));
    assert_eq!(Vec::from_iter(in_use), [(1, 2), (2, 1)]);
    assert_eq!(control.most_taken(), 3);
    drop((held, third));
    world.all_end_clean(&family, &control).await;
}

async fn b09_an_idle_value_of_another_key_makes_room<W: Spawning>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let sink = recorder.sink();
    let each = move |_, pool: PoolBuilder<_>| pool.events(sink.clone());
    let family = world.family(&control, each, 2, None);
    for key in [1, 2] {
        drop(family.acquire(&key).await.expect("a value"));
    }
    let third = family.acquire(&3).await.expect("in the place of another");
    assert_eq!(third.id, 3);
    assert_eq!((control.most_taken(), control.live()), (2, 2));
    let ended = Happened::Ended(Ending::Closed, Why::Surplus, None);
    assert_eq!(recorder.count(|event| *event == ended), 1);
    drop(third);
    world.all_end_clean(&family, &control).await;
}

/// While the one opening is under way for which room was made, nobody else has to make any.
async fn b09_one_wish_takes_no_more_than_one_value_from_others<W: Spawning>(world: W) {
    let control = Control::default();
    let family = world.family(&control, |_, pool| pool, 2, None);
    drop(family.acquire(&1).await.expect("a value"));
    let busy = family.acquire(&2).await.expect("a value");
    control.script(Hook::Open, [Step::Held]);
    let waiter = world.task({
        let family = family.clone();
        async move { family.acquire(&3).await.map(|lease| lease.id) }
    });
    world
        .until("there was room for an opening", || {
            control.running(Hook::Open) == 1
        })
        .await;
    assert_eq!(control.closed(), [1]);
    drop(busy);
    // Less than a second, after which the opening would no longer hold up another.
    world.sleep(world.tick() / 2).await;
    assert_eq!(control.closed(), [1], "there is no need for more room");
    control.let_go(Hook::Open, Step::Succeed);
    assert_eq!(waiter.await.expect("the value"), 3);
    let again = family.acquire(&2).await.expect("the value");
    assert_eq!(again.id, 2);
    drop(again);
    world.all_end_clean(&family, &control).await;
}

/// A minimum is kept while there are other places, but it is no reason for another key to have none for ever.
async fn a_minimum_gives_way_only_to_a_waiter_that_was_passed_over<W: Spawning>(world: W) {
    let control = Control::default();
    let each = |key, pool: PoolBuilder<_>| pool.min_size(usize::from(key == 1));
    let family = world.family(&control, each, 1, None);
    drop(family.acquire(&1).await.expect("a value"));
    let began_at = world.now();
    let lease = family
        .acquire(&2)
        .await
        .expect("in the place of the minimum");
    assert!(world.now() - began_at >= Duration::from_millis(100));
    assert_eq!((lease.id, control.closed()), (2, vec![1]));
    drop(lease);
    assert_eq!(family.acquire(&1).await.expect("a value").id, 3);
    assert_eq!(control.most_taken(), 1);
    world.all_end_clean(&family, &control).await;
}

async fn b09_a_value_that_comes_back_makes_room<W: Spawning>(world: W) {
    let control = Control::default();
    let family = world.family(&control, |_, pool| pool, 1, None);
    let held = family.acquire(&1).await.expect("a value");
    let waiter = world.task({
        let family = family.clone();
        async move { family.acquire(&2).await.map(|lease| lease.id) }
    });
    world
        .until("the other waits", || {
            let status = family.status();
            status.iter().any(|(_, status)| status.waiting == 1)
        })
        .await;
    world.pause(1).await;
    assert_eq!(control.begun(Hook::Open), 1);
    drop(held);
    assert_eq!(waiter.await.expect("a value"), 2);
    assert_eq!(control.most_taken(), 1);
    world.all_end_clean(&family, &control).await;
}

async fn b09_who_waits_at_its_own_bound_takes_nothing_from_others<W: Spawning>(world: W) {
    let control = Control::default();
    // So much that an opening ends within it, where time is real.
    let limit = world.tick() * 25;
    let each = move |_, pool: PoolBuilder<_>| pool.max_size(1).acquire_timeout(limit);
    let family = world.family(&control, each, 2, None);
    drop(family.acquire(&1).await.expect("a value"));
    let held = family.acquire(&2).await.expect("a value");
    assert!(family.acquire(&2).await.is_err(), "at its own bound");
    assert_eq!(control.closed(), []);
    drop(held);
    world.all_end_clean(&family, &control).await;
}

async fn b09_many_keys_share_few_values<W: Spawning>(world: W) {
    let control = Control::default();
    let each = |_, pool: PoolBuilder<_>| pool.max_size(2);
    let family = world.family(&control, each, 3, None);
    let tasks = (0..12).map(|task| {
        let family = family.clone();
        world.task(async move {
            for turn in 0..20 {
                let key = (task * 7 + turn * 3) % 5;
                let lease = family.acquire(&key).await.expect("a value in time");
                yield_now().await;
                if turn % 6 == 0 {
                    lease.discard();
                }
            }
        })
    });
    let tasks = Vec::from_iter(tasks);
    world.ends("all of them", join_all(tasks)).await;
    assert!(
        control.most_taken() <= 3,
        "{} at once",
        control.most_taken()
    );
    world.all_end_clean(&family, &control).await;
}

async fn b09_a_key_that_nobody_uses_is_forgotten<W: Spawning>(world: W) {
    let control = Control::default();
    let (idle, forget) = (world.tick() * 2, world.tick() * 2);
    let each = move |_, pool: PoolBuilder<_>| pool.idle_timeout(idle);
    let family = world.family(&control, each, 10, forget);
    drop(family.acquire(&1).await.expect("a value"));
    let held = family.acquire(&2).await.expect("a value");
    world
        .until("the unused key is forgotten", || family.status().len() == 1)
        .await;
    assert_eq!(family.status()[0].0, 2, "a key in use stays");
    assert_eq!(control.closed(), [1]);
    // A key that comes again is as good as new.
    drop(family.acquire(&1).await.expect("a value"));
    drop(held);
    world
        .until("both are forgotten", || family.status().is_empty())
        .await;
    assert_eq!(control.live(), 0);
    world.all_end_clean(&family, &control).await;
}

async fn b09_a_key_whose_pool_is_held_is_not_forgotten<W: Spawning>(world: W) {
    let control = Control::default();
    let family = world.family(&control, |_, pool| pool, 10, world.tick());
    let held = family.pool(&1).expect("the family is open");
    drop(family.pool(&2).expect("the family is open"));
    world
        .until("the other is forgotten", || family.status().len() == 1)
        .await;
    world.pause(4).await;
    assert_eq!(family.status()[0].0, 1);
    drop(held);
    world
        .until("it is forgotten too", || family.status().is_empty())
        .await;
    assert_eq!(control.opened(), 0);
    world.all_end_clean(&family, &control).await;
}

async fn b09_all_pools_close_together<W: Spawning>(world: W) {
    let control = Control::default();
    let each = |_, pool: PoolBuilder<_>| pool.max_size(1);
    let family = world.family(&control, each, 10, None);
    let held = family.acquire(&1).await.expect("a value");
    drop(family.acquire(&2).await.expect("a value"));
    let waiter = world.task({
        let family = family.clone();
        async move { family.acquire(&1).await.map(drop) }
    });
    world
        .until("it waits", || {
            let status = family.status();
            status.iter().any(|(_, status)| status.waiting == 1)
        })
        .await;
    // Time enough for the one that is idle; the other one is never given back.
    let reports = family.shutdown(world.tick() * 50).await;
    let still = reports
        .iter()
        .map(|(key, report)| (*key, report.still_in_use));
    assert_eq!(Vec::from_iter(still), [(1, 1), (2, 0)]);
    for outcome in [waiter.await, family.acquire(&3).await.map(drop)] {
        let closed = matches!(outcome, Err(AcquireError::Closed { .. }));
        assert!(closed, "{outcome:?}");
    }
    assert!(family.pool(&1).is_err());
    drop(held);
    world.all_end_clean(&family, &control).await;
}

async fn b09_a_family_that_is_dropped_closes_its_values<W: Spawning>(world: W) {
    let control = Control::default();
    let family = world.family(&control, |_, pool| pool, 10, None);
    drop(family.acquire(&1).await.expect("a value"));
    let held = family.acquire(&2).await.expect("a value");
    drop(family);
    world
        .until("the idle one is closed", || control.closed() == [1])
        .await;
    drop(held);
    world
        .until("the other one is too", || control.closed() == [1, 2])
        .await;
    assert_eq!(control.live(), 0);
}

async fn b09_a_lease_says_where_it_was_taken<W: Spawning>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let (sink, limit) = (recorder.sink(), world.tick());
    let each = move |_, pool: PoolBuilder<_>| pool.leak_after(limit).events(sink.clone());
    let family = world.family(&control, each, 10, None);
    let (lease, line) = (family.acquire(&1).await.expect("a value"), line!());
    let leaked = |event: &Happened| match event {
        Happened::Leaked(file, at, _) => (*file, *at) == (file!(), line),
        _ => false,
    };
    world
        .until("the leak is told", || recorder.count(leaked) == 1)
        .await;
    drop(lease);
    world.all_end_clean(&family, &control).await;
}

async fn b09_bounds_are_above_zero<W: Spawning>(world: W) {
    let pool_for: fn(&u64) -> PoolBuilder<Probe<W>> = |_| unreachable!("no key is asked for");
    let zero_values = Pool::keyed(pool_for).max_size(0).build(world.runtime());
    let zero_time = Pool::keyed(pool_for)
        .forget_after(Duration::ZERO)
        .build(world.runtime());
    let said = [zero_values, zero_time].map(|family| {
        let error = family.map(drop).expect_err("it makes no sense");
        error.to_string()
    });
    let expected = [
        "`max_size` (0) must be at least 1",
        "`forget_after` (0ns) must be above zero",
    ];
    assert_eq!(said, expected);
}

/// One tenant's bad settings are no reason to end the process that serves the others.
async fn invalid_settings_of_one_key_are_an_error_of_that_key_alone<W: Spawning>(world: W) {
    let control = Control::default();
    let each = |key, pool: PoolBuilder<_>| pool.max_size(usize::from(key != 1));
    let family = world.family(&control, each, 10, None);
    let error = family.acquire(&1).await.expect_err("no value may be open");
    let AcquireError::InvalidSettings { error: setting } = &error else {
        panic!("{error}");
    };
    assert_eq!(setting.field(), "max_size");
    let said = "the settings for this key are invalid: `max_size` (0) must be at least 1";
    assert_eq!(error.to_string(), said);
    assert!(family.pool(&1).is_err());
    assert!(family.status().is_empty(), "the key has no pool");
    drop(family.acquire(&2).await.expect("a value of another key"));
    world.all_end_clean(&family, &control).await;
}
