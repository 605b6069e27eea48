//! The event sink sees every opening, every ending, and every error that has no caller.

use tenure_core::{Ending, Retry, Why};

use super::PoolWorld;
use super::probe::{Control, Hook, Step};
use super::recorder::{Happened, Recorder};

on_every_backend! {
    p07_sink_sees_every_opening_and_every_ending,
    p07_sink_sees_attempts_and_whether_another_follows,
    p07_sink_sees_an_opening_that_is_called_off,
    p07_sink_sees_checks,
    p07_sink_sees_errors_that_nobody_waits_for,
    p07_events_say_whose_and_when,
    s02_credentials_in_a_name_never_show,
    s02_credentials_in_an_error_never_reach_the_line_of_an_event,
    s02_names_are_generated_and_differ,
}

async fn p07_sink_sees_every_opening_and_every_ending<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| pool.max_size(1).events(recorder.sink()));
    pool.acquire().await.expect("a value").discard();
    drop(pool.acquire().await.expect("a value").detach());
    drop(pool.acquire().await.expect("a value"));
    world.ends_clean(&pool, &control).await;
    let ended = |ending, why| Happened::Ended(ending, why, None);
    let expected = [
        Happened::OpenBegan(1),
        Happened::Opened(1),
        ended(Ending::Closed, Why::Broken),
        Happened::OpenBegan(1),
        Happened::Opened(1),
        ended(Ending::Detached, Why::Detached),
        Happened::OpenBegan(1),
        Happened::Opened(1),
        ended(Ending::Closed, Why::Shutdown),
    ];
    world
        .until("all was reported", || {
            recorder.records().len() == expected.len()
        })
        .await;
    // A value may be used, and end, on one thread before another has said that it was opened.
    let mut happened = recorder.happened();
    for event in expected {
        let at = happened.iter().position(|seen| *seen == event);
        happened.remove(at.unwrap_or_else(|| panic!("no {event:?}")));
    }
    let audit = pool.audit();
    let counts = (audit.opened, audit.closed, audit.detached);
    assert_eq!(counts, (3, 2, 1), "{audit}");
}

async fn p07_sink_sees_attempts_and_whether_another_follows<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.always(Hook::Open, Step::Fail("down"));
    let twice = world.quick_retries().max_retries(1);
    let pool = world.pool(&control, |pool| pool.retry(twice).events(recorder.sink()));
    assert!(pool.acquire().await.is_err());
    world
        .until("both failures were reported", || {
            recorder.records().len() == 4
        })
        .await;
    let failed = |attempt, again| Happened::OpenFailed(attempt, "down".into(), again);
    let expected = [
        Happened::OpenBegan(1),
        failed(1, true),
        Happened::OpenBegan(2),
        failed(2, false),
    ];
    assert_eq!(recorder.happened(), expected);
    let lines = Vec::from_iter(recorder.records().into_iter().map(|record| record.line));
    assert!(lines[1].contains("opening failed, attempt 1: down"));
    // From the start of the attempt to the start of the next: what that leaves of a millisecond.
    assert!(lines[1].contains("again in "), "{}", lines[1]);
    assert!(lines[3].contains("opening failed, attempt 2: down"));
    assert!(!lines[3].contains("again"), "{}", lines[3]);
    world.ends_clean(&pool, &control).await;
}

async fn p07_sink_sees_an_opening_that_is_called_off<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.always(Hook::Open, Step::Hang);
    let pool = world.pool(&control, |pool| pool.events(recorder.sink()));
    let waiter = world.waiter(&pool).await;
    world
        .until("the opening began", || control.running(Hook::Open) == 1)
        .await;
    world.ends_clean(&pool, &control).await;
    assert!(waiter.await.is_err());
    world
        .until("it was reported", || {
            recorder.happened() == [Happened::OpenBegan(1), Happened::OpenCalledOff]
        })
        .await;
}

async fn p07_sink_sees_checks<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    control.script(Hook::Check, [Step::Succeed, Step::Fail("sick")]);
    let pool = world.pool(&control, |pool| {
        let pool = pool.check_every(world.tick() * 2);
        pool.events(recorder.sink())
    });
    drop(pool.acquire().await.expect("a value"));
    let failed = Happened::CheckFailed("sick".into());
    if W::BACKGROUND {
        world
            .until("the second check failed", || {
                recorder.happened().contains(&failed)
            })
            .await;
        let passed = recorder.count(|event| *event == Happened::CheckPassed);
        assert_eq!(passed, 1);
    } else {
        world.pause(8).await;
        assert_eq!(recorder.records().len(), 2, "the opening alone");
    }
    world.ends_clean(&pool, &control).await;
}

