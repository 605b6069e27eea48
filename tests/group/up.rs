//! The way up.

use std::pin::pin;

use futures::future::join;
use futures::poll;
use tenure_core::group::{DependencyFailed, StartError};
use tenure_core::{Panicked, State};

use super::{Act, Diary, built};
use crate::worlds::World;

on_every_executor! {
    s12_members_start_side_by_side_as_far_as_their_needs_allow,
    s12_a_failure_stops_what_had_begun_in_reverse_and_names_the_first,
    s12_a_panic_in_a_start_is_a_failure,
    s12_two_callers_start_each_member_once,
    b10_one_at_a_time_if_so_wanted,
    b10_an_optional_member_that_fails_leaves_the_group_degraded,
    what_cannot_do_without_an_optional_member_does_not_start_without_it,
    a_member_is_down_with_what_it_requires_and_not_with_what_it_wants,
    b10_a_start_that_takes_too_long_has_failed,
    b10_a_start_dropped_half_way_goes_on_where_it_was,
    b10_a_rollback_dropped_half_way_goes_on,
    b10_a_group_without_members_starts_and_stops,
    fault_22_what_a_member_needs_is_there_before_it,
    fault_23_a_failed_start_leaves_nothing_up,
}

async fn s12_members_start_side_by_side_as_far_as_their_needs_allow<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("api", &["db", "cache"]),
        ("db", &[]),
        ("cache", &[]),
        ("web", &["api"]),
    ];
    for name in ["db", "cache", "api"] {
        diary.on_start(name, Act::Take(1));
    }
    let group = built(&world, diary.group(&world, parts));
    assert_eq!(group.state(), State::Uninitialized);
    group.start().await.expect("nothing fails");
    assert_eq!(group.state(), State::Ready);
    assert!(group.has_started() && group.is_ready());
    // Both began before either was up.
    assert!(diary.at("db starts").max(diary.at("cache starts")) < 2);
    let needed = diary.at("db is up").max(diary.at("cache is up"));
    assert!(needed < diary.at("api starts"));
    assert!(diary.at("api is up") < diary.at("web starts"));
    assert_eq!(diary.most_under_way(), 2);
    assert!(group.close().await.is_clean());
}

async fn s12_a_failure_stops_what_had_begun_in_reverse_and_names_the_first<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("db", &[]),
        ("api", &["db"]),
        ("slow", &["db"]),
        ("web", &["api", "slow"]),
    ];
    diary.on_start("api", Act::Fail("no route"));
    diary.on_start("slow", Act::Hang);
    let group = built(&world, diary.group(&world, parts));
    let error = group.start().await.expect_err("api fails");
    assert_eq!(error.to_string(), "service did not start: api: no route");
    let StartError::Failed { member, report, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(member, "api");
    assert_eq!(
        report.members[1]
            .start_error
            .as_ref()
            .expect("it failed")
            .to_string(),
        "no route"
    );
    assert!(report.is_clean(), "{report}");
    // What hung was called off, and stopped like the others; `web` had never begun.
    assert!(diary.at("api stops") < diary.at("db stops"));
    assert!(diary.at("slow stops") < diary.at("db stops"));
    assert!(!diary.has("web starts") && !diary.has("web stops"));
    assert_eq!(group.state(), State::Closed);
    let again = group.start().await.expect_err("it is over");
    assert_eq!(again.to_string(), error.to_string());
}

async fn s12_a_panic_in_a_start_is_a_failure<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Panic("a bug"));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    let error = group.start().await.expect_err("api panics");
    let StartError::Failed { cause, .. } = &error else {
        panic!("{error}");
    };
    let panic = cause.downcast_ref::<Panicked>().expect("it was contained");
    assert_eq!(panic.message(), "a bug");
    assert!(diary.has("db is down"));
}

async fn s12_two_callers_start_each_member_once<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("db", Act::Take(1));
    diary.on_start("api", Act::Take(1));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    let (one, other) = join(group.start(), group.start()).await;
    one.expect("nothing fails");
    other.expect("nothing fails");
    assert_eq!(diary.lines().len(), 4, "{:?}", diary.lines());
    group.start().await.expect("it has started");
    assert_eq!(diary.lines().len(), 4);
    group.close().await;
}

async fn b10_one_at_a_time_if_so_wanted<W: World>(world: W) {
    let diary = Diary::default();
    for name in ["a", "b", "c"] {
        diary.on_start(name, Act::Take(1));
        diary.on_stop(name, Act::Take(1));
    }
    let group = diary.group(&world, &[("a", &[]), ("b", &[]), ("c", &[])]);
    let group = built(&world, group.most_at_once(1));
    group.start().await.expect("nothing fails");
    assert!(group.close().await.is_clean());
    assert_eq!(diary.most_under_way(), 1);
    let stops = ["c stops", "b stops", "a stops"].map(|line| diary.at(line));
    assert!(stops.is_sorted(), "in reverse: {:?}", diary.lines());
}

async fn b10_an_optional_member_that_fails_leaves_the_group_degraded<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("no route"));
    let group = diary
        .group(&world, &[("cache", &[])])
        .optional()
        .add("api", diary.part(&world, "api"))
        .wants("cache");
    let group = built(&world, group);
    group.start().await.expect("nothing that is required fails");
    assert!(diary.has("api is up"));
    assert_eq!(group.state(), State::Degraded);
    assert!(group.is_ready() && group.is_alive());
    let report = group.report();
    let states = [report.members[0].state, report.members[1].state];
    assert_eq!(states, [State::Error, State::Ready]);
    assert!(group.close().await.is_clean());
}

