//! A supervisor restarts what is down, and gives up when that is too often.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::group::{LocalLifecycle, LocalMembers, Restarts};
use tenure_core::{Backoff, BoxError, Group, Managed, Retry, State};
use tenure_sim::{Backend, Fault, Faults, Hook, SharedFaultyResource, Sim, run};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn b10_one_that_is_down_restarts_alone() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let watch = sim.task("watch", service.supervisor(Restarts::One));
        service.breaks("db");
        sim.sleep(SECOND * 15).await;
        assert_eq!(service.diary(), ["db stops", "db starts"]);
        assert_eq!(service.group.state(), State::Ready);
        service.group.close().await;
        assert!(watch.await.is_ok(), "it ends with the group");
    });
}

#[test]
fn b10_those_that_need_it_restart_after_it() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let _watch = sim.task("watch", service.supervisor(Restarts::WithDependents));
        service.breaks("db");
        sim.sleep(SECOND * 15).await;
        let order = [
            "db stops",
            "db starts",
            "api stops",
            "api starts",
            "web stops",
            "web starts",
        ];
        assert_eq!(service.diary(), order);
        service.breaks("log");
        sim.sleep(SECOND * 15).await;
        assert_eq!(service.diary(), ["log stops", "log starts"]);
        service.group.close().await;
    });
}

#[test]
fn b10_all_restart_in_the_order_of_their_needs() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let _watch = sim.task("watch", service.supervisor(Restarts::All));
        service.breaks("web");
        sim.sleep(SECOND * 15).await;
        let diary = service.diary();
        assert_eq!(diary.len(), 8, "{diary:?}");
        let at = |line| diary.iter().position(|written| written == line);
        assert!(at("db starts") < at("api stops") && at("api starts") < at("web stops"));
        service.group.close().await;
    });
}

#[test]
fn b10_a_check_that_fails_three_times_is_one_that_is_down() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let _watch = sim.task("watch", service.supervisor(Restarts::One));
        service.part("api").sick.set(true);
        sim.sleep(SECOND * 25).await;
        assert_eq!(service.diary(), Vec::<String>::new(), "two may be chance");
        sim.sleep(SECOND * 10).await;
        assert_eq!(service.diary(), ["api stops", "api starts"]);
        service.group.close().await;
    });
}

#[test]
fn what_comes_up_and_fails_again_too_often_is_given_up() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let watch = sim.task("watch", service.supervisor(Restarts::One));
        let falters = sim.task("falters", {
            let db = service.parts[0].clone();
            let sim = sim.clone();
            async move {
                loop {
                    db.broken.set(true);
                    sim.sleep(SECOND).await;
                }
            }
        });
        let given_up = watch.await.expect_err("it comes up, and fails again");
        let text = given_up.to_string();
        let expected = "service was given up: 3 restarts within 60s, and db is down";
        assert_eq!(text, expected);
        assert!(
            sim.time_passed() >= SECOND * 40,
            "each failure takes a look"
        );
        assert!(sim.time_passed() < SECOND * 60);
        assert_eq!(service.group.state(), State::Closed);
        assert!(service.parts.iter().all(|part| !part.up.get()));
        falters.cancel();
    });
}

/// An outage that keeps a member from coming back is no failure of the service.
#[test]
fn what_does_not_come_back_is_restarted_less_and_less_often_and_never_given_up() {
    for seed in 0..10 {
        run(seed, |sim| async move {
            let service = Service::set(&sim).await;
            let watch = sim.task("watch", service.supervisor(Restarts::All));
            service.part("db").refuses.set(true);
            service.breaks("db");
            sim.sleep(SECOND * 600).await;
            assert!(!watch.is_over());
            assert_eq!(service.group.state(), State::Error);
            let mut diary = service.diary();
            assert!(diary.contains(&"log starts".into()), "{diary:?}");
            diary.retain(|line| !line.starts_with("log"));
            assert!(diary.iter().all(|line| line == "db stops"), "{diary:?}");
            // 1 s, doubled up to 60 s, of which half is random.
            assert!((13..=24).contains(&diary.len()), "{}", diary.len());
            service.part("db").refuses.set(false);
            sim.sleep(SECOND * 75).await;
            assert_eq!(service.group.state(), State::Ready);
            let diary = service.diary();
            let reaches = [
                "db starts",
                "api stops",
                "api starts",
                "web stops",
                "web starts",
            ];
            assert!(diary.ends_with(&reaches.map(String::from)), "{diary:?}");
            service.group.close().await;
            assert!(watch.await.is_ok());
        });
    }
}

