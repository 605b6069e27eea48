//! What comes after the end of a scope: registrations on a handle that outlived it, guards that did.

use tenure_core::{OpenError, ScopeError};

use super::rig::{Rig, assert_ended};
use super::{AnyScope, Plan, ScopeWorld, Step, Value};

on_every_backend! {
    b11_late_finalizer_runs_at_once,
    b11_late_opening_is_refused,
    b11_late_child_is_refused,
    b11_value_that_is_opened_too_late_is_closed_at_once,
    b11_guard_that_escaped_is_counted_and_closed_when_it_comes_back,
    b11_guard_that_comes_back_while_others_are_closed_is_closed_with_them,
}

async fn b11_late_finalizer_runs_at_once<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let s = rig.soon(rig.scope(|s| async { Ok::<_, String>(s) })).await;
    let s = s.expect("all went well");
    for count in 1..3 {
        rig.defer(&s, "late");
        rig.until("it is accounted for", || {
            let audit = s.audit();
            audit.finalized + audit.finalize_dropped == count
        })
        .await;
    }
    if W::HAS_RUNNER {
        assert_eq!(rig.ends(), ["late succeeded", "late succeeded"]);
        assert_eq!(s.audit().finalized, 2);
    } else {
        assert!(rig.ends().is_empty());
        assert_eq!(s.audit().finalize_dropped, 2);
        rig.assert_event("scope/finalizer at ", ": finalizer dropped");
    }
}

async fn b11_late_opening_is_refused<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let s = rig.soon(rig.scope(|s| async { Ok::<_, String>(s) })).await;
    let s = s.expect("all went well");
    let error = rig.open(&s, "late").await.expect_err("it is too late");
    assert!(matches!(&error, OpenError::ScopeEnded { name } if name.as_str() == "scope"));
    assert_eq!(error.to_string(), "scope: the scope has ended");
    assert!(rig.told.all().is_empty());
}

async fn b11_late_child_is_refused<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let s = rig.soon(rig.scope(|s| async { Ok::<_, String>(s) })).await;
    let s = s.expect("all went well");
    let child = s.child(|_| async { unreachable!("it is not run") as Result<(), String> });
    let error = child.await.expect_err("it is too late");
    assert!(matches!(
        error,
        ScopeError::Unopened {
            error: OpenError::ScopeEnded { .. }
        }
    ));
}

async fn b11_value_that_is_opened_too_late_is_closed_at_once<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let (gate, waits) = Step::gated();
    let scope = rig.scope(async |s| {
        let opener = world.task({
            let (rig, s) = (rig.clone(), s.clone());
            async move {
                rig.open(&s, Plan::from("late").opens(waits))
                    .await
                    .map(drop)
            }
        });
        rig.until("it is being opened", || {
            rig.events()
                .iter()
                .any(|event| event.ends_with("opening, attempt 1"))
        })
        .await;
        Ok::<_, String>((s, opener))
    });
    let (s, opener) = rig.soon(scope).await.expect("all went well");
    assert!(!rig.told.has("open late"));
    drop(gate);
    let answer = rig.soon(opener).await;
    assert!(matches!(answer, Err(OpenError::ScopeEnded { .. })));
    rig.until_ended(&s).await;
    assert_eq!(rig.ends(), ["close late"]);
    rig.assert_event("scope/", "closed (opened too late)");
    assert_ended(s.audit());
}

async fn b11_guard_that_escaped_is_counted_and_closed_when_it_comes_back<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let held = rig.open(&s, "escapes").await.expect("it opens");
        rig.opens(&s, "stays").await;
        Ok::<_, String>((s, held))
    });
    let error = rig.soon(scope).await.expect_err("a guard escaped");
    let ScopeError::Cleanup {
        value: (s, mut held),
        report,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((report.still_in_use, report.closed), (1, 1), "{report}");
    assert_eq!(s.audit().in_use, 1);
    assert_eq!(
        (held.name(), held.use_it()),
        ("escapes", 1),
        "it is still open"
    );
    assert_eq!(rig.ends(), ["close stays"]);
    drop(held);
    rig.until_ended(&s).await;
    let end = if W::HAS_RUNNER {
        "close escapes"
    } else {
        "abandon escapes (scope ended)"
    };
    assert_eq!(rig.ends(), ["close stays", end]);
    assert_ended(s.audit());
}

async fn b11_guard_that_comes_back_while_others_are_closed_is_closed_with_them<W: ScopeWorld>(
    world: W,
) {
    let rig = Rig::new(&world);
    let (gate, waits) = Step::gated();
    let scope = rig.scope(async |s| {
        let slow = rig
            .open(&s, Plan::from("slow").closes(waits))
            .await
            .expect("it opens");
        drop(slow);
        let held = rig.open(&s, "lent").await.expect("it opens");
        world.detach({
            let rig = rig.clone();
            async move {
                rig.until("the scope ends", || rig.told.has("close slow"))
                    .await;
                drop(held);
                drop(gate);
            }
        });
        Ok::<_, String>(())
    });
    rig.soon(scope).await.expect("all is closed");
    assert_eq!(rig.ends(), ["close slow", "close lent"]);
}
