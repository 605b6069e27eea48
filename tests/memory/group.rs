//! Groups whose members come and go.

use std::time::Duration;

use tenure_core::group::Lifecycle;
use tenure_core::{BoxError, Group};
use tenure_sim::{Sim, run};

use crate::allocations::{self, Allocations};

struct Plain;

impl Lifecycle for Plain {
    async fn start(&self) -> Result<(), BoxError> {
        Ok(())
    }

    async fn stop(&self, _within: Option<Duration>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn members_that_are_added_and_removed_leave_nothing_and_cost_the_same_each_time() {
    run(0, |sim| async move {
        let group = Group::builder("tenants").add("base", Plain);
        let group = group.build(sim).expect("a graph");
        group.start().await.expect("nothing fails");
        for tenant in 0..3 {
            come_and_go(&group, tenant).await;
        }
        let mut rounds = Vec::new();
        for round in 0..4 {
            allocations::start();
            for tenant in 0..500 {
                come_and_go(&group, 1_000 + 500 * round + tenant).await;
            }
            rounds.push(allocations::stop());
        }
        let Allocations { count, .. } = rounds[0];
        for round in &rounds {
            assert!(round.bytes.abs() < 64, "{rounds:?}");
            assert_eq!(round.count, count, "{rounds:?}");
        }
        assert_eq!(group.report().members.len(), 1);
    });
}

/// What comes and goes beside a thousand others costs no more than beside ten.
#[test]
fn a_member_costs_the_same_however_many_others_there_are() {
    run(0, |sim| async move {
        let mut costs = Vec::new();
        for others in [10, 1_000] {
            let names = (0..others).map(|other| format!("other {other}"));
            let empty = Group::builder("tenants").add("base", Plain);
            let group = names.fold(empty, |group, name| group.add(name, Plain));
            let group = group.build(sim.clone()).expect("a graph");
            group.start().await.expect("nothing fails");
            for tenant in 0..3 {
                come_and_go(&group, tenant).await;
            }
            allocations::start();
            come_and_go(&group, 3).await;
            costs.push(allocations::stop().count);
        }
        assert_eq!(costs[0], costs[1], "{costs:?}");
    });
}

async fn come_and_go(group: &Group<Sim>, tenant: usize) {
    let name = format!("tenant {tenant:05}");
    let addition = group.add(name.clone(), Plain).after("base");
    addition.start().await.expect("nothing fails");
    group.remove(&name).await.expect("nothing needs it");
}
