//! A group and its supervisor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tenure_core::group::Lifecycle;
use tenure_core::{BoxError, Group, State};
use tenure_sim::run;

use super::MOMENT;
use super::lookout::Lookout;
use super::nosy::Refused;

#[test]
fn no_lock_of_a_group_or_its_supervisor_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let group = Group::builder("service")
            .add("first", NosyMember::new(&lookout))
            .add("second", NosyMember::new(&lookout))
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let group = group.clone();
            move || drop((group.state(), group.graph().to_string(), group.clone()))
        });
        lookout.clone().wakes(group.start()).await.expect("a start");
        let supervisor = group
            .supervisor()
            .check_every(MOMENT)
            .backoff(lookout.backoff())
            .intensity(1_000, Duration::from_secs(60));
        let watching = sim.task("supervisor", {
            let lookout = lookout.clone();
            async move { drop(lookout.wakes(supervisor.run()).await) }
        });
        sim.sleep(MOMENT * 20).await;
        let added = group.add("third", NosyMember::new(&lookout));
        added.start().await.expect("it may come");
        let health = group.health().await;
        drop((health.to_string(), format!("{health:?}")));
        drop(group.remove("third").await);
        drop(lookout.clone().wakes(group.close()).await);
        watching.await;
        drop(group);
        lookout.forget();
        lookout.saw_nothing_locked(&[
            "start",
            "stop",
            "restart",
            "check of a member",
            "state",
            "is_recovering",
            "drop of a member",
            "backoff",
            "conversion of an error",
            "display of an error",
            "source of an error",
            "drop of an error",
            "wake",
            "clone of a waker",
            "drop of a waker",
        ]);
    });
}

/// A member of a group that looks wherever the group calls it, and is down now and then.
struct NosyMember {
    lookout: Lookout,
    checks: AtomicUsize,
}

impl NosyMember {
    fn new(lookout: &Lookout) -> Self {
        Self {
            lookout: lookout.clone(),
            checks: AtomicUsize::new(0),
        }
    }
}

impl Lifecycle for NosyMember {
    async fn start(&self) -> Result<(), BoxError> {
        self.lookout.look("start");
        Ok(())
    }

    async fn stop(&self, _: Option<Duration>) -> Result<(), BoxError> {
        self.lookout.look("stop");
        Err(Refused::reconnect(self.lookout.clone()).into())
    }

    async fn restart(&self) -> Result<(), BoxError> {
        self.lookout.look("restart");
        Ok(())
    }

    async fn check(&self) -> Result<(), BoxError> {
        self.lookout.look("check of a member");
        match self.checks.fetch_add(1, Ordering::SeqCst) % 8 {
            0..5 => Err(Refused::reconnect(self.lookout.clone()).into()),
            _ => Ok(()),
        }
    }

    fn state(&self) -> State {
        self.lookout.look("state");
        State::Ready
    }

    fn is_recovering(&self) -> bool {
        self.lookout.look("is_recovering");
        false
    }

    fn abandon(&self) {
        self.lookout.look("abandon of a member");
    }
}

impl Drop for NosyMember {
    fn drop(&mut self) {
        self.lookout.look("drop of a member");
    }
}