/// A broken value's close and the refill of the minimum fail while nobody asks for anything.
async fn p07_sink_sees_errors_that_nobody_waits_for<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.min_size(1).retry(world.quick_retries());
        pool.events(recorder.sink())
    });
    pool.start().await.expect("the minimum");
    control.script(Hook::Close, [Step::Fail("it would not")]);
    control.script(Hook::Open, [Step::Fail("down")]);
    pool.acquire().await.expect("the value").discard();
    let failed = Happened::OpenFailed(1, "down".into(), true);
    let error = Some("it would not".to_owned());
    let ended = Happened::Ended(Ending::CloseFailed, Why::Broken, error);
    if W::BACKGROUND {
        world
            .until("both were reported", || {
                let happened = recorder.happened();
                happened.contains(&failed) && happened.contains(&ended)
            })
            .await;
    } else {
        let report = pool.close().await;
        assert_eq!(report.close_failed, 1, "{report}");
        assert!(recorder.happened().contains(&ended));
    }
}

async fn p07_events_say_whose_and_when<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let began_at = world.now();
    let pool = world.pool(&control, |pool| {
        pool.name("sessions").events(recorder.sink())
    });
    drop(pool.acquire().await.expect("a value"));
    world.pause(1).await;
    world.ends_clean(&pool, &control).await;
    world
        .until("the end was reported", || recorder.endings() == 1)
        .await;
    let mut before = began_at;
    for record in recorder.records() {
        assert_eq!(record.name, "sessions");
        assert!(record.line.starts_with("sessions: "), "{}", record.line);
        let at = record.at.expect("there is a clock");
        assert!(at >= before);
        before = at;
    }
    assert!(before - began_at >= world.tick());
}

async fn s02_credentials_in_a_name_never_show<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let pool = world.pool(&control, |pool| {
        let pool = pool.name("postgres://app:s3cret@db/users").max_size(1);
        pool.retry(Retry::NEVER).events(recorder.sink())
    });
    assert_eq!(pool.name().as_str(), "postgres://***@db/users");
    let mut shown = vec![format!("{pool:?}")];
    let held = pool.acquire().await.expect("a value");
    let exhausted = pool.acquire_timeout(world.tick()).await;
    let exhausted = exhausted.map(drop).expect_err("all in use");
    held.discard();
    control.always(Hook::Open, Step::Fail("down"));
    let down = pool.acquire().await.map(drop).expect_err("it is down");
    let report = pool.close().await;
    let closed = pool.acquire().await.map(drop).expect_err("it is closed");
    for error in [exhausted, down, closed] {
        shown.extend([error.to_string(), format!("{error:?}")]);
    }
    shown.extend([report.to_string(), format!("{report:?}")]);
    for record in recorder.records() {
        shown.extend([record.line, record.name]);
    }
    assert!(shown.len() > 12);
    for text in shown {
        assert!(
            !text.contains("s3cret") && text.contains("***@db"),
            "{text}"
        );
    }
}

async fn s02_credentials_in_an_error_never_reach_the_line_of_an_event<W: PoolWorld>(world: W) {
    let control = Control::default();
    let recorder = Recorder::default();
    let fault = "no route to postgres://app:s3cret@db/users";
    control.always(Hook::Open, Step::Fail(fault));
    let pool = world.pool(&control, |pool| {
        pool.retry(Retry::NEVER).events(recorder.sink())
    });
    assert!(pool.acquire().await.is_err());
    world
        .until("it was reported", || recorder.records().len() == 2)
        .await;
    let line = &recorder.records()[1].line;
    assert!(line.contains("no route to postgres://"), "{line}");
    assert!(!line.contains("s3cret"), "{line}");
}

async fn s02_names_are_generated_and_differ<W: PoolWorld>(world: W) {
    let [one, two] = [(); 2].map(|()| world.pool(&Control::default(), |pool| pool));
    assert_ne!(one.name(), two.name());
    let name = one.name().as_str();
    assert!(name.contains("Probe-"), "{name}");
}
