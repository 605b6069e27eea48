//! Members that cannot do without an optional one.

use std::time::Duration;

use tenure_core::group::{DependencyFailed, Lifecycle};
use tenure_core::{BoxError, Group, Managed, Retry, State};
use tenure_sim::{Backend, Fault, Faults, Hook, SharedFaultyResource, Sim, run};

const SECOND: Duration = Duration::from_secs(1);

struct Plain;

impl Lifecycle for Plain {
    async fn start(&self) -> Result<(), BoxError> {
        Ok(())
    }

    async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A cache that is down, an api that can do without it, and a worker and its mail that cannot.
async fn started(sim: &Sim, backend: &Backend) -> Group<Sim> {
    backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
    let cache = Managed::builder(SharedFaultyResource::new(backend)).retry(Retry::NEVER);
    let cache = cache.build(sim.clone()).expect("it makes sense");
    let group = Group::builder("service")
        .add("cache", cache)
        .optional()
        .add("api", Plain)
        .wants("cache")
        .add("worker", Plain)
        .after("cache")
        .add("mail", Plain)
        .after("worker")
        .wants("api")
        .build(sim.clone())
        .expect("a graph");
    group.start().await.expect("it can do without the cache");
    group
}

fn states(group: &Group<Sim>) -> Vec<State> {
    let members = group.report().members;
    members.iter().map(|member| member.state).collect()
}

#[test]
fn what_cannot_do_without_an_optional_member_does_not_start_without_it() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let group = started(&sim, &backend).await;
        let expected = [State::Error, State::Ready, State::Error, State::Error];
        assert_eq!(states(&group), expected);
        assert_eq!(group.state(), State::Degraded);
        assert!(group.is_ready() && group.has_started());
        for (member, missing) in [(2, "cache"), (3, "worker")] {
            let report = group.report();
            let cause = report.members[member].start_error.as_ref();
            let failed = cause.and_then(|cause| cause.downcast_ref::<DependencyFailed>());
            assert_eq!(failed.expect("it was held back").dependency, missing);
        }
        let late = group.add("late", Plain).after("cache").start().await;
        let text = "late did not start in service: requires cache, which is not up";
        assert_eq!(late.expect_err("for the same reason").to_string(), text);
        let soon = group.add("soon", Plain).wants("cache").start().await;
        soon.expect("it can do without");
        group.remove("soon").await.expect("nothing needs it");
        let graph = group.graph();
        let text = "1. cache (optional)\n2. api (wants cache), worker (after cache)\n\
                    3. mail (after worker; wants api)\n";
        assert_eq!(graph.to_string(), text);
        let dot = graph.to_dot();
        assert!(
            dot.contains("\"api\" -> \"cache\" [style=dashed];"),
            "{dot}"
        );
        assert!(dot.contains("\"worker\" -> \"cache\";"), "{dot}");
        assert!(group.close().await.is_clean());
    });
}

#[test]
fn what_was_held_back_starts_once_what_it_requires_has_come_up() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let group = started(&sim, &backend).await;
        let watch = sim.task("watch", group.supervisor().intensity(0, SECOND).run());
        sim.sleep(SECOND * 60).await;
        assert_eq!(group.state(), State::Degraded);
        // By itself: its Runner opens it, and nobody restarts it.
        backend.set_faults(Faults::none());
        sim.sleep(SECOND * 60).await;
        assert_eq!(states(&group), [State::Ready; 4]);
        assert_eq!((group.state(), backend.opened()), (State::Ready, 1));
        let report = group.report();
        assert!(
            report
                .members
                .iter()
                .all(|member| member.start_error.is_none()),
            "{report}"
        );
        backend.set_faults(Faults::none().one_in(1, Hook::Open, Fault::Fail));
        backend.break_all();
        let cache = group.get::<Managed<SharedFaultyResource, Sim>>("cache");
        let cache = cache.expect("it is that");
        for _ in 0..3 {
            drop(cache.check().await);
        }
        let expected = [State::Error, State::Ready, State::Error, State::Error];
        assert_eq!(states(&group), expected, "it is down with what it requires");
        assert_eq!(
            group.state(),
            State::Degraded,
            "as the group is without a cache"
        );
        assert!(group.close().await.is_clean());
        assert!(watch.await.is_ok());
        backend.assert_accounted();
    });
}
