//! Small worlds, in every order in which they can run.

use std::time::Duration;

use tenure_core::{Managed, State};
use tenure_sim::{Backend, Hook, SharedFaultyResource, Sim, exhaust};

use crate::tell::tell;

const OPENING: Duration = Duration::from_millis(10);

/// One flight for two who ask, without a Runner; whoever drives it may be the one who is cancelled.
#[test]
fn two_openers_one_cancelled_in_every_order() {
    let explored = exhaust(1_000_000, |sim| async move {
        let (backend, managed) = unopened(&sim);
        let cancelled = opener(&sim, &managed, "is cancelled");
        let served = opener(&sim, &managed, "is served");
        sim.yield_now().await;
        cancelled.cancel();
        served.await;
        assert_eq!(managed.state(), State::Ready);
        managed.close().await;
        assert!(managed.audit().is_balanced());
        backend.assert_accounted();
    });
    tell(format_args!(
        "managed: two openers, one cancelled: {} schedules",
        explored.runs
    ));
}

/// The close comes at the very instant at which the value is open.
#[test]
fn a_close_as_the_opening_ends_in_every_order() {
    let explored = exhaust(1_000_000, |sim| async move {
        let (backend, managed) = unopened(&sim);
        let opener = opener(&sim, &managed, "opener");
        let closer = sim.task("closer", {
            let (sleep, managed) = (sim.sleep(OPENING), managed.clone());
            async move {
                sleep.await;
                managed.close().await;
            }
        });
        opener.await;
        closer.await;
        assert_eq!(managed.state(), State::Closed);
        assert_eq!(managed.audit().live(), 0);
        backend.assert_accounted();
    });
    tell(format_args!(
        "managed: a close as the opening ends: {} schedules",
        explored.runs
    ));
}

fn unopened(sim: &Sim) -> (Backend, Managed<SharedFaultyResource, Sim>) {
    let backend = Backend::new(sim);
    backend.set_time(Hook::Open, OPENING);
    let (managed, runner) = Managed::builder(SharedFaultyResource::new(&backend))
        .build_with_runner(sim.clone())
        .expect("a configuration that makes sense");
    drop(runner);
    (backend, managed)
}

fn opener(
    sim: &Sim,
    managed: &Managed<SharedFaultyResource, Sim>,
    name: &str,
) -> tenure_sim::Task<()> {
    let managed = managed.clone();
    sim.task(name, async move { drop(managed.open().await) })
}
