//! Members that come and go while the group runs.

use std::pin::pin;

use futures::future::join;
use futures::{FutureExt, poll};
use tenure_core::State;
use tenure_core::group::{AddError, RemoveError};

use super::{Act, Diary, built};
use crate::worlds::World;

on_every_backend! {
    fault_24_a_member_added_while_the_group_runs_is_started,
    b10_a_member_added_before_the_start_starts_with_the_others,
    b10_a_member_that_was_added_stops_in_its_turn,
    b10_a_member_that_cannot_be_added_says_why,
    b10_a_member_that_fails_when_it_is_added_is_removed_again,
    b10_an_addition_dropped_half_way_goes_on_at_the_next_start,
    b10_a_group_stays_ready_while_members_come_and_go,
    b10_a_group_goes_on_without_an_addition_that_nobody_waits_for,
    b10_a_member_that_others_need_is_not_removed,
    b10_a_member_that_is_removed_is_stopped_and_forgotten,
    b10_a_removal_dropped_half_way_goes_on,
    b10_members_that_leave_together_stop_in_order,
    b10_a_shutdown_meets_what_is_added_and_removed,
}

/// The original kept a list: what was added after `initialize` was never opened, and nobody was told.
async fn fault_24_a_member_added_while_the_group_runs_is_started<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.start().await.expect("nothing fails");
    let api = diary.part(&world, "api");
    let addition = group.add("api", api).after("db");
    addition.start().await.expect("it starts");
    assert!(diary.has("api is up"));
    assert_eq!(group.state(), State::Ready);
    let graph = group.graph().to_string();
    assert_eq!(graph, "1. db\n2. api (after db)\n");
    group.close().await;
    assert!(diary.at("api is down") < diary.at("db stops"));
}

async fn b10_a_member_added_before_the_start_starts_with_the_others<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    let addition = group.add("api", diary.part(&world, "api")).after("db");
    addition.start().await.expect("it goes with db");
    assert_eq!(diary.lines(), Vec::<String>::new());
    group.start().await.expect("nothing fails");
    assert!(diary.at("db is up") < diary.at("api starts"));
    group.close().await;
}

async fn b10_a_member_that_was_added_stops_in_its_turn<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("web", Act::Take(1));
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.start().await.expect("nothing fails");
    for (name, needed) in [("api", "db"), ("web", "api")] {
        let addition = group.add(name, diary.part(&world, name)).after(needed);
        addition.start().await.expect("it starts");
    }
    let report = group.shutdown(world.tick() * 100).await;
    assert!(report.is_clean(), "{report}");
    let stops = ["web is down", "api stops", "api is down", "db stops"];
    let stops = stops.map(|line| diary.at(line));
    assert!(stops.is_sorted(), "{:?}", diary.lines());
    let third = diary.told("web").expect("a limit");
    assert!(third <= world.tick() * 34, "{third:?}");
}

async fn b10_a_member_that_cannot_be_added_says_why<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    let add = |name: &'static str, needed: &'static str| {
        let part = diary.part(&world, name);
        group.add(name, part).after(needed).start()
    };
    let error = add("db", "db").await.expect_err("it is there");
    assert_eq!(error.to_string(), "two members are called db");
    let error = add("api", "dbb").await.expect_err("nobody is called that");
    assert_eq!(
        error.to_string(),
        "api comes after dbb, and there is no dbb"
    );
    group.close().await;
    let error = add("api", "db").await.expect_err("it is over");
    assert!(matches!(error, AddError::Closed { .. }), "{error}");
    assert_eq!(diary.lines(), Vec::<String>::new());
}

async fn b10_a_member_that_fails_when_it_is_added_is_removed_again<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Fail("no route"));
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.start().await.expect("nothing fails");
    let add = || group.add("api", diary.part(&world, "api")).start();
    let error = add().await.expect_err("api fails");
    assert_eq!(error.to_string(), "api did not start in service: no route");
    assert!(diary.has("api is down") && !diary.has("db stops"));
    assert_eq!(group.state(), State::Ready);
    assert_eq!(group.report().members.len(), 1);
    // The name is free again.
    diary.on_start("api", Act::Succeed);
    add().await.expect("it starts now");
    assert!(group.close().await.is_clean());
}

async fn b10_an_addition_dropped_half_way_goes_on_at_the_next_start<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Take(1));
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.start().await.expect("nothing fails");
    {
        let mut addition = pin!(group.add("api", diary.part(&world, "api")).start());
        assert!(poll!(addition.as_mut()).is_pending());
    }
    assert!(!group.has_started());
    group.start().await.expect("nothing fails");
    assert!(group.has_started() && diary.has("api is up"));
    assert!(group.close().await.is_clean());
}

