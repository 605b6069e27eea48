//! All finalizers are run, each in its own time, and each is told how the scope ended.

use std::panic::resume_unwind;
use std::time::Duration;

use futures::poll;
use tenure_core::{Ending, ScopeError, Why};

use super::rig::{Rig, assert_ended};
use super::{AnyScope, Plan, ScopeWorld, Step};

on_every_backend! {
    b11_finalizers_are_told_how_the_scope_ended,
    b11_finalizers_and_closes_run_in_one_order,
    s13_all_finalizers_are_run_whatever_fails,
    s13_each_finalizer_has_its_own_limit,
    b11_settings_that_make_no_sense_are_an_error,
}

/// Where time is virtual, with the numbers that users meet.
mod in_virtual_time {
    use super::*;

    where_time_is_virtual! {
        s13_a_close_and_an_opening_get_thirty_seconds_by_default,
    }

    async fn s13_a_close_and_an_opening_get_thirty_seconds_by_default<W: ScopeWorld>(world: W) {
        let rig = Rig::new(&world);
        let began = rig.now();
        let scope = rig.scope(async |s| {
            let opening = Plan::from("a").opens(Step::Hang);
            assert!(rig.open(&s, opening).await.is_err());
            assert_eq!(rig.now() - began, Duration::from_secs(30));
            rig.opens(&s, Plan::from("b").closes(Step::Hang)).await;
            Ok::<_, String>(())
        });
        let error = rig.soon(scope).await.expect_err("the close hangs");
        let report = error.report().expect("the body was run");
        assert_eq!(report.close_timed_out, 1, "{report}");
        assert_eq!(report.took, Some(Duration::from_secs(30)), "{report}");
    }
}

async fn b11_finalizers_are_told_how_the_scope_ended<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let succeeds = rig.scope(async |s| {
        rig.defer(&s, "one");
        Ok::<_, String>(())
    });
    rig.soon(succeeds).await.expect("all went well");
    let fails = rig.scope(async |s| {
        rig.defer(&s, "two");
        Err::<(), _>("no")
    });
    rig.soon(fails).await.expect_err("the body failed");
    let panics = rig.scope(async |s| {
        rig.defer(&s, "three");
        resume_unwind(Box::new("no"));
        #[expect(unreachable_code, reason = "it says what the body's type is")]
        Ok::<(), String>(())
    });
    rig.panics(rig.soon(panics)).await;
    assert_eq!(
        rig.ends(),
        ["one succeeded", "two failed", "three panicked"]
    );

    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let mut cancelled = Box::pin(rig.scope(|s| async {
            rig.defer(handle.insert(s), "four");
            std::future::pending::<Result<(), String>>().await
        }));
        assert!(poll!(cancelled.as_mut()).is_pending());
    }
    let s = handle.expect("the body began");
    let (run, dropped) = if W::HAS_RUNNER { (1, 0) } else { (0, 1) };
    rig.until("it is accounted for", || {
        let audit = s.audit();
        (audit.finalized, audit.finalize_dropped) == (run, dropped)
    })
    .await;
    assert_eq!(rig.told.has("four cancelled"), W::HAS_RUNNER);
}

async fn b11_finalizers_and_closes_run_in_one_order<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        rig.defer(&s, "b");
        rig.opens(&s, Plan::from("c").closes(Step::Take(rig.ticks(1))))
            .await;
        rig.defer(&s, Plan::from("d").closes(Step::Take(rig.ticks(1))));
        Ok::<_, String>(())
    });
    rig.soon(scope).await.expect("all went well");
    let told = rig.told.all();
    let wanted = [
        "d succeeded",
        "close c",
        "closed c",
        "b succeeded",
        "close a",
        "closed a",
    ];
    assert_eq!(told[2..], wanted);
}

async fn s13_all_finalizers_are_run_whatever_fails<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let builder = rig.builder().close_timeout(rig.ticks(2));
    let scope = world.scope(builder, async |s| {
        rig.opens(&s, "a").await;
        for (value, deferred, step) in [
            ("fails", "and fails", Step::Fail),
            ("panics", "and panics", Step::Panic),
            ("hangs", "and hangs", Step::Hang),
        ] {
            rig.opens(&s, Plan::from(value).closes(step.clone())).await;
            rig.defer(&s, Plan::from(deferred).closes(step));
        }
        rig.defer(&s, "last");
        Ok::<_, String>(s)
    });
    let error = rig.soon(scope).await.expect_err("the cleanup failed");
    assert_eq!(
        rig.ends(),
        [
            "last succeeded",
            "and hangs succeeded",
            "close hangs",
            "and panics succeeded",
            "close panics",
            "and fails succeeded",
            "close fails",
            "close a"
        ]
    );
    let ScopeError::Cleanup { value: s, report } = error else {
        panic!("{error:?}");
    };
    let closes = (report.closed, report.close_failed, report.close_timed_out);
    assert_eq!(closes, (1, 2, 1), "{report}");
    assert_eq!(
        (report.finalized, report.finalize_failed),
        (1, 3),
        "{report}"
    );
    let endings: Vec<_> = report
        .failures
        .iter()
        .map(|failure| failure.ending)
        .collect();
    use Ending::{CloseFailed, CloseTimedOut};
    let wanted = [
        CloseTimedOut,
        CloseTimedOut,
        CloseFailed,
        CloseFailed,
        CloseFailed,
        CloseFailed,
    ];
    assert_eq!(endings, wanted);
    assert!(
        report
            .failures
            .iter()
            .all(|failure| failure.why == Why::ScopeEnded)
    );
    let name = report.failures[1]
        .name
        .as_ref()
        .expect("a scope names them");
    assert!(
        name.as_str().starts_with("scope/") && name.as_str().ends_with("Thing"),
        "{name}"
    );
    rig.assert_event(
        "scope/finalizer at ",
        "finalizer failed: panicked: as planned",
    );
    rig.assert_event(name.as_str(), "close failed (scope ended): refused");
    assert_ended(s.audit());
}

async fn s13_each_finalizer_has_its_own_limit<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let builder = rig.builder().close_timeout(rig.ticks(4));
    let scope = world.scope(builder, async |s| {
        // Together they take longer than one may.
        for name in ["a", "b", "c"] {
            let slow = Plan::from(name).closes(Step::Take(rig.ticks(2)));
            if W::VIRTUAL_TIME {
                rig.opens(&s, slow).await;
            } else {
                rig.opens(&s, name).await;
            }
        }
        rig.defer(&s, Plan::from("d").closes(Step::Hang));
        Ok::<_, String>(())
    });
    let began = rig.now();
    let error = rig.soon(scope).await.expect_err("one hangs");
    let report = error.report().expect("the body was run");
    assert_eq!((report.closed, report.finalize_failed), (3, 1), "{report}");
    assert!(rig.now() - began >= rig.ticks(4));
    if W::VIRTUAL_TIME {
        assert_eq!(report.took, Some(rig.ticks(10)), "{report}");
    }
}

async fn b11_settings_that_make_no_sense_are_an_error<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    for (field, builder) in [
        ("close_timeout", rig.builder().close_timeout(Duration::ZERO)),
        ("open_timeout", rig.builder().open_timeout(Duration::ZERO)),
    ] {
        let scope = world.scope(builder, |_| async {
            unreachable!("it is not run") as Result<(), String>
        });
        let error = rig.soon(scope).await.expect_err("it makes no sense");
        let ScopeError::Config { error } = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.field(), field);
    }
}
