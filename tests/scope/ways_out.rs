//! A scope closes what was opened in it on every way out.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::Duration;

use futures::poll;
use tenure_core::{ScopeError, Timer};

use super::rig::{Rig, assert_ended};
use super::{AnyGuard, AnyScope, Plan, ScopeWorld, Step, Value};

on_every_executor! {
    s13_closed_in_reverse_on_success,
    s13_closed_in_reverse_on_error,
    s13_closed_in_reverse_on_panic_which_then_goes_on,
    s13_closed_in_reverse_on_cancellation,
    s13_closed_in_reverse_when_its_time_is_over,
    s13_a_body_that_ends_in_time_is_not_cut_off,
    s13_a_body_that_panics_before_its_first_await_is_a_body_that_panics,
    s13_never_polled_scope_does_nothing,
    s13_body_may_borrow,
    s13_value_dropped_early_is_closed_at_its_turn,
    s13_guard_shows_the_value,
    s13_detached_value_is_its_users_to_close,
    s13_nested_scopes_close_inside_out,
    s13_scope_dropped_while_it_finalizes_goes_on,
}

const REVERSED: [&str; 3] = ["close c", "close b", "close a"];

async fn s13_closed_in_reverse_on_success<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        for name in ["a", "b", "c"] {
            rig.opens(&s, name).await;
        }
        assert_eq!(s.audit().idle, 3);
        Ok::<_, String>(s)
    });
    let s = rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends(), REVERSED);
    assert_eq!(s.audit().closed, 3);
    assert_ended(s.audit());
}

async fn s13_closed_in_reverse_on_error<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let held = rig.open(&s, "a").await.expect("it opens");
        rig.opens(&s, "b").await;
        rig.opens(&s, "c").await;
        Err::<(), _>(held.name())
    });
    let error = rig.soon(scope).await.expect_err("the body failed");
    assert_eq!(rig.ends(), REVERSED);
    let ScopeError::Body { error, report } = error else {
        panic!("{error:?}");
    };
    assert_eq!(error, "a");
    assert!(report.is_clean() && report.closed == 3, "{report}");
}

async fn s13_closed_in_reverse_on_panic_which_then_goes_on<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let _held = rig.open(&s, "a").await;
        rig.opens(&s, "b").await;
        let _held = rig.open(&s, "c").await;
        // Unwinds as a panic does, without the hook that prints.
        resume_unwind(Box::new("the body's"));
        #[expect(unreachable_code, reason = "it says what the body's type is")]
        Ok::<(), String>(())
    });
    assert_eq!(rig.panics(rig.soon(scope)).await, "the body's");
    assert_eq!(rig.ends(), REVERSED);
}

async fn s13_closed_in_reverse_when_its_time_is_over<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let limit = world.tick() * 2;
    let settings = rig.builder().timeout(limit);
    let began_at = world.runtime().now();
    let scope = world.scope(settings, async |s| {
        let _held = rig.open(&s, "a").await;
        rig.opens(&s, "b").await;
        rig.defer(&s, "c");
        pending::<Result<(), String>>().await
    });
    let error = rig.soon(scope).await.expect_err("it was cut off");
    assert!(world.runtime().now() >= began_at + limit);
    assert_eq!(rig.ends(), ["c cancelled", "close b", "close a"]);
    assert_eq!(
        error.to_string(),
        format!("scope timed out after {limit:?}")
    );
    let ScopeError::TimedOut { report, .. } = error else {
        panic!("{error:?}");
    };
    assert!(report.is_clean() && report.closed == 2, "{report}");
}

async fn s13_a_body_that_ends_in_time_is_not_cut_off<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let settings = rig.builder().timeout(world.tick() * 1000);
    let scope = world.scope(settings, async |s| {
        rig.opens(&s, "a").await;
        Ok::<_, String>(3)
    });
    assert_eq!(rig.soon(scope).await.expect("all went well"), 3);
    let settings = rig.builder().timeout(Duration::ZERO);
    let scope = world.scope(settings, async |_| Ok::<_, String>(3));
    let error = rig.soon(scope).await.expect_err("it makes no sense");
    assert!(error.to_string().contains("timeout"), "{error}");
}

async fn s13_closed_in_reverse_on_cancellation<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let scope = rig.scope(async |s| {
            let s = handle.insert(s);
            let _held = rig.open(s, "a").await;
            rig.opens(s, "b").await;
            let _held = rig.open(s, "c").await;
            std::future::pending::<Result<(), String>>().await
        });
        let mut scope = Box::pin(scope);
        assert!(poll!(scope.as_mut()).is_pending());
        assert!(rig.told.has("open c"));
    }
    let s = handle.expect("the body began");
    rig.until_ended(&s).await;
    if W::HAS_RUNNER {
        assert_eq!(rig.ends(), REVERSED);
    } else {
        let abandoned = ["c", "b", "a"].map(|name| format!("abandon {name} (scope cancelled)"));
        assert_eq!(rig.ends(), abandoned);
    }
    assert_ended(s.audit());
}

