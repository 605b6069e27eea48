//! One resource, one body.

use std::future::pending;

use futures::poll;
use tenure_core::{OpenError, ScopeError};

use super::rig::Rig;
use super::{Plan, ScopeWorld, Step, Value};

on_every_backend! {
    s14_with_resource_opens_lends_and_closes,
    s14_with_resource_closes_on_error,
    s14_with_resource_closes_on_cancellation,
    s14_with_resource_says_that_it_did_not_open,
}

async fn s14_with_resource_opens_lends_and_closes<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let thing = ("a".into(), rig.told.clone());
    let used = world.with_thing(rig.builder(), thing, |mut thing| async move {
        thing.use_it();
        Ok::<_, String>(thing.use_it())
    });
    assert_eq!(rig.soon(used).await.expect("all went well"), 2);
    assert_eq!(rig.told.all(), ["open a", "close a", "closed a"]);
}

async fn s14_with_resource_closes_on_error<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let thing = (Plan::from("a").closes(Step::Fail), rig.told.clone());
    let used = world.with_thing(rig.builder(), thing, |_thing| async { Err::<(), _>("no") });
    let error = rig.soon(used).await.expect_err("the body failed");
    assert_eq!(error.report().expect("the body was run").close_failed, 1);
    assert_eq!(error.into_body().expect("it is the body's"), "no");
    assert_eq!(rig.ends(), ["close a"]);
}

async fn s14_with_resource_closes_on_cancellation<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    {
        let thing = ("a".into(), rig.told.clone());
        let used = world.with_thing(rig.builder(), thing, |thing| async move {
            let _held = thing;
            pending::<Result<(), String>>().await
        });
        let mut used = Box::pin(used);
        assert!(poll!(used.as_mut()).is_pending());
    }
    rig.until("it has ended", || rig.ends().len() == 1).await;
    let end = if W::HAS_RUNNER {
        "close a"
    } else {
        "abandon a (scope cancelled)"
    };
    assert_eq!(rig.ends(), [end]);
}

async fn s14_with_resource_says_that_it_did_not_open<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let thing = (Plan::from("a").opens(Step::Fail), rig.told.clone());
    let used = world.with_thing(rig.builder(), thing, |_thing| async {
        unreachable!("there is nothing to use") as Result<(), String>
    });
    let error = rig.soon(used).await.expect_err("it does not open");
    let ScopeError::Unopened {
        error: OpenError::Failed { failure, .. },
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failure.cause.to_string(), "refused");
    assert!(rig.told.all().is_empty());
}
