//! Scopes within scopes: they share a Runner, and end inside out.

use std::cell::RefCell;
use std::future::pending;

use futures::{join, poll};
use tenure_core::ScopeError;

use super::rig::{Rig, assert_ended};
use super::{AnyScope, Plan, ScopeWorld, Step};

on_every_backend! {
    b11_child_is_closed_before_what_its_parent_had_before,
    b11_failure_of_a_child_is_the_childs_own,
    b11_dropped_parent_cancels_its_child_first,
    b11_child_that_is_dropped_alone_is_closed,
    b11_parent_that_ends_cancels_a_child_that_runs_elsewhere,
    b11_children_of_one_parent_do_not_wait_for_each_other,
    b11_parent_waits_for_what_its_child_has_in_hand,
    b11_value_that_is_opened_too_late_for_a_child_is_closed_at_once,
}

async fn b11_child_is_closed_before_what_its_parent_had_before<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        let child = s.child(async |child| {
            assert_eq!(child.name(), "scope/1");
            rig.defer(&child, "b");
            rig.opens(&child, "c").await;
            assert_eq!((child.audit().opened, s.audit().opened), (1, 2));
            Ok::<_, String>(())
        });
        child.await.expect("all went well");
        assert_eq!(rig.ends(), ["close c", "b succeeded"]);
        rig.opens(&s, "d").await;
        Ok::<_, String>(s)
    });
    let s = rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends()[2..], ["close d", "close a"]);
    assert_eq!((s.audit().closed, s.audit().finalized), (3, 1));
    assert_ended(s.audit());
}

async fn b11_failure_of_a_child_is_the_childs_own<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let child = s.child(async |child| {
            rig.opens(&child, Plan::from("a").closes(Step::Fail)).await;
            Err::<(), _>("no")
        });
        let error = child.await.expect_err("it fails");
        assert_eq!(error.report().expect("it was run").close_failed, 1);
        Ok::<_, String>(())
    });
    rig.soon(scope)
        .await
        .expect("the parent succeeds all the same");
}

async fn b11_dropped_parent_cancels_its_child_first<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let mut handle = None;
    {
        let scope = rig.scope(async |s| {
            let s = handle.insert(s);
            rig.opens(s, "a").await;
            let child = s.child(async |child| {
                rig.opens(&child, "b").await;
                let _held = rig.open(&child, "c").await;
                pending::<Result<(), String>>().await
            });
            child.await.map_err(|error| error.to_string())
        });
        let mut scope = Box::pin(scope);
        assert!(poll!(scope.as_mut()).is_pending());
    }
    let s = handle.expect("the body began");
    rig.until_ended(&s).await;
    let end = |name| match W::HAS_RUNNER {
        true => format!("close {name}"),
        false => format!("abandon {name} (scope cancelled)"),
    };
    assert_eq!(rig.ends(), ["c", "b", "a"].map(end));
    assert_ended(s.audit());
}

/// With a Runner at once, and without one when its parent ends.
async fn b11_child_that_is_dropped_alone_is_closed<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        {
            let mut child = Box::pin(s.child(async |child| {
                rig.opens(&child, "b").await;
                rig.defer(&child, "c");
                pending::<Result<(), String>>().await
            }));
            assert!(poll!(child.as_mut()).is_pending());
        }
        if W::HAS_RUNNER {
            rig.until("the child is closed", || rig.told.has("close b"))
                .await;
        } else {
            assert!(rig.ends().is_empty());
        }
        rig.opens(&s, "d").await;
        Ok::<_, String>(s)
    });
    let s = rig.soon(scope).await.expect("all went well");
    let wanted = if W::HAS_RUNNER {
        ["c cancelled", "close b", "close d", "close a"]
    } else {
        ["close d", "c cancelled", "close b", "close a"]
    };
    assert_eq!(rig.ends(), wanted);
    assert_ended(s.audit());
}

async fn b11_parent_that_ends_cancels_a_child_that_runs_elsewhere<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let (gate, waits) = Step::gated();
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        let child = world.task({
            let (rig, s) = (rig.clone(), s.clone());
            async move {
                let child = s.child(async |child| {
                    rig.opens(&child, "b").await;
                    rig.defer(&child, "c");
                    waits.perform(&rig.world.runtime()).await.expect("it waits");
                    assert!(rig.open(&child, "late").await.is_err());
                    Ok::<_, String>(7)
                });
                rig.soon(child).await
            }
        });
        rig.until("the child has opened", || s.audit().opened == 2)
            .await;
        Ok::<_, String>((s, child))
    });
    let (s, child) = rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends(), ["c cancelled", "close b", "close a"]);
    drop(gate);
    assert_eq!(child.await.expect("its body goes on to its end"), 7);
    assert_ended(s.audit());
}

async fn b11_children_of_one_parent_do_not_wait_for_each_other<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let (gate, waits) = Step::gated();
        let slow = s.child(async |child| {
            rig.opens(&child, Plan::from("slow").closes(waits)).await;
            Ok::<_, String>(())
        });
        let quick = async {
            let child = s.child(async |child| {
                rig.opens(&child, "quick").await;
                Ok::<_, String>(())
            });
            child.await.expect("it waits for nobody");
            drop(gate);
        };
        let (slow, ()) = join!(slow, quick);
        slow.map_err(|error| error.to_string())
    });
    rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends(), ["close slow", "close quick"]);
}

async fn b11_parent_waits_for_what_its_child_has_in_hand<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let (gate, waits) = Step::gated();
    let scope = rig.scope(async |s| {
        rig.opens(&s, "a").await;
        let child = world.task({
            let (rig, s) = (rig.clone(), s.clone());
            async move {
                let child = s.child(async |child| {
                    rig.opens(&child, "b").await;
                    rig.opens(&child, Plan::from("c").closes(waits)).await;
                    Ok::<_, String>(())
                });
                rig.soon(child).await
            }
        });
        rig.until("the child has begun to end", || rig.told.has("close c"))
            .await;
        Ok::<_, String>(child)
    });
    let mut scope = Box::pin(rig.soon(scope));
    rig.until("the body is over", || {
        let _ = futures::FutureExt::now_or_never(&mut scope);
        rig.told.has("close c")
    })
    .await;
    rig.sleep(rig.ticks(1)).await;
    assert!(poll!(scope.as_mut()).is_pending());
    assert_eq!(rig.ends(), ["close c"]);
    drop(gate);
    let child = scope.await.expect("all went well");
    assert_eq!(rig.ends(), ["close c", "close b", "close a"]);
    assert!(matches!(
        child.await,
        Ok(()) | Err(ScopeError::Cleanup { .. })
    ));
}

/// Though its parent has not ended, and there may be nobody to close it but who opened it.
async fn b11_value_that_is_opened_too_late_for_a_child_is_closed_at_once<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        let handle = RefCell::new(None);
        let mut child = Box::pin(s.child(async |child| {
            handle.replace(Some(child));
            pending::<Result<(), String>>().await
        }));
        assert!(poll!(child.as_mut()).is_pending());
        let late = handle.take().expect("the body began");
        let (gate, waits) = Step::gated();
        let mut opening = Box::pin(rig.open(&late, Plan::from("late").opens(waits)));
        assert!(poll!(opening.as_mut()).is_pending());
        drop(child);
        drop(gate);
        assert!(rig.soon(opening).await.is_err());
        rig.until("it is closed", || rig.told.has("close late"))
            .await;
        Ok::<_, String>(())
    });
    rig.soon(scope).await.expect("all went well");
    assert_eq!(rig.ends(), ["close late"]);
}
