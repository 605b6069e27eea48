//! Groups whose members are the fields of a struct.

use std::time::Duration;

use tenure_core::group::{LocalLifecycle, StartError};
use tenure_core::{BoxError, Group, LocalResource, Managed, State, Timer};
use tenure_macros::Group;

use super::{Act, Diary, Part};
use crate::worlds::World;

on_every_backend! {
    n09_fields_start_in_the_order_of_their_needs_and_stop_in_reverse,
    n09_a_member_opens_with_the_value_of_what_it_needs,
    n09_an_optional_field_may_fail,
    n09_a_failed_field_is_named_and_what_had_begun_is_stopped,
    n09_limits_of_a_field_are_kept,
    n09_fields_are_called_as_the_attribute_says,
    n09_a_derived_group_is_a_member_of_others,
    n09_one_at_a_time_if_the_attribute_says_so,
}

#[derive(Group)]
#[group(crate = tenure_core)]
struct Service<T: Timer + 'static> {
    #[group(after(api, worker))]
    web: Part<T>,
    #[group(after(db))]
    api: Part<T>,
    #[group(after(db))]
    worker: Part<T>,
    db: Part<T>,
    #[group(skip)]
    motto: &'static str,
}

fn service<W: World>(world: &W, diary: &Diary) -> Group<W::Runtime, Service<W::Runtime>> {
    let service = Service {
        web: diary.part(world, "web"),
        api: diary.part(world, "api"),
        worker: diary.part(world, "worker"),
        db: diary.part(world, "db"),
        motto: "festina lente",
    };
    Group::of(service, world.runtime())
}

async fn n09_fields_start_in_the_order_of_their_needs_and_stop_in_reverse<W: World>(world: W) {
    let diary = Diary::default();
    for name in ["web", "api", "worker", "db"] {
        diary.on_start(name, Act::Take(1));
        diary.on_stop(name, Act::Take(1));
    }
    let group = service(&world, &diary);
    assert_eq!(group.name().as_str(), "service");
    assert_eq!(
        group.graph().to_string(),
        "1. db\n2. api (after db), worker (after db)\n3. web (after api, worker)\n"
    );
    group.start().await.expect("nothing fails");
    assert_eq!(group.state(), State::Ready);
    assert!(diary.at("db is up") < diary.at("api starts").min(diary.at("worker starts")));
    assert!(diary.at("api is up").max(diary.at("worker is up")) < diary.at("web starts"));
    assert_eq!(diary.most_under_way(), 2);
    assert_eq!(group.members().web.name, "web");
    assert_eq!(group.members().motto, "festina lente");
    let report = group.shutdown(world.tick() * 1000).await;
    assert!(report.is_clean() && report.members.len() == 4, "{report}");
    assert!(diary.at("web is down") < diary.at("api stops").min(diary.at("worker stops")));
    assert!(diary.at("api is down").max(diary.at("worker is down")) < diary.at("db stops"));
}

struct Db;

impl LocalResource for Db {
    type Value = u32;
    type Error = BoxError;

    async fn open(&self) -> Result<u32, BoxError> {
        Ok(7)
    }
}

struct Api<T: Timer>(Managed<Db, T>);

impl<T: Timer + 'static> LocalResource for Api<T> {
    type Value = u32;
    type Error = BoxError;

    async fn open(&self) -> Result<u32, BoxError> {
        if self.0.state() != State::Ready {
            return Err("what it needs is not there".into());
        }
        Ok(self.0.get().await? + 1)
    }
}

#[derive(Group)]
#[group(crate = tenure_core)]
struct Layers<T: Timer + 'static> {
    #[group(after(db))]
    api: Managed<Api<T>, T>,
    db: Managed<Db, T>,
}

fn layers<W: World>(world: &W) -> Layers<W::Runtime> {
    let settings = Managed::builder(Db).name("db");
    let (db, runner) = settings
        .build_with_runner(world.runtime())
        .expect("the settings are right");
    world.background(runner.run());
    let settings = Managed::builder(Api(db.clone())).name("api");
    let (api, runner) = settings
        .build_with_runner(world.runtime())
        .expect("the settings are right");
    world.background(runner.run());
    Layers { api, db }
}

async fn n09_a_member_opens_with_the_value_of_what_it_needs<W: World>(world: W) {
    let group = Group::of(layers(&world), world.runtime());
    group.start().await.expect("nothing fails");
    let members = group.members();
    assert_eq!(members.db.get().await.expect("it is open"), 7);
    assert_eq!(members.api.get().await.expect("it is open"), 8);
    assert!(group.close().await.is_clean());
    assert_eq!(members.api.state(), State::Closed);
}

