//! Opening a value in a scope: what opens is closed, what does not leaves nothing.

use futures::poll;
use tenure_core::{OpenError, Panicked};

use super::rig::{Rig, assert_ended};
use super::thing::Refused;
use super::{AnyScope, Plan, ScopeWorld, Step};

on_every_backend! {
    s13_opening_that_fails_leaves_nothing_and_closes_the_rest,
    s13_opening_that_is_dropped_is_called_off,
    s13_opening_says_what_happened,
}

async fn s13_opening_that_fails_leaves_nothing_and_closes_the_rest<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let builder = rig.builder().open_timeout(rig.ticks(1));
    let mut handle = None;
    let scope = world.scope(builder, async |s| {
        let s = handle.insert(s);
        rig.opens(s, "a").await;
        for step in [Step::Fail, Step::Panic, Step::Hang] {
            assert!(rig.open(s, Plan::from("bad").opens(step)).await.is_err());
        }
        let held = rig.open(s, Plan::from("bad").opens(Step::Fail)).await;
        held.map(drop)
    });
    let error = rig.soon(scope).await.expect_err("the last opening failed");
    assert!(matches!(error.into_body(), Ok(OpenError::Failed { .. })));
    assert_eq!(rig.ends(), ["close a"]);
    let audit = handle.expect("the body began").audit();
    assert_eq!((audit.opened, audit.open_failed), (1, 4), "{audit}");
    assert_ended(audit);
}

async fn s13_opening_that_is_dropped_is_called_off<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        {
            let mut opening = Box::pin(rig.open(&s, Plan::from("a").opens(Step::Hang)));
            assert!(poll!(opening.as_mut()).is_pending());
        }
        Ok::<_, String>(s.audit())
    });
    let audit = rig.soon(scope).await.expect("all went well");
    assert_eq!((audit.opened, audit.open_called_off), (0, 1), "{audit}");
    rig.assert_event("scope/", "opening called off");
}

async fn s13_opening_says_what_happened<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let builder = rig.builder().open_timeout(rig.ticks(1));
    let scope = world.scope(builder, async |s| {
        let mut causes = Vec::new();
        for step in [Step::Fail, Step::Panic, Step::Hang] {
            let opening = rig.open(&s, Plan::from("a").opens(step)).await;
            let Err(OpenError::Failed { name, failure }) = opening else {
                panic!("it does not open");
            };
            assert!(name.as_str().starts_with("scope/"), "{name}");
            assert_eq!(failure.attempts, 1);
            causes.push(failure.cause);
        }
        Ok::<_, String>(causes)
    });
    let causes = rig.soon(scope).await.expect("all went well");
    assert_eq!(causes[0].downcast_ref::<Refused>(), Some(&Refused));
    assert!(causes[1].downcast_ref::<Panicked>().is_some());
    assert!(causes[2].to_string().contains("timed out"));
    rig.assert_event("scope/", "opening failed, attempt 1: refused");
}