async fn b10_a_group_stays_ready_while_members_come_and_go<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Take(1));
    diary.on_start("cache", Act::Take(1));
    diary.on_stop("jobs", Act::Take(1));
    let parts: &[(_, &[_])] = &[("db", &[]), ("jobs", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let stays_ready = || {
        let health = group.health().now_or_never().expect("checks take no time");
        group.is_ready() && group.state() == State::Ready && health.state == State::Ready
    };
    {
        let api = group.add("api", diary.part(&world, "api")).after("db");
        let mut api = pin!(api.start());
        assert!(poll!(api.as_mut()).is_pending() && stays_ready());
        let cache = group.add("cache", diary.part(&world, "cache"));
        let mut cache = pin!(cache.optional().start());
        assert!(poll!(cache.as_mut()).is_pending() && stays_ready());
        let mut removal = pin!(group.remove("jobs"));
        assert!(poll!(removal.as_mut()).is_pending() && stays_ready());
        let (api, cache) = join(api, cache).await;
        assert!(api.is_ok() && cache.is_ok() && removal.await.is_ok());
    }
    assert!(stays_ready());
    // From now on they are as if they had been there from the beginning.
    diary.is_now("cache", State::Error);
    assert_eq!(group.state(), State::Degraded);
    diary.is_now("api", State::Error);
    assert_eq!(group.state(), State::Error);
    group.close().await;
}

async fn b10_a_group_goes_on_without_an_addition_that_nobody_waits_for<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Take(1));
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.start().await.expect("nothing fails");
    {
        let mut addition = pin!(group.add("api", diary.part(&world, "api")).start());
        assert!(poll!(addition.as_mut()).is_pending());
    }
    assert_eq!(group.state(), State::Ready);
    diary.on_start("api", Act::Fail("no route"));
    group.start().await.expect("the others are up");
    assert_eq!(group.state(), State::Degraded, "one is missing");
    group.remove("api").await.expect("nobody needs it");
    assert_eq!(group.state(), State::Ready);
    group.close().await;
}

async fn b10_a_member_that_others_need_is_not_removed<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"]), ("jobs", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let error = group.remove("db").await.expect_err("it is needed");
    assert_eq!(error.to_string(), "db of service is needed by api, jobs");
    let error = group
        .remove("dbb")
        .await
        .expect_err("nobody is called that");
    assert!(matches!(error, RemoveError::Unknown { .. }), "{error}");
    for name in ["api", "jobs", "db"] {
        group.remove(name).await.expect("nobody needs it now");
    }
    assert_eq!(group.report().members.len(), 0);
    group.close().await;
    let error = group.remove("db").await.expect_err("it is gone");
    assert!(matches!(error, RemoveError::Unknown { .. }), "{error}");
}

async fn b10_a_member_that_is_removed_is_stopped_and_forgotten<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Fail("will not"));
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let report = group.remove("api").await.expect("nobody needs it");
    let error = report.stop_error.expect("it failed");
    assert_eq!(error.to_string(), "will not");
    assert!(diary.has("api stops") && !diary.has("db stops"));
    assert_eq!(group.graph().to_string(), "1. db\n");
    assert!(group.get::<super::LocalGroup<W>>("api").is_err());
    assert_eq!(group.state(), State::Ready);
    assert!(group.close().await.is_clean());
}

async fn b10_a_removal_dropped_half_way_goes_on<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Take(1));
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    {
        let mut removal = pin!(group.remove("api"));
        assert!(poll!(removal.as_mut()).is_pending());
    }
    assert_eq!(group.report().members.len(), 1);
    let before = diary.known_by();
    group.start().await.expect("the others are up");
    assert!(diary.has("api is down"));
    assert_eq!(diary.known_by(), before - 1, "it is forgotten as well");
    assert!(group.close().await.is_clean());
}

async fn b10_members_that_leave_together_stop_in_order<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Take(1));
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let (api, db) = join(group.remove("api"), group.remove("db")).await;
    assert!(api.is_ok() && db.is_ok(), "{api:?} {db:?}");
    assert!(diary.at("api is down") < diary.at("db stops"));
    assert_eq!(diary.known_by(), 1, "the test alone");
    assert!(group.close().await.is_clean());
}

async fn b10_a_shutdown_meets_what_is_added_and_removed<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Take(1));
    diary.on_stop("jobs", Act::Take(1));
    let parts: &[(_, &[_])] = &[("db", &[]), ("jobs", &["db"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let addition = group.add("api", diary.part(&world, "api")).after("db");
    let comings_and_goings = join(addition.start(), group.remove("jobs"));
    let ((added, removed), report) = join(comings_and_goings, group.close()).await;
    assert!(matches!(added, Err(AddError::Closed { .. })), "{added:?}");
    assert!(removed.is_ok(), "{removed:?}");
    assert!(report.is_clean(), "{report}");
    assert_eq!(group.state(), State::Closed);
    assert!(diary.at("jobs is down") < diary.at("db stops"));
    assert!(diary.at("api stops") < diary.at("db stops"));
}