/// The api can do without the cache, the worker cannot, and what needs the worker cannot either.
async fn what_cannot_do_without_an_optional_member_does_not_start_without_it<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("no route"));
    let group = diary.group(&world, &[("cache", &[])]).optional();
    let part = |name| diary.part(&world, name);
    let group = group.add("api", part("api")).wants("cache");
    let group = group.add("worker", part("worker")).after("cache");
    let group = group.add("mail", part("mail")).after("worker");
    let group = group.add("web", part("web")).after("api").wants("mail");
    let group = built(&world, group);
    group.start().await.expect("the group can do without");
    assert!(diary.has("api is up") && diary.has("web is up"));
    assert!(!diary.has("worker starts") && !diary.has("mail starts"));
    assert_eq!(group.state(), State::Degraded);
    let report = group.report();
    let held_back = |member: usize, name: &str| {
        let member = &report.members[member];
        let cause = member.start_error.as_ref().expect("it was not started");
        let failed = cause.downcast_ref::<DependencyFailed>();
        assert_eq!(failed.expect("for that").dependency, name);
        assert_eq!(member.state, State::Error);
    };
    held_back(2, "cache");
    held_back(3, "worker");
    let added = group.add("late", part("late")).after("cache").start().await;
    let error = added.expect_err("it cannot do without the cache either");
    let text = "late did not start in service: requires cache, which is not up";
    assert_eq!(error.to_string(), text);
    assert!(
        group
            .add("soon", part("soon"))
            .wants("cache")
            .start()
            .await
            .is_ok()
    );
    assert!(group.close().await.is_clean());
    assert!(!diary.has("worker stops") && !diary.has("late starts"));
}

/// What a member requires may be optional for the group: then it is missed, and the group goes on.
async fn a_member_is_down_with_what_it_requires_and_not_with_what_it_wants<W: World>(world: W) {
    let diary = Diary::default();
    let group = diary.group(&world, &[("cache", &[])]).optional();
    let group = group.add("api", diary.part(&world, "api")).wants("cache");
    let group = group
        .add("worker", diary.part(&world, "worker"))
        .after("cache");
    let group = built(&world, group);
    group.start().await.expect("nothing fails");
    assert_eq!(group.state(), State::Ready);
    diary.is_now("cache", State::Error);
    let states: Vec<_> = group
        .report()
        .members
        .iter()
        .map(|member| member.state)
        .collect();
    assert_eq!(states, [State::Error, State::Ready, State::Error]);
    assert_eq!(group.state(), State::Degraded);
    diary.is_now("worker", State::Error);
    assert_eq!(group.state(), State::Error, "its own fault");
    group.close().await;
}

async fn b10_a_start_that_takes_too_long_has_failed<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("db", Act::Hang);
    let group = diary.group(&world, &[("db", &[])]);
    let group = built(&world, group.start_timeout(world.tick()));
    let error = group.start().await.expect_err("db hangs");
    assert!(
        error.to_string().starts_with("service did not start: db:"),
        "{error}"
    );
    assert!(diary.has("db stops"));
}

async fn b10_a_start_dropped_half_way_goes_on_where_it_was<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Take(1));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    {
        let mut start = pin!(group.start());
        assert!(poll!(start.as_mut()).is_pending());
        assert!(diary.has("api starts") && !diary.has("api is up"));
    }
    assert_eq!(group.state(), State::Initializing);
    group.start().await.expect("nothing fails");
    let starts = diary
        .lines()
        .iter()
        .filter(|line| *line == "db starts")
        .count();
    assert_eq!(starts, 1, "it was up already");
    assert_eq!(group.state(), State::Ready);
    group.close().await;
}

async fn b10_a_rollback_dropped_half_way_goes_on<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Fail("no route"));
    diary.on_stop("db", Act::Take(1));
    let group = built(
        &world,
        diary.group(&world, &[("db", &[]), ("api", &["db"])]),
    );
    {
        let mut start = pin!(group.start());
        assert!(poll!(start.as_mut()).is_pending());
        assert!(diary.has("db stops") && !diary.has("db is down"));
    }
    assert_eq!(group.state(), State::Closing);
    let error = group.start().await.expect_err("api had failed");
    assert!(diary.has("db is down"));
    assert_eq!(error.to_string(), "service did not start: api: no route");
}

async fn b10_a_group_without_members_starts_and_stops<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[]));
    group.start().await.expect("nothing fails");
    assert_eq!(group.state(), State::Ready);
    assert!(group.close().await.is_clean());
    assert_eq!(group.state(), State::Closed);
    assert!(group.start().await.is_err());
}

/// The original promised dependencies and had none: `initialize(parallel=True)` gathered all members at once, so
/// a service opened against a database that was not there yet.
async fn fault_22_what_a_member_needs_is_there_before_it<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("db", Act::Take(2));
    let group = built(
        &world,
        diary.group(&world, &[("api", &["db"]), ("db", &[])]),
    );
    group.start().await.expect("nothing fails");
    assert_eq!(
        diary.lines(),
        ["db starts", "db is up", "api starts", "api is up"]
    );
    group.close().await;
}

/// The original left open what had opened when one failed, and closed, when asked, in the order of the start.
async fn fault_23_a_failed_start_leaves_nothing_up<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("c", Act::Fail("no route"));
    let parts: &[(_, &[_])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"])];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect_err("c fails");
    let stops = ["c is down", "b is down", "a is down"].map(|line| diary.at(line));
    assert!(stops.is_sorted(), "in reverse: {:?}", diary.lines());
}