/// What is restarted because it is down is restarted at once; what fails again soon waits.
#[test]
fn restarts_in_a_row_have_a_backoff_that_ends_with_a_minute_of_health() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let backoff = Backoff::constant(SECOND * 25);
        let supervisor = service.group.supervisor().backoff(backoff);
        let watch = sim.task("watch", supervisor.intensity(10, SECOND * 60).run());
        service.breaks("db");
        sim.sleep(SECOND * 11).await;
        assert_eq!(service.diary(), ["db stops", "db starts"]);
        service.breaks("db");
        sim.sleep(SECOND * 33).await;
        assert_eq!(
            service.diary(),
            Vec::<String>::new(),
            "it was seen after 20 s"
        );
        sim.sleep(SECOND * 2).await;
        assert_eq!(service.diary(), ["db stops", "db starts"]);
        sim.sleep(SECOND * 90).await;
        service.breaks("db");
        sim.sleep(SECOND * 10).await;
        assert_eq!(service.diary(), ["db stops", "db starts"]);
        service.group.close().await;
        assert!(watch.await.is_ok());
    });
}

/// What held on to the value of before begins anew with the new one.
#[test]
fn those_that_need_a_member_restart_once_it_has_come_back_by_itself() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let db = Managed::builder(SharedFaultyResource::new(&backend))
            .check_every(SECOND)
            .build(sim.clone())
            .expect("it makes sense");
        let diary = Rc::default();
        let group = Group::local_builder("service")
            .add("db", db.clone())
            .add("api", Member(Rc::new(Part::new("api", &sim, &diary))))
            .after("db")
            .build_local(sim.clone())
            .expect("a graph");
        group.start().await.expect("the backend is well");
        let supervisor = group.supervisor().restarts(Restarts::WithDependents);
        let watch = sim.task("watch", supervisor.run());
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
        backend.break_all();
        sim.sleep(SECOND * 30).await;
        assert_eq!(diary.take(), ["api starts"]);
        backend.set_faults(Faults::none());
        sim.sleep(SECOND * 60).await;
        assert_eq!(diary.take(), ["api stops", "api starts"]);
        assert_eq!(db.audit().opened, 2);
        group.close().await;
        assert!(watch.await.is_ok());
    });
}

#[test]
fn b10_what_is_down_now_and_then_is_not_given_up() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let watch = sim.task("watch", service.supervisor(Restarts::One));
        for _ in 0..20 {
            service.breaks("db");
            sim.sleep(SECOND * 80).await;
            assert_eq!(service.diary(), ["db stops", "db starts"]);
        }
        assert!(!watch.is_over());
        service.group.close().await;
        assert!(watch.await.is_ok());
    });
}

#[test]
fn b10_an_optional_member_is_tried_alone_and_the_group_goes_on_without() {
    for restarts in [Restarts::One, Restarts::WithDependents, Restarts::All] {
        run(0, |sim| async move {
            let diary = Rc::default();
            let part = |name| Rc::new(Part::new(name, &sim, &diary));
            let (cache, api) = (part("cache"), part("api"));
            let group = Group::local_builder("service")
                .add("cache", Member(cache.clone()))
                .optional()
                .add("api", Member(api))
                .wants("cache")
                .build_local(sim.clone())
                .expect("a graph");
            cache.refuses.set(true);
            group.start().await.expect("it can do without the cache");
            let watch = sim.task("watch", group.supervisor().restarts(restarts).run());
            sim.sleep(SECOND * 600).await;
            assert!(!watch.is_over());
            assert_eq!(group.state(), State::Degraded);
            cache.slow.set(true);
            sim.sleep(SECOND * 15).await;
            assert!(cache.busy.get(), "it restarts");
            assert_eq!(group.state(), State::Degraded, "as before");
            cache.refuses.set(false);
            sim.sleep(SECOND * 45).await;
            assert_eq!(group.state(), State::Ready);
            let mut lines = diary.take();
            lines.retain(|line| line != "cache stops");
            assert_eq!(lines, ["api starts", "cache starts"]);
            group.close().await;
            assert!(watch.await.is_ok());
        });
    }
}

