//! A shutdown has one budget of time, of which each member gets its share.

use std::time::Duration;

use futures::future::join;
use tenure_core::{Group, State, Timer};

use super::{Act, Diary, built};
use crate::worlds::World;

on_every_backend! {
    n11_each_member_of_a_chain_gets_its_share,
    n11_what_one_leaves_over_is_for_those_behind_it,
    n11_no_member_gets_more_than_its_own_limit,
    n11_with_no_time_left_each_stop_is_polled_once,
    n11_the_shutdown_that_has_less_time_speaks_for_all,
    b10_what_a_stop_leaves_that_was_cut_off_is_abandoned,
    b10_a_member_that_is_a_group_abandons_its_own,
}

const CHAIN: [(&str, &[&str]); 3] = [("db", &[]), ("api", &["db"]), ("web", &["api"])];

async fn n11_each_member_of_a_chain_gets_its_share<W: World>(world: W) {
    let diary = Diary::default();
    for name in ["db", "api", "web"] {
        diary.on_stop(name, Act::Hang);
    }
    let group = built(&world, diary.group(&world, &CHAIN));
    group.start().await.expect("nothing fails");
    let began_at = world.runtime().now();
    let report = group.shutdown(world.tick() * 24).await;
    assert!(world.runtime().now() - began_at >= world.tick() * 8);
    for (member, name) in report.members.iter().zip(["db", "api", "web"]) {
        assert!(diary.has(&format!("{name} stops")), "all had their turn");
        assert!(member.stop_error.is_some(), "{report}");
    }
    // A third each, less the eighth that is kept back for the member to say how it went.
    let share = world.tick() * 7;
    assert!(diary.told("web").expect("a limit") <= share);
    if W::VIRTUAL_TIME {
        for name in ["db", "api", "web"] {
            assert_eq!(diary.told(name), Some(share));
        }
        assert_eq!(world.runtime().now() - began_at, world.tick() * 24);
    }
}

async fn n11_what_one_leaves_over_is_for_those_behind_it<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("db", Act::Hang);
    let group = built(&world, diary.group(&world, &CHAIN));
    group.start().await.expect("nothing fails");
    // So much that the others end in time where it is real and the machine is busy.
    let report = group.shutdown(world.tick() * 24).await;
    assert!(report.members[0].stop_error.is_some(), "{report}");
    assert!(report.members[1].stop_error.is_none(), "{report}");
    if W::VIRTUAL_TIME {
        assert_eq!(diary.told("db"), Some(world.tick() * 21));
    }
}

async fn n11_no_member_gets_more_than_its_own_limit<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("db", Act::Hang);
    let group = diary.group(&world, &[("db", &[])]);
    let group = built(&world, group.stop_timeout(world.tick()));
    group.start().await.expect("nothing fails");
    let report = group.close().await;
    assert!(report.members[0].stop_error.is_some(), "{report}");
    assert!(diary.told("db").expect("a limit") < world.tick());
}

async fn n11_with_no_time_left_each_stop_is_polled_once<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Hang);
    let group = built(&world, diary.group(&world, &CHAIN));
    group.start().await.expect("nothing fails");
    let report = group.shutdown(std::time::Duration::ZERO).await;
    // Those that need no time have stopped, and the one that needs some is told of.
    assert!(diary.has("web is down") && diary.has("db is down"));
    assert!(report.members[1].stop_error.is_some(), "{report}");
}

async fn n11_the_shutdown_that_has_less_time_speaks_for_all<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("db", Act::Hang);
    diary.on_stop("api", Act::Take(1));
    let group = built(&world, diary.group(&world, &CHAIN));
    group.start().await.expect("nothing fails");
    let (patient, hasty) = join(
        group.shutdown(world.tick() * 1000),
        group.shutdown(world.tick() * 8),
    )
    .await;
    assert!(!patient.is_clean() && !hasty.is_clean());
    assert!(diary.told("db").expect("a limit") <= world.tick() * 8);
}

async fn b10_what_a_stop_leaves_that_was_cut_off_is_abandoned<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("hangs", &[]),
        ("panics", &[]),
        ("fails", &[]),
        ("stops", &[]),
    ];
    diary.on_stop("hangs", Act::Hang);
    diary.on_stop("panics", Act::Panic("on purpose"));
    diary.on_stop("fails", Act::Fail("not all is undone"));
    let group = built(&world, diary.group(&world, parts));
    group.start().await.expect("nothing fails");
    let report = group.shutdown(world.tick() * 2).await;
    assert!(!report.is_clean(), "{report}");
    assert_eq!(group.state(), State::Closed, "{report}");
    for (name, is_cut_off) in [
        ("hangs", true),
        ("panics", true),
        ("fails", false),
        ("stops", false),
    ] {
        assert_eq!(
            diary.has(&format!("{name} is abandoned")),
            is_cut_off,
            "{name}"
        );
    }
}

async fn b10_a_member_that_is_a_group_abandons_its_own<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_stop("api", Act::Hang);
    let inner = built(&world, diary.group(&world, &CHAIN));
    let outer = Group::local_builder("outer")
        .add("inner", inner)
        .add("last", diary.part(&world, "last"));
    let outer = built(&world, outer);
    outer.start().await.expect("nothing fails");
    let report = outer.shutdown(Duration::ZERO).await;
    assert_eq!(outer.state(), State::Closed, "{report}");
    assert!(diary.has("web is down") && diary.has("api is abandoned"));
    // What it needs was given up after it, if it was not stopped.
    assert!(diary.has("db is down") || diary.at("api is abandoned") < diary.at("db is abandoned"));
}
