//! The way down.

use std::pin::pin;

use futures::future::join;
use futures::poll;
use tenure_core::State;
use tenure_core::group::StartError;

use super::{Act, Diary, built};
use crate::worlds::World;

on_every_backend! {
    s12_members_stop_once_all_that_need_them_have,
    s12_the_way_down_goes_on_after_errors_and_panics,
    b01_a_shutdown_calls_off_a_start_under_way,
    b01_what_never_started_is_not_stopped,
    b10_a_shutdown_dropped_half_way_goes_on,
    b10_two_shutdowns_stop_each_member_once,
    b10_a_start_after_the_shutdown_is_refused,
}

async fn s12_members_stop_once_all_that_need_them_have<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("db", &[]),
        ("api", &["db"]),
        ("jobs", &["db"]),
        ("web", &["api"]),
    ];
    for name in ["web", "jobs", "api"] {
        diary.on_stop(name, Act::Take(1));
    }
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let report = group.close().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(group.state(), State::Closed);
    assert!(diary.at("web is down") < diary.at("api stops"));
    let before_db = diary.at("api is down").max(diary.at("jobs is down"));
    assert!(before_db < diary.at("db stops"));
    // As parallel as the graph allows: these two need nothing of each other.
    assert!(diary.at("jobs stops") < diary.at("web is down"));
}

async fn s12_the_way_down_goes_on_after_errors_and_panics<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("web", Act::Fail("will not"));
    diary.on_stop("api", Act::Panic("a bug"));
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"]), ("web", &["api"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let report = group.close().await;
    assert!(!report.is_clean());
    assert!(diary.has("db is down"));
    let errors = report
        .members
        .iter()
        .map(|member| member.stop_error.as_ref());
    let errors = Vec::from_iter(errors.map(|error| error.map(ToString::to_string)));
    let expected = [
        None,
        Some("panicked: a bug".into()),
        Some("will not".into()),
    ];
    assert_eq!(errors, expected);
    let again = group.close().await;
    assert_eq!(again.to_string(), report.to_string());
}

async fn b01_a_shutdown_calls_off_a_start_under_way<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Hang);
    let parts: &[(_, &[_])] = &[("db", &[]), ("api", &["db"]), ("web", &["api"])];
    let group = built(&world, diary.group(&world, parts));
    let (started, report) = join(group.start(), group.close()).await;
    assert!(
        matches!(started, Err(StartError::Closed { .. })),
        "{started:?}"
    );
    assert!(report.is_clean(), "{report}");
    assert!(!diary.has("web starts") && !diary.has("web stops"));
    if diary.has("api starts") {
        assert!(diary.at("api is down") < diary.at("db stops"));
    }
}

async fn b01_what_never_started_is_not_stopped<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    let report = group.close().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(diary.lines(), Vec::<String>::new());
    assert_eq!(report.members[0].state, State::Closed);
}

async fn b10_a_shutdown_dropped_half_way_goes_on<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Take(1));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    group.start().await.expect("nothing fails");
    {
        let mut close = pin!(group.close());
        assert!(poll!(close.as_mut()).is_pending());
    }
    assert_eq!(group.state(), State::Closing);
    let report = group.close().await;
    assert!(report.is_clean(), "{report}");
    assert!(diary.at("api is down") < diary.at("db stops"));
}

async fn b10_two_shutdowns_stop_each_member_once<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Take(1));
    diary.on_stop("db", Act::Take(1));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    group.start().await.expect("nothing fails");
    let (one, other) = join(group.close(), group.close()).await;
    assert!(one.is_clean() && other.is_clean());
    assert_eq!(diary.lines().len(), 8, "{:?}", diary.lines());
}

async fn b10_a_start_after_the_shutdown_is_refused<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[("db", &[])]));
    group.close().await;
    let error = group.start().await.expect_err("it is over");
    assert_eq!(error.to_string(), "service is shut down");
    assert!(!group.is_alive());
    assert_eq!(diary.lines(), Vec::<String>::new());
}
