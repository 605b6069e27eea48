//! A supervisor restarts what is down.

use std::pin::pin;

use futures::future::{RemoteHandle, join};
use futures::poll;
use tenure_core::group::{GaveUp, Restarts, Supervisor};
use tenure_core::{Backoff, State, Timer};

use super::{Act, Diary, LocalGroup, built};
use crate::worlds::World;

on_every_backend! {
    b10_a_supervisor_restarts_one_that_is_down_alone,
    b10_a_supervisor_restarts_those_that_need_it_after_it,
    b10_a_supervisor_restarts_all_in_the_order_of_their_needs,
    b10_a_supervisor_gives_up_what_is_down_too_often,
    a_supervisor_goes_on_with_what_does_not_come_back,
    a_member_that_recovers_is_not_restarted,
    b10_a_supervisor_leaves_alone_who_recovers,
    b10_a_supervisor_tries_an_optional_member_alone_and_without_end,
    a_supervisor_starts_what_was_held_back_once_what_it_requires_is_up,
    b10_a_supervisor_leaves_alone_a_group_that_does_without_a_member,
    b10_a_supervisor_watches_on_while_a_member_is_added,
    b10_a_supervisor_ends_with_its_group,
    b10_a_shutdown_calls_off_a_supervisors_restart,
    b10_a_stop_that_fails_keeps_nobody_from_starting_again,
}

const PARTS: [(&str, &[&str]); 4] = [
    ("db", &[]),
    ("api", &["db"]),
    ("web", &["api"]),
    ("log", &[]),
];

async fn b10_a_supervisor_restarts_one_that_is_down_alone<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let watch = watch(&world, &group, |watch| watch.restarts(Restarts::One));
    diary.is_now("db", State::Error);
    until(&world, || diary.count("db is up") == 2).await;
    assert_eq!(
        diary.lines()[8..],
        ["db stops", "db is down", "db starts", "db is up"]
    );
    assert_eq!(group.state(), State::Ready);
    group.close().await;
    assert!(watch.await.is_ok(), "it ends with the group");
}

async fn b10_a_supervisor_restarts_those_that_need_it_after_it<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let _watch = watch(&world, &group, |watch| {
        watch.restarts(Restarts::WithDependents)
    });
    diary.is_now("db", State::Error);
    until(&world, || diary.count("web is up") == 2).await;
    let again = ["db", "api", "web"]
        .map(|name| ["stops", "is down", "starts", "is up"].map(|what| format!("{name} {what}")));
    assert_eq!(diary.lines()[8..], again.concat());
    group.close().await;
}

async fn b10_a_supervisor_restarts_all_in_the_order_of_their_needs<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let _watch = watch(&world, &group, |watch| watch.restarts(Restarts::All));
    diary.is_now("web", State::Error);
    until(&world, || diary.count("web is up") == 2).await;
    assert_eq!(diary.count("log is up"), 2);
    let lines = diary.lines();
    let last = |line| lines.iter().rposition(|written| written == line);
    assert!(last("db is up") < last("api stops"), "{lines:?}");
    assert!(last("api is up") < last("web stops"), "{lines:?}");
    group.close().await;
}

async fn b10_a_supervisor_gives_up_what_is_down_too_often<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let window = world.tick() * 100_000;
    let watch = watch(&world, &group, |watch| watch.intensity(2, window));
    let began_at = world.runtime().now();
    for up in 1..=3 {
        until(&world, || diary.count("db is up") == up).await;
        diary.is_now("db", State::Error);
    }
    let given_up = watch.await.expect_err("it comes up, and fails again");
    let expected =
        format!("service was given up: 2 restarts within {window:?}, and db is down: it is Error");
    assert_eq!(given_up.to_string(), expected);
    assert_eq!((&*given_up.member, given_up.restarts), ("db", 2));
    // Two looks that find it down, and the one that finds it down too often.
    assert!(world.runtime().now() - began_at >= world.tick() * 3);
    assert_eq!(diary.count("db starts"), 3);
    assert_eq!(group.state(), State::Closed);
    for name in ["api", "web", "log"] {
        assert!(diary.has(&format!("{name} is down")));
    }
    let error = group.start().await.expect_err("it is over");
    assert_eq!(error.to_string(), "service is shut down");
}