#[test]
fn b10_a_shutdown_calls_off_a_restart() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let watch = sim.task("watch", service.supervisor(Restarts::One));
        service.part("api").slow.set(true);
        service.breaks("api");
        sim.sleep(SECOND * 11).await;
        assert_eq!(service.diary(), ["api stops"], "it takes its time");
        let report = service.group.shutdown(SECOND * 100).await;
        assert!(report.is_clean(), "{report}");
        assert!(watch.await.is_ok());
        assert!(
            service
                .parts
                .iter()
                .all(|part| !part.up.get() && part.overlaps.get() == 0)
        );
    });
}

#[test]
fn b10_a_managed_member_opens_anew() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let (managed, _runner) = Managed::builder(SharedFaultyResource::new(&backend))
            .build_with_runner(sim.clone())
            .expect("the defaults");
        let group = Group::builder("service")
            .add("db", managed.clone())
            .build(sim.clone())
            .expect("a graph");
        group.start().await.expect("the backend is well");
        let watch = sim.task("watch", group.supervisor().run());
        backend.break_all();
        // Without a Runner nobody else would notice.
        sim.sleep(SECOND * 60).await;
        assert_eq!(managed.audit().opened, 2);
        managed.check().await.expect("it is well again");
        group.close().await;
        assert!(watch.await.is_ok());
        backend.assert_accounted();
    });
}

#[test]
fn b10_a_member_that_came_up_by_itself_is_shown_so() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_faults(Faults::none().nth(Hook::Open, 1, Fault::Fail));
        let cache = Managed::builder(SharedFaultyResource::new(&backend))
            .open_retry(Retry::NEVER)
            .build(sim.clone())
            .expect("it makes sense");
        let group = Group::builder("service")
            .add("cache", cache.clone())
            .optional()
            .build(sim.clone())
            .expect("a graph");
        group.start().await.expect("it can do without the cache");
        assert_eq!(group.state(), State::Degraded);
        assert!(group.report().members[0].start_error.is_some());
        let watch = sim.task("watch", group.supervisor().run());
        // Somebody asks for it, and it opens, though its group has not started it again.
        cache.get().await.expect("the backend is well");
        assert_eq!(group.state(), State::Ready);
        let member = &group.report().members[0];
        assert_eq!(member.state, State::Ready);
        assert!(member.start_error.is_none(), "it has come up since");
        assert!(group.health().await.is_healthy() && group.has_started());
        sim.sleep(SECOND * 60).await;
        assert_eq!(cache.audit().opened, 1, "there is nothing to restart");
        // And when it is down, so is it by its own account.
        cache.close().await;
        assert_eq!(group.state(), State::Degraded);
        assert_eq!(group.report().members[0].state, State::Error);
        group.close().await;
        assert!(watch.await.is_ok());
        backend.assert_accounted();
    });
}

/// It fails for as long as the outage lasts, and comes back by its own Runner.
#[test]
fn a_service_outlives_an_outage_of_a_minute() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let db = Managed::builder(SharedFaultyResource::new(&backend))
            .check_every(SECOND)
            .check_timeout(SECOND)
            .build(sim.clone())
            .expect("it makes sense");
        let diary = Rc::default();
        let api = Rc::new(Part::new("api", &sim, &diary));
        let group = Group::local_builder("service")
            .add("db", db.clone())
            .add("api", Member(api.clone()))
            .after("db")
            .build_local(sim.clone())
            .expect("a graph");
        group.start().await.expect("the backend is well");
        let watch = sim.task("watch", group.supervisor().run());
        sim.sleep(SECOND * 60).await;
        backend.break_all();
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
        // The check of the api asks the database, as many do.
        api.sick.set(true);
        sim.sleep(SECOND * 60).await;
        assert!(!watch.is_over(), "it was given up");
        backend.set_faults(Faults::none());
        while db.state() != State::Ready {
            sim.sleep(SECOND).await;
        }
        api.sick.set(false);
        assert!(sim.time_passed() < SECOND * 180);
        sim.sleep(SECOND * 60).await;
        assert_eq!(diary.take(), ["api starts"], "it was not its own fault");
        assert!(!watch.is_over());
        group.close().await;
        assert!(watch.await.is_ok());
    });
}

