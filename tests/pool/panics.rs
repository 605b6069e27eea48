//! A panic in the user's code ends what it was doing, and poisons nothing.

use std::sync::Arc;

use tenure_core::{
    AcquireError, Ending, ErrorClass, Event, Failure, LocalResource, NoTimer, Panicked, Pool,
    Retry, Why,
};

use super::PoolWorld;
use super::probe::{Condition, Control, Hook, Step};
use super::recorder::{Happened, Recorder};

on_every_backend! {
    p05_panic_in_open_counts_as_a_failed_attempt,
    p05_panic_in_open_is_the_cause_of_the_error,
    p05_panic_in_close_is_a_failed_close,
    p05_panic_in_check_is_a_failed_check,
    p05_panic_in_is_broken_closes_the_value,
    p07_panic_in_is_broken_reaches_the_event_sink,
    p05_panic_in_abandon_and_classify_is_contained,
    p05_panic_in_the_event_sink_is_contained,
}

async fn p05_panic_in_open_counts_as_a_failed_attempt<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Open, [Step::Panic, Step::Panic]);
    let pool = world.pool(&control, |pool| pool.retry(world.quick_retries()));
    assert_eq!(pool.acquire().await.expect("the third attempt").id, 1);
    assert_eq!(pool.audit().open_failed, 2);
    world.ends_clean(&pool, &control).await;
}

async fn p05_panic_in_open_is_the_cause_of_the_error<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.always(Hook::Open, Step::Panic);
    let pool = world.pool(&control, |pool| pool.retry(Retry::NEVER));
    let error = pool.acquire().await.expect_err("it panics");
    let AcquireError::BackendDown { failure, .. } = error else {
        panic!("{error}");
    };
    let panicked = failure.cause.downcast_ref::<Panicked>();
    let message = panicked.expect("the panic itself").message();
    assert_eq!(message, "the probe panics in its Open");
    world.ends_clean(&pool, &control).await;
}

async fn p05_panic_in_close_is_a_failed_close<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Close, [Step::Panic]);
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    pool.acquire().await.expect("a value").discard();
    assert_eq!(pool.acquire().await.expect("the slot").id, 2);
    assert_eq!(pool.audit().close_failed, 1);
    let said = Some("panicked: the probe panics in its Close".to_owned());
    let ended = Happened::Ended(Ending::CloseFailed, Why::Broken, said);
    world
        .until("it was reported", || recorder.happened().contains(&ended))
        .await;
    world.ends_clean(&pool, &control).await;
}

async fn p05_panic_in_check_is_a_failed_check<W: PoolWorld>(world: W) {
    let control = Control::default();
    control.script(Hook::Check, [Step::Panic]);
    let pool = world.pool(&control, |pool| {
        pool.min_size(1).check_every(world.tick() * 2)
    });
    pool.start().await.expect("the minimum");
    if W::BACKGROUND {
        world
            .until("the checks go on, on another value", || {
                control.checked().iter().any(|(id, _)| *id == 2)
            })
            .await;
        assert_eq!(control.closed(), [1]);
    } else {
        world.pause(4).await;
        assert_eq!(control.begun(Hook::Check), 0);
    }
    world.ends_clean(&pool, &control).await;
}

async fn p05_panic_in_is_broken_closes_the_value<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| pool.max_size(1));
    let mut lease = pool.acquire().await.expect("a value");
    lease.condition = Condition::PanicsWhenAsked;
    drop(lease);
    assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    assert_eq!(control.closed(), [1]);
    world.ends_clean(&pool, &control).await;
}

async fn p07_panic_in_is_broken_reaches_the_event_sink<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    let mut lease = pool.acquire().await.expect("a value");
    lease.condition = Condition::PanicsWhenAsked;
    drop(lease);
    assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    world.ends_clean(&pool, &control).await;
    let told = recorder.records().into_iter().any(|record| {
        let line = record.line;
        line.contains("the probe panics when asked")
    });
    assert!(told, "the panic is swallowed: {:?}", recorder.happened());
}

/// Panics where nobody waits for an answer, and where its own error is asked about.
struct Rude;

impl LocalResource for Rude {
    type Value = bool;
    type Error = String;

    async fn open(&self) -> Result<bool, String> {
        Err("refused".into())
    }

    fn classify(&self, _: Failure<'_, String>) -> ErrorClass {
        panic!("a panic in classify")
    }
}

struct Clinging;

impl LocalResource for Clinging {
    type Value = ();
    type Error = String;

    async fn open(&self) -> Result<(), String> {
        Ok(())
    }

    fn abandon(&self, (): (), _: Why) {
        panic!("a panic in abandon")
    }
}

async fn p05_panic_in_abandon_and_classify_is_contained<W: PoolWorld>(_: W) {
    let recorder = Recorder::default();
    let pool = Pool::builder(Rude).retry(Retry::NEVER);
    let (pool, _runner) = pool.build_with_runner(NoTimer).expect("a pool");
    let error = pool.acquire().await.expect_err("it is refused");
    assert!(matches!(error, AcquireError::BackendDown { .. }), "{error}");

    let pool = Pool::builder(Clinging).events(recorder.sink());
    let (pool, runner) = pool.build_with_runner(NoTimer).expect("a pool");
    drop(runner);
    drop(pool.acquire().await.expect("a value"));
    drop(pool);
    let said = Some("panicked: a panic in abandon".to_owned());
    let ended = Happened::Ended(Ending::Abandoned, Why::HandlesDropped, said);
    assert_eq!(recorder.happened().last(), Some(&ended));
}

async fn p05_panic_in_the_event_sink_is_contained<W: PoolWorld>(world: W) {
    let control = Control::default();
    let pool = world.pool(&control, |pool| {
        pool.events(Arc::new(|event: &Event<'_>| {
            panic!("the sink panics at: {event}")
        }))
    });
    assert_eq!(pool.acquire().await.expect("a value").id, 1);
    pool.acquire().await.expect("the value").discard();
    assert_eq!(pool.acquire().await.expect("a new value").id, 2);
    world.ends_clean(&pool, &control).await;
}