/// An outage that keeps a member from coming back is no failure of the service.
async fn a_supervisor_goes_on_with_what_does_not_come_back<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let watch = watch(&world, &group, |watch| {
        watch.intensity(1, world.tick() * 100_000)
    });
    diary.on_start("db", Act::Fail("no route"));
    diary.is_now("db", State::Error);
    until(&world, || diary.count("db starts") >= 5).await;
    assert_eq!(group.state(), State::Error);
    diary.on_start("db", Act::Succeed);
    until(&world, || group.state() == State::Ready).await;
    assert_eq!(diary.count("api stops"), 0, "it was not its own fault");
    group.close().await;
    assert!(watch.await.is_ok());
}

async fn a_member_that_recovers_is_not_restarted<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let watch = watch(&world, &group, |watch| watch.intensity(0, world.tick()));
    diary.recovers("db", true);
    diary.is_now("db", State::Error);
    let checks = diary.checks();
    until(&world, || diary.checks() >= checks + 4 * 5).await;
    assert_eq!((group.state(), diary.lines().len()), (State::Error, 8));
    diary.is_now("db", State::Ready);
    let checks = diary.checks();
    until(&world, || diary.checks() >= checks + 4 * 2).await;
    assert_eq!((group.state(), diary.lines().len()), (State::Ready, 8));
    group.close().await;
    assert!(watch.await.is_ok());
}

async fn b10_a_supervisor_leaves_alone_who_recovers<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let watch = watch(&world, &group, |watch| watch);
    diary.recovers_after("api", 2);
    diary.is_now("api", State::Degraded);
    until(&world, || diary.checks() >= 4 * 5).await;
    assert_eq!(group.state(), State::Ready);
    assert_eq!(diary.lines().len(), 8, "two may be chance");
    group.close().await;
    assert!(watch.await.is_ok());
}

async fn b10_a_supervisor_tries_an_optional_member_alone_and_without_end<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("no route"));
    let cache = diary.group(&world, &[("cache", &[])]).optional();
    let api = cache.add("api", diary.part(&world, "api")).wants("cache");
    let group = built(&world, api);
    group.start().await.expect("it can do without the cache");
    let watch = watch(&world, &group, |watch| {
        let most = watch.intensity(1, world.tick() * 100_000);
        most.restarts(Restarts::WithDependents)
    });
    until(&world, || diary.count("cache starts") >= 5).await;
    assert_eq!(group.state(), State::Degraded);
    diary.on_start("cache", Act::Succeed);
    until(&world, || group.state() == State::Ready).await;
    assert_eq!(diary.count("api starts"), 1);
    assert!(!diary.has("api stops"));
    group.close().await;
    assert!(watch.await.is_ok());
}

async fn a_supervisor_starts_what_was_held_back_once_what_it_requires_is_up<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("no route"));
    let cache = diary.group(&world, &[("cache", &[])]).optional();
    let worker = cache.add("worker", diary.part(&world, "worker"));
    let mail = worker
        .after("cache")
        .add("mail", diary.part(&world, "mail"));
    let group = built(&world, mail.after("worker"));
    group.start().await.expect("it can do without the cache");
    let watch = watch(&world, &group, |watch| watch.intensity(0, world.tick()));
    until(&world, || diary.count("cache starts") >= 3).await;
    assert!(!diary.has("worker starts"));
    diary.on_start("cache", Act::Succeed);
    until(&world, || group.state() == State::Ready).await;
    assert_eq!(
        (diary.count("worker starts"), diary.count("mail starts")),
        (1, 1)
    );
    assert!(!diary.has("worker stops"), "it had not been started");
    group.close().await;
    assert!(watch.await.is_ok());
}

