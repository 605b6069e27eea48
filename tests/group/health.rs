//! How a group is while it runs.

use tenure_core::State;

use super::{Diary, built};
use crate::worlds::World;

on_every_backend! {
    s12_health_is_told_by_name,
    b10_a_member_that_goes_down_takes_those_with_it_that_need_it_and_back,
    b10_a_group_is_a_member,
}

async fn s12_health_is_told_by_name<W: World>(world: W) {
    let diary = Diary::default();
    let group = built(&world, diary.group(&world, &[("db", &[]), ("mail", &[])]));
    group.start().await.expect("nothing fails");
    assert!(group.health().await.is_healthy());
    diary.is_now("mail", State::Degraded);
    let health = group.health().await;
    assert!(!health.is_healthy());
    assert_eq!(health.state, State::Degraded);
    let line = "service: Degraded\n  db: Ready\n  mail: Degraded, it is Degraded";
    assert_eq!(health.to_string(), line);
    group.close().await;
}

async fn b10_a_member_that_goes_down_takes_those_with_it_that_need_it_and_back<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("db", &[]),
        ("api", &["db"]),
        ("web", &["api"]),
        ("log", &[]),
    ];
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let states = || Vec::from_iter(group.report().members.iter().map(|member| member.state));
    diary.is_now("db", State::Error);
    assert_eq!(
        states(),
        [State::Error, State::Error, State::Error, State::Ready]
    );
    assert_eq!(group.state(), State::Error);
    assert!(!group.is_ready() && group.is_alive());
    diary.is_now("db", State::Degraded);
    assert_eq!(states()[..3], [State::Degraded; 3]);
    diary.is_now("db", State::Ready);
    assert_eq!(states(), [State::Ready; 4]);
    assert_eq!(group.state(), State::Ready);
    group.close().await;
}

async fn b10_a_group_is_a_member<W: World>(world: W) {
    let diary = Diary::default();
    let inner = built(
        &world,
        diary.group(&world, &[("db", &[]), ("cache", &["db"])]),
    );
    let outer = diary
        .group(&world, &[])
        .add("storage", inner.clone())
        .add("web", diary.part(&world, "web"))
        .after("storage");
    let outer = built(&world, outer);
    outer.start().await.expect("nothing fails");
    assert!(diary.at("cache is up") < diary.at("web starts"));
    diary.is_now("cache", State::Degraded);
    assert_eq!(outer.state(), State::Degraded);
    let report = outer.close().await;
    assert!(report.is_clean(), "{report}");
    assert!(diary.at("web is down") < diary.at("cache stops"));
    assert_eq!(inner.state(), State::Closed);
}
