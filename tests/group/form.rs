//! What makes a group, and what it says of itself.

use std::time::Duration;

use tenure_core::group::{GetError, GraphError, Lifecycle};
use tenure_core::{BoxError, Group, Managed, NoTimer, Pool, Resource};

use super::{Diary, LocalGroup, built};
use crate::worlds::World;

on_every_backend! {
    s12_a_name_that_is_there_twice_is_an_error,
    s12_a_need_that_nobody_is_called_is_an_error,
    s12_a_cycle_is_an_error_that_shows_it,
    s12_a_member_that_needs_itself_is_an_error,
    s12_get_gives_the_member_or_says_what_there_is,
    b10_the_graph_shows_as_text_and_as_dot,
}

async fn s12_a_name_that_is_there_twice_is_an_error<W: World>(world: W) {
    let diary = Diary::default();
    let group = diary.group(&world, &[("db", &[]), ("api", &[]), ("db", &[])]);
    let error = group.build_local(world.runtime()).expect_err("two dbs");
    assert_eq!(error, GraphError::Duplicate { name: "db".into() });
    assert_eq!(error.to_string(), "two members are called db");
}

async fn s12_a_need_that_nobody_is_called_is_an_error<W: World>(world: W) {
    let diary = Diary::default();
    let group = diary.group(&world, &[("api", &["db"])]);
    let error = group.build_local(world.runtime()).expect_err("no db");
    assert_eq!(error.to_string(), "api comes after db, and there is no db");
}

async fn s12_a_cycle_is_an_error_that_shows_it<W: World>(world: W) {
    let diary = Diary::default();
    let parts: &[(_, &[_])] = &[
        ("root", &[]),
        ("leaf", &["c"]),
        ("a", &["root", "b"]),
        ("b", &["c"]),
        ("c", &["a"]),
    ];
    let group = diary.group(&world, parts);
    let error = group.build_local(world.runtime()).expect_err("a cycle");
    let text = error.to_string();
    let shown = text.strip_prefix("these need each other in a circle: ");
    let shown = shown.unwrap_or_else(|| panic!("{text}"));
    // It may begin anywhere; `root` and `leaf` are no part of it.
    let turns = ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"];
    assert!(turns.contains(&shown), "{shown}");
}

async fn s12_a_member_that_needs_itself_is_an_error<W: World>(world: W) {
    let diary = Diary::default();
    let group = diary.group(&world, &[("narcissus", &["narcissus"])]);
    let error = group.build_local(world.runtime()).expect_err("a cycle");
    let GraphError::Cycle { members } = error else {
        panic!("{error}");
    };
    assert_eq!(members, ["narcissus"]);
}

async fn s12_get_gives_the_member_or_says_what_there_is<W: World>(world: W) {
    let diary = Diary::default();
    let inner = built(&world, diary.group(&world, &[]));
    let group = diary.group(&world, &[("db", &[])]).add("inner", inner);
    let group = built(&world, group);
    let inner: LocalGroup<W> = group.get("inner").expect("it is a group");
    assert_eq!(inner.name().as_str(), "service");
    let error = group.get::<String>("db").expect_err("it is no string");
    assert!(matches!(&error, GetError::OtherType { found, .. } if found.contains("Part<")));
    let error = group
        .get::<String>("dbb")
        .expect_err("nobody is called that");
    assert_eq!(error.to_string(), "service has no member dbb");
}

async fn b10_the_graph_shows_as_text_and_as_dot<W: World>(world: W) {
    let diary = Diary::default();
    let group = diary
        .group(&world, &[("db", &[]), ("cache", &[])])
        .optional()
        .add("api", diary.part(&world, "api"))
        .after("db")
        .wants("cache")
        .add("worker", diary.part(&world, "worker"))
        .wants("db")
        .after("cache")
        .after("db")
        .optional();
    let group = built(&world, group);
    let text = group.graph().to_string();
    let lines = "1. db, cache (optional)\n2. api (after db; wants cache), worker (after cache, db; optional)\n";
    assert_eq!(text, lines);
    let dot = "digraph {\n    \"db\";\n    \"cache\" [style=dashed];\n    \"api\";\n    \
               \"worker\" [style=dashed];\n    \"api\" -> \"db\";\n    \
               \"api\" -> \"cache\" [style=dashed];\n    \"worker\" -> \"cache\";\n    \
               \"worker\" -> \"db\";\n}\n";
    assert_eq!(group.graph().to_dot(), dot);
}

/// A group of what may move between threads may do so itself, and so may its futures.
#[test]
fn b10_a_group_of_members_that_may_move_may_move() {
    struct Unit;
    impl Resource for Unit {
        type Value = ();
        type Error = std::io::Error;
        async fn open(&self) -> Result<(), Self::Error> {
            Ok(())
        }
    }
    struct Worker;
    impl Lifecycle for Worker {
        async fn start(&self) -> Result<(), BoxError> {
            Ok(())
        }
        async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let (managed, _runner) = Managed::builder(Unit)
        .build_with_runner(NoTimer)
        .expect("the defaults");
    let (pool, _runner) = Pool::builder(Unit)
        .build_with_runner(NoTimer)
        .expect("the defaults");
    let inner = Group::builder("inner")
        .add("pool", pool)
        .build(NoTimer)
        .expect("a graph");
    let outer = Group::builder("outer")
        .add("managed", managed)
        .add("worker", Worker)
        .add("inner", inner)
        .build(NoTimer)
        .expect("a graph");
    let ended = std::thread::spawn(move || {
        futures::executor::block_on(async {
            outer.start().await.expect("nothing fails");
            outer.close().await.is_clean()
        })
    });
    assert!(ended.join().expect("no panic"));
}