async fn s13_a_body_that_panics_before_its_first_await_is_a_body_that_panics<W: ScopeWorld>(
    world: W,
) {
    let rig = Rig::new(&world);
    let scope = rig.scope(|s| {
        rig.defer(&s, "a");
        resume_unwind(Box::new("at once"));
        #[expect(unreachable_code, reason = "it says what the body's type is")]
        std::future::ready(Ok::<(), String>(()))
    });
    assert_eq!(rig.panics(rig.soon(scope)).await, "at once");
    assert_eq!(rig.ends(), ["a panicked"]);
}

async fn s13_never_polled_scope_does_nothing<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    drop(rig.scope(|_| async { unreachable!("it is never polled") as Result<(), String> }));
    assert!(rig.told.all().is_empty() && rig.events().is_empty());
}

async fn s13_body_may_borrow<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let words = [String::from("one"), String::from("two")];
    let mut count = 0;
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        count += words.len();
        Ok::<_, String>(words[1].as_str())
    });
    assert_eq!(rig.soon(scope).await.expect("all went well"), "two");
    assert_eq!(count, 2);
}

async fn s13_value_dropped_early_is_closed_at_its_turn<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let early = rig.open(&s, "a").await.expect("it opens");
        let late = rig.open(&s, "b").await.expect("it opens");
        drop(early);
        let audit = s.audit();
        assert_eq!((audit.idle, audit.in_use), (1, 1), "{audit}");
        assert!(rig.ends().is_empty());
        drop(late);
        Ok::<_, String>(())
    });
    rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends(), ["close b", "close a"]);
}

async fn s13_guard_shows_the_value<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let mut held = rig.open(&s, "a").await.expect("it opens");
        held.use_it();
        Ok::<_, String>(held.use_it())
    });
    assert_eq!(rig.soon(scope).await.expect("all went well"), 2);
}

async fn s13_detached_value_is_its_users_to_close<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let kept = rig.open(&s, "a").await.expect("it opens");
        rig.opens(&s, "b").await;
        let value = kept.detach();
        let audit = s.audit();
        assert_eq!((audit.detached, audit.live()), (1, 1));
        Ok::<_, String>((s, value))
    });
    let (s, value) = rig.soon(scope).await.expect("all went well");
    assert_eq!(
        (value.name(), rig.ends()),
        ("a", vec![String::from("close b")])
    );
    let audit = s.audit();
    assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
}

async fn s13_nested_scopes_close_inside_out<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let outer = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        let inner = rig.scope(async |s| {
            rig.opens(&s, "b").await;
            Ok::<_, String>(())
        });
        inner.await.expect("all went well");
        assert_eq!(rig.ends(), ["close b"]);
        rig.opens(&s, "c").await;
        Ok::<_, String>(())
    });
    rig.soon(outer).await.expect("all went well");
    assert_eq!(rig.ends(), ["close b", "close c", "close a"]);
}

/// What is under way when the future is dropped is not cut off, where there is somebody to go on with it.
async fn s13_scope_dropped_while_it_finalizes_goes_on<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let (gate, waits) = Step::gated();
    let mut handle = None;
    {
        let scope = rig.scope(async |s| {
            let s = handle.insert(s);
            rig.defer(s, "first");
            rig.opens(s, "a").await;
            rig.opens(s, Plan::from("b").closes(waits)).await;
            Ok::<_, String>(())
        });
        let mut scope = Box::pin(scope);
        assert!(poll!(scope.as_mut()).is_pending());
        assert_eq!(rig.ends(), ["close b"]);
    }
    drop(gate);
    let s = handle.expect("the body began");
    rig.until_ended(&s).await;
    rig.until("the finalizer is accounted for", || {
        let audit = s.audit();
        audit.finalized + audit.finalize_dropped == 1
    })
    .await;
    let audit = s.audit();
    if W::HAS_RUNNER {
        assert_eq!(rig.ends(), ["close b", "close a", "first succeeded"]);
        assert_eq!((audit.closed, audit.finalized), (2, 1), "{audit}");
    } else {
        assert_eq!(rig.ends(), ["close b", "abandon a (scope ended)"]);
        assert_eq!((audit.abandoned, audit.finalize_dropped), (2, 1), "{audit}");
    }
    assert_ended(audit);
}
