//! One limit covers all that an acquire may have to do: wait, open, check, run hooks.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::{join, poll};
use tenure_core::AcquireError;
use tenure_core::pool::CheckOnAcquire;

use super::probe::{Control, Hook, Step};
use super::{PoolOf, PoolWorld};

on_every_backend! {
    b06_one_limit_covers_queue_opening_and_hooks,
    b06_a_check_that_hangs_ends_with_its_caller_and_takes_no_other_value,
    b06_a_hook_that_hangs_ends_with_its_caller,
    b06_checks_that_hang_share_one_limit,
    b06_who_has_no_time_begins_no_check,
    b06_who_is_late_leaves_what_it_was_handed_to_the_next,
    b06_a_limit_for_several_covers_their_checks,
}

/// Each part takes less than the limit, and all together more.
async fn b06_one_limit_covers_queue_opening_and_hooks<W: PoolWorld>(world: W) {
    for owned in [false, true] {
        let control = Control::default();
        let part = world.tick() * 2;
        let pool = world.hooked_pool(&control, |pool| pool.max_size(1).hook_timeout(None));
        let held = pool.acquire().await.expect("a value");
        control.script(Hook::Open, [Step::Slow(part)]);
        control.script(Hook::AfterOpen, [Step::Slow(part)]);
        control.script(Hook::BeforeAcquire, [Step::Hang]);
        let (limit, began_at) = (world.tick() * 8, world.now());
        let frees_the_slot = async {
            world.sleep(part).await;
            held.discard();
        };
        let acquire = async {
            if owned {
                pool.acquire_owned_timeout(limit).await.map(drop)
            } else {
                pool.acquire_timeout(limit).await.map(drop)
            }
        };
        let (outcome, ()) = join!(acquire, frees_the_slot);
        let error = outcome.expect_err("its last hook hangs");
        world.took(began_at, limit);
        if W::VIRTUAL_TIME {
            let AcquireError::Rejected {
                waited, rejected, ..
            } = error
            else {
                panic!("{error}");
            };
            assert!(waited >= limit && rejected == 1, "{waited:?}");
            assert_eq!(control.cut_off(Hook::BeforeAcquire), 1);
        }
        world.ends_clean(&pool, &control).await;
    }
}

/// A pool with this many idle values, which are checked before they are lent.
async fn checked<W: PoolWorld>(
    world: &W,
    control: &Control,
    idle: usize,
    check_timeout: Option<Duration>,
) -> PoolOf<W> {
    let pool = world.pool(control, |pool| {
        let pool = pool
            .check_every(None)
            .check_on_acquire(CheckOnAcquire::Always);
        pool.max_size(idle).check_timeout(check_timeout)
    });
    drop(pool.acquire_many(idle).await.expect("the values"));
    assert_eq!(pool.status().idle, idle);
    pool
}

async fn b06_a_check_that_hangs_ends_with_its_caller_and_takes_no_other_value<W: PoolWorld>(
    world: W,
) {
    let control = Control::default();
    let pool = checked(&world, &control, 3, None).await;
    control.always(Hook::Check, Step::Hang);
    let (limit, began_at) = (world.tick() * 2, world.now());
    let error = pool.acquire_timeout(limit).await.expect_err("it hangs");
    world.took(began_at, limit);
    let status = pool.status();
    // They are checked in the background now, since one like them did not answer.
    let others = status.idle + status.checking;
    assert!(others >= 2, "the others are good: {status}");
    if let AcquireError::Rejected {
        rejected, cause, ..
    } = &error
    {
        assert_eq!((*rejected, others), (1, 2), "{error}; {status}");
        assert!(cause.to_string().contains("timed out"), "{cause}");
    } else {
        // A slow machine may leave it no time for even one.
        assert!(!W::VIRTUAL_TIME, "{error}");
    }
    control.always(Hook::Check, Step::Succeed);
    assert!(pool.acquire().await.is_ok());
    world.ends_clean(&pool, &control).await;
}