#[derive(Group)]
#[group(crate = tenure_core, name = "shop")]
struct Shop<T: Timer + 'static> {
    #[group(optional)]
    cache: Part<T>,
    #[group(wants(cache), start_timeout = self::limit(), stop_timeout = Duration::from_millis(1))]
    till: Part<T>,
    #[group(optional, after(cache))]
    coupons: Part<T>,
}

fn limit() -> Duration {
    Duration::from_millis(2)
}

fn shop<W: World>(world: &W, diary: &Diary) -> Group<W::Runtime, Shop<W::Runtime>> {
    let shop = Shop {
        cache: diary.part(world, "cache"),
        till: diary.part(world, "till"),
        coupons: diary.part(world, "coupons"),
    };
    Group::of(shop, world.runtime())
}

async fn n09_an_optional_field_may_fail<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("cache", Act::Fail("it is not there"));
    let group = shop(&world, &diary);
    group.start().await.expect("it can do without");
    assert_eq!(group.state(), State::Degraded);
    assert!(diary.has("till is up") && !diary.has("coupons starts"));
    group.close().await;
}

async fn n09_a_failed_field_is_named_and_what_had_begun_is_stopped<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("api", Act::Fail("no port"));
    let group = service(&world, &diary);
    let error = group.start().await.expect_err("the api fails");
    assert_eq!(error.to_string(), "service did not start: api: no port");
    assert_eq!(group.state(), State::Closed);
    assert!(diary.has("db is down") && !diary.has("web starts"));
}

async fn n09_limits_of_a_field_are_kept<W: World>(world: W) {
    let diary = Diary::default();
    diary.on_start("till", Act::Hang);
    let group = shop(&world, &diary);
    let error = group.start().await.expect_err("the till hangs");
    let StartError::Failed { member, cause, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(member, "till");
    assert_eq!(cause.to_string(), "timed out after 2ms");

    let diary = Diary::default();
    diary.on_stop("till", Act::Hang);
    let group = shop(&world, &diary);
    group.start().await.expect("nothing fails");
    let report = group.close().await;
    assert!(report.to_string().contains("till: Closed") && !report.is_clean());
    assert!(diary.has("cache is down"));
}

#[derive(Group)]
#[group(crate = tenure_core)]
struct OnlineShop<T: Timer + 'static> {
    #[group(name = "till-1")]
    first: Part<T>,
    #[group(after(first))]
    r#type: Part<T>,
}

async fn n09_fields_are_called_as_the_attribute_says<W: World>(world: W) {
    let diary = Diary::default();
    let shop = OnlineShop {
        first: diary.part(&world, "first"),
        r#type: diary.part(&world, "type"),
    };
    let group = Group::of(shop, world.runtime());
    assert_eq!(group.name().as_str(), "online_shop");
    assert_eq!(
        group.graph().to_string(),
        "1. till-1\n2. type (after till-1)\n"
    );
}

#[derive(Group)]
#[group(crate = tenure_core)]
struct Mall<T: Timer + 'static> {
    #[group(after(power))]
    shop: Group<T, Shop<T>>,
    power: Part<T>,
}

async fn n09_a_derived_group_is_a_member_of_others<W: World>(world: W) {
    let diary = Diary::default();
    let mall = Mall {
        shop: shop(&world, &diary),
        power: diary.part(&world, "power"),
    };
    let mall = Group::of(mall, world.runtime());
    let town = Group::local_builder("town").add("mall", mall.clone());
    let town = town.build_local(world.runtime()).expect("a graph");
    town.start().await.expect("nothing fails");
    assert!(diary.at("power is up") < diary.at("till starts"));
    assert_eq!(LocalLifecycle::state(&mall.members().shop), State::Ready);
    assert!(town.close().await.is_clean());
    assert!(diary.at("till is down") < diary.at("power stops"));
}

#[derive(Group)]
#[group(crate = tenure_core, most_at_once = 1)]
struct Queue<T: Timer + 'static> {
    first: Part<T>,
    second: Part<T>,
}

async fn n09_one_at_a_time_if_the_attribute_says_so<W: World>(world: W) {
    let diary = Diary::default();
    let queue = Queue {
        first: diary.part(&world, "first"),
        second: diary.part(&world, "second"),
    };
    diary.on_start("first", Act::Take(1));
    let group = Group::of(queue, world.runtime());
    group.start().await.expect("nothing fails");
    assert_eq!(diary.most_under_way(), 1);
    assert!(diary.at("first is up") < diary.at("second starts"));
    group.close().await;
}
