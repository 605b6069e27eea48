//! A setting that makes no sense is an error that names the field and both values, whatever builds it.

use std::time::Duration;

use tenure_core::config::ConfigValue;
use tenure_core::pool::PoolBuilder;
use tenure_core::{Backoff, ConfigError, Pool, Retry};

use super::PoolWorld;
use super::probe::{Control, Hook};

on_every_backend! {
    s09_bad_settings_name_the_field_and_both_values,
    s09_edge_settings_are_accepted,
    s09_bad_settings_run_nothing,
}

const MILLI: Duration = Duration::from_millis(1);
const ZERO: Duration = Duration::ZERO;

async fn s09_bad_settings_name_the_field_and_both_values<W: PoolWorld>(world: W) {
    let error = refused(&world, |pool| pool.min_size(5).max_size(3));
    assert_eq!(error.to_string(), "`min_size` (5) is above `max_size` (3)");
    assert_eq!(error.field(), "min_size");
    assert_eq!(error.value(), ConfigValue::Count(5));
    assert_eq!(error.limit(), Some(("max_size", ConfigValue::Count(3))));

    let error = refused(&world, |pool| pool.min_size(11));
    assert_eq!(
        error.to_string(),
        "`min_size` (11) is above `max_size` (10)"
    );

    let error = refused(&world, |pool| pool.max_size(0));
    assert_eq!(error.to_string(), "`max_size` (0) must be at least 1");

    let error = refused(&world, |pool| pool.idle_timeout(ZERO));
    assert_eq!(error.to_string(), "`idle_timeout` (0ns) must be above zero");
    let error = refused(&world, |pool| pool.check_every(ZERO));
    assert_eq!(error.to_string(), "`check_every` (0ns) must be above zero");
    let error = refused(&world, |pool| pool.check_timeout(ZERO));
    assert_eq!(
        error.to_string(),
        "`check_timeout` (0ns) must be above zero"
    );
    let error = refused(&world, |pool| pool.open_timeout(ZERO));
    assert_eq!(error.to_string(), "`open_timeout` (0ns) must be above zero");
    let error = refused(&world, |pool| pool.close_timeout(ZERO));
    assert_eq!(
        error.to_string(),
        "`close_timeout` (0ns) must be above zero"
    );

    let capped = Backoff::exponential(2 * MILLI).cap(MILLI);
    let error = refused(&world, |pool| pool.retry(Retry::new(capped)));
    let said = "`backoff.cap` (1ms) is below `backoff.base` (2ms)";
    assert_eq!(error.to_string(), said);
    let error = refused(&world, |pool| pool.retry(Retry::DEFAULT.deadline(ZERO)));
    assert_eq!(
        error.to_string(),
        "`retry.deadline` (0ns) must be above zero"
    );
}

async fn s09_edge_settings_are_accepted<W: PoolWorld>(world: W) {
    type Set<R> = fn(PoolBuilder<R>) -> PoolBuilder<R>;
    let settings: [Set<W::Probe>; 5] = [
        |pool| pool.min_size(3).max_size(3),
        |pool| pool.max_size(1),
        |pool| pool.acquire_timeout(ZERO),
        |pool| pool.idle_timeout(Duration::MAX).check_every(Duration::MAX),
        |pool| {
            let pool = pool.idle_timeout(None).check_every(None);
            let pool = pool.open_timeout(None).check_timeout(None);
            pool.close_timeout(None).acquire_timeout(None)
        },
    ];
    for set in settings {
        let control = Control::default();
        let pool = world.pool(&control, set);
        pool.start().await.expect("the minimum");
        assert!(world.ends("the stop", pool.close()).await.is_clean());
    }
}

async fn s09_bad_settings_run_nothing<W: PoolWorld>(world: W) {
    let control = Control::default();
    let bad = Pool::builder(world.probe(&control)).min_size(2).max_size(1);
    assert!(world.build(bad).is_err());
    world.pause(1).await;
    assert_eq!(control.begun(Hook::Open), 0);
}

/// What both ways to build in this world say of the settings.
fn refused<W: PoolWorld>(
    world: &W,
    set: impl Fn(PoolBuilder<W::Probe>) -> PoolBuilder<W::Probe>,
) -> ConfigError {
    let bad = || set(Pool::builder(world.probe(&Control::default())));
    let by_hand = bad().build_with_runner(world.runtime()).map(drop);
    let spawned = world.build(bad()).map(drop);
    assert_eq!(by_hand, spawned);
    spawned.expect_err("the settings make no sense")
}