async fn b06_a_hook_that_hangs_ends_with_its_caller<W: PoolWorld>(world: W) {
    for hook in [Hook::BeforeAcquire, Hook::AfterOpen] {
        let control = Control::default();
        let limit = world.tick() * 2;
        let pool = world.hooked_pool(&control, |pool| {
            pool.hook_timeout(None).acquire_timeout(limit)
        });
        control.always(hook, Step::Hang);
        let began_at = world.now();
        let error = pool.acquire().await.expect_err("its hook hangs");
        world.took(began_at, limit);
        let as_meant = match error {
            AcquireError::Rejected { .. } => hook == Hook::BeforeAcquire,
            AcquireError::OpenPending { .. } => hook == Hook::AfterOpen || !W::VIRTUAL_TIME,
            _ => false,
        };
        assert!(as_meant, "{hook:?}: {error}");
        world.ends_clean(&pool, &control).await;
    }
}

async fn b06_checks_that_hang_share_one_limit<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = checked(&world, &control, 4, Some(world.tick() * 2)).await;
    control.always(Hook::Check, Step::Hang);
    let (limit, began_at) = (world.tick() * 5, world.now());
    let error = pool.acquire_timeout(limit).await.expect_err("all hang");
    world.took(began_at, limit);
    if W::VIRTUAL_TIME {
        let AcquireError::Rejected { rejected, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(rejected, 3, "{}", pool.status());
        // The fourth was checked in the background, since others like it did not answer, and closed as they were.
        let status = pool.status();
        assert_eq!((status.idle, status.in_use), (0, 0), "{status}");
    }
    world.ends_clean(&pool, &control).await;
}

/// A check that has no time would be cut off, and the value with it.
async fn b06_who_has_no_time_begins_no_check<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = checked(&world, &control, 2, None).await;
    control.always(Hook::Check, Step::Hang);
    let begun = control.begun(Hook::Check);
    assert!(pool.acquire_timeout(Duration::ZERO).await.is_err());
    assert!(pool.try_acquire().is_none(), "a check takes time");
    assert_eq!(control.begun(Hook::Check), begun);
    assert_eq!(pool.status().idle, 2, "{}", pool.status());
    world.ends_clean(&pool, &control).await;
}

async fn b06_who_is_late_leaves_what_it_was_handed_to_the_next<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool
            .check_every(None)
            .check_on_acquire(CheckOnAcquire::Always);
        pool.max_size(1).check_timeout(None)
    });
    let held = pool.acquire().await.expect("a value");
    let mut late = pin!(pool.acquire_timeout(world.tick()));
    let mut patient = pin!(pool.acquire());
    assert!(poll!(late.as_mut()).is_pending());
    assert!(poll!(patient.as_mut()).is_pending());
    world.pause(2).await;
    drop(held);
    control.script(Hook::Check, [Step::Slow(world.tick())]);
    let Poll::Ready(Err(error)) = poll!(late.as_mut()) else {
        panic!("its time is over");
    };
    assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
    assert_eq!(patient.await.expect("what the other was handed").id, 1);
    assert_eq!(control.closed(), []);
    world.ends_clean(&pool, &control).await;
}

async fn b06_a_limit_for_several_covers_their_checks<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = checked(&world, &control, 3, None).await;
    control.script(Hook::Check, [Step::Succeed]);
    control.always(Hook::Check, Step::Hang);
    let (limit, began_at) = (world.tick() * 3, world.now());
    let outcome = pool.acquire_many_timeout(3, limit).await;
    let error = outcome.expect_err("the second check hangs");
    world.took(began_at, limit);
    let status = pool.status();
    assert!(status.idle >= 2, "all or none: {status}");
    if W::VIRTUAL_TIME {
        let AcquireError::Rejected { rejected, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((rejected, status.idle), (1, 2), "{status}");
    }
    world.ends_clean(&pool, &control).await;
}
