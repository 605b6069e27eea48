//! What was dropped without being awaited is counted, named and closed; where nothing can close it, it is
//! abandoned.

use std::future::pending;
use std::panic::resume_unwind;

use futures::poll;
use tenure_core::scope::ScopeBuilder;
use tenure_core::{LocalScope, NoTimer};

use super::rig::{Rig, assert_ended};
use super::{AnyScope, Plan, ScopeWorld, Step};
use crate::worlds::World;

on_every_backend! {
    n10_dropped_scope_is_counted_named_and_closed_by_the_runner,
    n10_without_a_spawner_a_dropped_scope_is_abandoned_in_order,
    n10_without_a_spawner_a_close_under_way_is_cut_off,
    n10_without_a_timer_a_scope_closes_all_the_same,
    n10_panic_that_reaches_nobody_is_told,
}

async fn n10_dropped_scope_is_counted_named_and_closed_by_the_runner<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let mut scope = Box::pin(rig.scope(async |s| {
            let s = handle.insert(s);
            rig.opens(s, "a").await;
            rig.opens(s, Plan::from("b").closes(Step::Fail)).await;
            let _held = rig.open(s, "c").await;
            rig.defer(s, "d");
            pending::<Result<(), String>>().await
        }));
        assert!(poll!(scope.as_mut()).is_pending());
    }
    let s = handle.expect("the body began");
    rig.until_ended(&s).await;
    let audit = s.audit();
    if W::HAS_RUNNER {
        assert_eq!(rig.ends(), ["d cancelled", "close c", "close b", "close a"]);
        assert_eq!(
            (audit.closed, audit.close_failed, audit.finalized),
            (2, 1, 1)
        );
        rig.assert_event("scope/", "Thing: closed (scope cancelled)");
        rig.assert_event("scope/", "Thing: close failed (scope cancelled): refused");
        rig.assert_event("scope/finalizer at ", ": finalized");
    } else {
        assert_eq!((audit.abandoned, audit.finalize_dropped), (3, 1), "{audit}");
        rig.assert_event("scope/", "Thing: abandoned (scope cancelled)");
        rig.assert_event("scope/finalizer at ", ": finalizer dropped");
    }
    assert_ended(audit);
}

type Inline<W> = LocalScope<<W as World>::Runtime>;

async fn open<W: ScopeWorld>(rig: &Rig<W>, s: &Inline<W>, plan: impl Into<Plan>) {
    let opened = AnyScope::open(s, plan.into(), &rig.told, rig.world.runtime());
    drop(opened.await.expect("it opens"));
}

async fn n10_without_a_spawner_a_dropped_scope_is_abandoned_in_order<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let scope = rig.builder().run_inline(&world.runtime(), async |s| {
            let s = handle.insert(s);
            open(&rig, s, "a").await;
            let child = s.scope(async |child| {
                open(&rig, &child, "b").await;
                AnyScope::defer(&child, "c".into(), &rig.told, world.runtime());
                open(&rig, &child, "d").await;
                pending::<Result<(), String>>().await
            });
            child.await.map_err(|error| error.to_string())
        });
        let mut scope = Box::pin(scope);
        assert!(poll!(scope.as_mut()).is_pending());
    }
    let s = handle.expect("the body began");
    let abandoned = ["d", "b", "a"].map(|name| format!("abandon {name} (scope cancelled)"));
    assert_eq!(rig.ends(), abandoned);
    let audit = s.audit();
    assert_eq!((audit.abandoned, audit.finalize_dropped), (3, 1), "{audit}");
    assert_ended(audit);
}

async fn n10_without_a_spawner_a_close_under_way_is_cut_off<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let scope = rig.builder().run_inline(&world.runtime(), async |s| {
            let s = handle.insert(s);
            open(&rig, s, "a").await;
            open(&rig, s, Plan::from("b").closes(Step::Hang)).await;
            Ok::<_, String>(())
        });
        let mut scope = Box::pin(scope);
        assert!(poll!(scope.as_mut()).is_pending());
        assert_eq!(rig.ends(), ["close b"]);
    }
    assert!(rig.told.has("closed b"), "its future was dropped");
    assert_eq!(rig.ends(), ["close b", "abandon a (scope ended)"]);
    let audit = handle.expect("the body began").audit();
    assert_eq!(audit.abandoned, 2, "{audit}");
    assert_ended(audit);
}

async fn n10_without_a_timer_a_scope_closes_all_the_same<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let builder: ScopeBuilder = rig.builder();
    let scope = builder.run_inline(&NoTimer, |s| async move {
        s.defer(|exit| async move { Err(exit.to_string().into()) });
        Ok::<_, String>(s)
    });
    let error = scope.await.expect_err("its finalizer fails");
    let report = error.report().expect("the body was run");
    assert_eq!((report.finalize_failed, report.took), (1, None), "{report}");
    assert!(
        report.failures[0]
            .to_string()
            .ends_with("close failed (scope ended): succeeded")
    );
}

/// The body has panicked, and the future is dropped before the panic could go on.
async fn n10_panic_that_reaches_nobody_is_told<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    {
        let mut scope = Box::pin(rig.scope(async |s| {
            rig.opens(&s, Plan::from("a").closes(Step::Take(rig.ticks(1))))
                .await;
            // Unwinds as a panic does, without the hook that prints.
            resume_unwind(Box::new("the body's"));
            #[expect(unreachable_code, reason = "it says what the body's type is")]
            Ok::<(), String>(())
        }));
        assert!(poll!(scope.as_mut()).is_pending());
        assert_eq!(rig.ends(), ["close a"]);
    }
    rig.assert_event("scope: error in scope body: ", "panicked: the body's");
}