#[test]
fn a_panic_in_a_members_state_or_check_ends_no_supervisor() {
    run(0, |sim| async move {
        let service = Service::set(&sim).await;
        let watch = sim.task("watch", service.supervisor(Restarts::One));
        service.part("api").panics.set(true);
        sim.sleep(SECOND * 15).await;
        service.breaks("log");
        sim.sleep(SECOND * 15).await;
        assert!(!watch.is_over());
        let diary = service.diary();
        assert!(diary.contains(&"log starts".into()), "{diary:?}");
        assert_eq!(service.group.report().members[1].state, State::Error);
        service.part("api").panics.set(false);
        sim.sleep(SECOND * 60).await;
        assert_eq!(service.group.state(), State::Ready);
        service.group.close().await;
        assert!(watch.await.is_ok());
    });
}

struct Service {
    group: Group<Sim, LocalMembers>,
    parts: Vec<Rc<Part>>,
    diary: Rc<RefCell<Vec<String>>>,
}

struct Part {
    name: &'static str,
    sim: Sim,
    diary: Rc<RefCell<Vec<String>>>,
    up: Cell<bool>,
    broken: Cell<bool>,
    sick: Cell<bool>,
    refuses: Cell<bool>,
    slow: Cell<bool>,
    busy: Cell<bool>,
    panics: Cell<bool>,
    /// How often it was told to do something while it did something else.
    overlaps: Cell<usize>,
}

struct Member(Rc<Part>);

impl Service {
    async fn set(sim: &Sim) -> Self {
        let diary = Rc::default();
        let parts: Vec<_> = ["db", "api", "web", "log"]
            .map(|name| Rc::new(Part::new(name, sim, &diary)))
            .into();
        let member = |index: usize| Member(parts[index].clone());
        let group = Group::local_builder("service")
            .add("db", member(0))
            .add("api", member(1))
            .after("db")
            .add("web", member(2))
            .after("api")
            .add("log", member(3))
            .build_local(sim.clone())
            .expect("a graph");
        group.start().await.expect("nothing fails");
        let service = Self {
            group,
            parts,
            diary,
        };
        service.diary();
        service
    }

    fn supervisor(
        &self,
        restarts: Restarts,
    ) -> impl Future<Output = Result<(), tenure_core::group::GaveUp>> + use<> {
        self.group.supervisor().restarts(restarts).run()
    }

    fn part(&self, name: &str) -> &Part {
        let mut parts = self.parts.iter();
        parts.find(|part| part.name == name).expect("it is there")
    }

    fn breaks(&self, name: &str) {
        self.part(name).broken.set(true);
    }

    /// What was written since it was read last.
    fn diary(&self) -> Vec<String> {
        self.diary.take()
    }
}

impl Part {
    fn new(name: &'static str, sim: &Sim, diary: &Rc<RefCell<Vec<String>>>) -> Self {
        Self {
            name,
            sim: sim.clone(),
            diary: diary.clone(),
            up: Cell::default(),
            broken: Cell::default(),
            sick: Cell::default(),
            refuses: Cell::default(),
            slow: Cell::default(),
            busy: Cell::default(),
            panics: Cell::default(),
            overlaps: Cell::default(),
        }
    }

    fn write(&self, what: &str) {
        self.diary
            .borrow_mut()
            .push(format!("{} {what}", self.name));
    }

    fn begins(&self) -> Busy<'_> {
        let overlaps = self.overlaps.get() + usize::from(self.busy.replace(true));
        self.overlaps.set(overlaps);
        Busy(self)
    }
}

struct Busy<'a>(&'a Part);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}

impl LocalLifecycle for Member {
    async fn start(&self) -> Result<(), BoxError> {
        let part = &*self.0;
        let _busy = part.begins();
        if part.refuses.get() {
            return Err("it refuses".into());
        }
        part.write("starts");
        part.up.set(true);
        part.broken.set(false);
        part.sick.set(false);
        Ok(())
    }

    async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
        let part = &*self.0;
        let _busy = part.begins();
        part.write("stops");
        if part.slow.replace(false) {
            part.sim.sleep(SECOND * 30).await;
        }
        part.up.set(false);
        Ok(())
    }

    async fn check(&self) -> Result<(), BoxError> {
        assert!(!self.0.panics.get(), "the check of {}", self.0.name);
        if self.0.sick.get() {
            return Err("it is sick".into());
        }
        Ok(())
    }

    fn state(&self) -> State {
        assert!(!self.0.panics.get(), "the state of {}", self.0.name);
        if self.0.broken.get() {
            State::Error
        } else {
            State::Ready
        }
    }
}