async fn b10_a_supervisor_leaves_alone_a_group_that_does_without_a_member<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("no route"));
    let inner = diary.group(&world, &[("db", &[]), ("cache", &[])]);
    let inner = built(&world, inner.optional());
    let outer = diary.group(&world, &[]).add("storage", inner.clone());
    let outer = built(&world, outer);
    outer.start().await.expect("it can do without the cache");
    let watch = watch(&world, &outer, |watch| watch);
    until(&world, || diary.checks() >= 2 * 7).await;
    assert_eq!(outer.state(), State::Degraded);
    assert!(!diary.has("db stops") && diary.count("cache starts") == 1);
    // It is restarted for a member that it needs, and what it can do without is no reason for another restart.
    diary.is_now("db", State::Error);
    until(&world, || diary.count("db is up") == 2).await;
    let checks = diary.checks();
    until(&world, || diary.checks() >= checks + 2 * 7).await;
    assert_eq!(diary.count("db stops"), 1);
    outer.close().await;
    assert!(watch.await.is_ok());
}

async fn b10_a_supervisor_watches_on_while_a_member_is_added<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    // One that is not up yet is not down, however often it is looked at.
    let watch = watch(&world, &group, |watch| {
        watch.intensity(1, world.tick() * 100_000)
    });
    diary.on_start("mail", Act::Hang);
    let mut addition = pin!(group.add("mail", diary.part(&world, "mail")).start());
    assert!(poll!(addition.as_mut()).is_pending());
    until(&world, || diary.checks() >= 4 * 5).await;
    diary.is_now("log", State::Error);
    until(&world, || diary.count("log is up") == 2).await;
    assert_eq!(diary.count("mail starts"), 1);
    assert_eq!(group.state(), State::Ready);
    // The shutdown calls off the start that the addition drives.
    let (added, report) = join(addition, group.close()).await;
    assert!(added.is_err() && report.is_clean(), "{added:?} {report}");
    assert!(watch.await.is_ok());
}

async fn b10_a_supervisor_ends_with_its_group<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    // It waits for a look that is far away.
    let supervisor = group.supervisor().check_every(world.tick() * 100_000);
    let (ended, report) = join(supervisor.run(), group.close()).await;
    assert!(ended.is_ok() && report.is_clean(), "{ended:?} {report}");
    assert_eq!(diary.checks(), 0);
}

async fn b10_a_shutdown_calls_off_a_supervisors_restart<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let watch = watch(&world, &group, |watch| watch);
    diary.on_stop("api", Act::Hang);
    diary.is_now("api", State::Error);
    until(&world, || diary.has("api stops")).await;
    diary.on_stop("api", Act::Succeed);
    let report = group.close().await;
    assert!(report.is_clean(), "{report}");
    assert!(watch.await.is_ok());
    assert_eq!(diary.count("api stops"), 2);
    assert_eq!(diary.count("api starts"), 1);
}

/// By default a restart is a stop and a start. What the stop leaves undone is no reason not to start.
async fn b10_a_stop_that_fails_keeps_nobody_from_starting_again<W: World>(world: W) {
    let (diary, group) = service(&world).await;
    let _watch = watch(&world, &group, |watch| watch);
    diary.on_stop("db", Act::Fail("it is dead already"));
    diary.is_now("db", State::Error);
    until(&world, || diary.count("db is up") == 2).await;
    assert_eq!(group.state(), State::Ready);
    let report = group.report();
    assert!(report.members[0].start_error.is_none(), "{report}");
    group.close().await;
}

async fn service<W: World>(world: &W) -> (Diary, LocalGroup<W>) {
    let diary = Diary::default();
    let group = diary.group(world, &PARTS).most_at_once(1);
    let group = built(world, group);
    group.start().await.expect("nothing fails");
    (diary, group)
}

type Watch<W> = Supervisor<<W as World>::Runtime, tenure_core::group::LocalMembers>;

/// Has the group watched by a task that looks at every tick.
fn watch<W: World>(
    world: &W,
    group: &LocalGroup<W>,
    set: impl FnOnce(Watch<W>) -> Watch<W>,
) -> RemoteHandle<Result<(), GaveUp>> {
    let supervisor = group.supervisor().check_every(world.tick());
    let supervisor = set(supervisor.backoff(Backoff::constant(world.tick())));
    world.task(supervisor.run())
}

/// Waits until that is so.
async fn until<W: World>(world: &W, is_so: impl Fn() -> bool) {
    let timer = world.runtime();
    while !is_so() {
        timer.sleep_until(timer.now() + world.tick()).await;
    }
}
