//! Retries around an acquire, and what they make of the pool's own: N12.

use tenure_core::{AcquireError, Backoff, Jitter, Retry, StopReason, retry};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};

on_every_backend! {
    n12_a_retry_around_an_acquire_counts_the_attempts_to_open,
    n12_a_retry_around_a_start_counts_the_attempts_to_open,
}

/// So many attempts, the first included.
fn attempts<W: PoolWorld>(world: &W, number: u32) -> Retry {
    let delay = Backoff::constant(world.tick() / 4).jitter(Jitter::None);
    Retry::new(delay).max_retries(number - 1)
}

async fn n12_a_retry_around_an_acquire_counts_the_attempts_to_open<W: PoolWorld>(world: W) {
    // The pool's attempts, and how often an outer retry of five makes them.
    for (opening, made) in [(4, 1), (3, 2), (1, 5)] {
        let control = Control::default();
        control.always(Hook::Open, Step::Fail("no route"));
        let pool = world.pool(&control, |pool| {
            pool.max_size(1).retry(attempts(&world, opening))
        });
        let acquire = async || pool.acquire().await.map(drop);
        let outcome = retry(&world.runtime(), attempts(&world, 5), acquire).await;
        let error = outcome.expect_err("no route");
        assert!(matches!(
            error.cause(),
            Some(AcquireError::BackendDown { .. })
        ));
        assert_eq!(error.attempts(), made, "of {opening}");
        assert_eq!(control.begun(Hook::Open), (made * opening) as usize);
        world.ends_clean(&pool, &control).await;
    }
}

async fn n12_a_retry_around_a_start_counts_the_attempts_to_open<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Fail("no route"));
    let pool = world.pool(&control, |pool| {
        pool.min_size(1).max_size(1).retry(attempts(&world, 4))
    });
    let start = async || pool.start().await;
    let outcome = retry(&world.runtime(), attempts(&world, 5), start).await;
    let error = outcome.expect_err("no route");
    assert_eq!((error.attempts(), error.reason()), (1, StopReason::Nested));
    world.ends_clean(&pool, &control).await;
}
