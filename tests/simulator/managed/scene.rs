//! Managed resources as they stand when an operation begins, and what goes on beside it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

use tenure_core::managed::Runner;
use tenure_core::{Backoff, Managed, Retry, State};
use tenure_sim::{Backend, SharedFaultyResource, Sim, Task};

use crate::drawn::heal;
use crate::trouble::{Background, HOOK_TIME, MEANWHILE, Trouble};

/// How a managed resource stands when an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// It was never opened.
    Unopened,
    Opened,
    /// Its value is broken, and nobody has noticed.
    Broken,
    /// A call is in flight, and goes on for longer than the operation.
    InCall,
    /// Another task has asked for it before, and waits.
    Opening,
    /// Its value breaks in the middle of the operation, and a call notices.
    Breaking,
}

impl Setting {
    pub(super) const ALL: [Self; 6] = [
        Self::Unopened,
        Self::Opened,
        Self::Broken,
        Self::InCall,
        Self::Opening,
        Self::Breaking,
    ];
}

/// One managed resource, and what goes on beside the operation that is looked at.
pub(super) struct Scene {
    pub(super) sim: Sim,
    pub(super) managed: Managed<SharedFaultyResource, Sim>,
    /// Where nobody runs it.
    pub(super) runner: Cell<Option<Runner<SharedFaultyResource, Sim>>>,
    backend: Backend,
    /// What is over when the operation is.
    others: RefCell<Vec<Task<()>>>,
    /// Ends what would go on for ever, unless it is called off.
    closer: Task<()>,
}

impl Scene {
    pub(super) async fn set(
        sim: Sim,
        setting: Setting,
        background: Background,
        trouble: Trouble,
    ) -> Self {
        let backend = Backend::new(&sim);
        let (managed, runner) = Managed::builder(SharedFaultyResource::new(&backend))
            .name("scene")
            .check_every(HOOK_TIME * 2)
            .reopen_after(2)
            .open_timeout(HOOK_TIME * 3)
            .close_timeout(HOOK_TIME * 3)
            .check_timeout(HOOK_TIME * 3)
            .retry(Retry::new(Backoff::constant(HOOK_TIME)))
            .open_retry(Retry::new(Backoff::constant(HOOK_TIME)))
            .build_with_runner(sim.clone())
            .expect("a configuration that makes sense");
        let scene = Self {
            managed: managed.clone(),
            runner: Cell::default(),
            backend,
            others: RefCell::default(),
            closer: sim.task("closer", {
                let sleep = sim.sleep(HOOK_TIME * 20);
                async move {
                    sleep.await;
                    managed.close().await;
                }
            }),
            sim,
        };
        scene.set_background(background, runner);
        scene.set_value(setting, trouble).await;
        scene
    }

    fn set_background(&self, background: Background, runner: Runner<SharedFaultyResource, Sim>) {
        match background {
            Background::IsAbsent => self.runner.set(Some(runner)),
            Background::Runs => self.beside("runner", runner.run()),
            Background::IsLost => {
                let runner = self.sim.task("runner", runner.run());
                let sleep = self.sim.sleep(MEANWHILE);
                self.beside("loses the runner", async move {
                    sleep.await;
                    runner.cancel();
                });
            }
        }
    }

    async fn set_value(&self, setting: Setting, trouble: Trouble) {
        if !matches!(setting, Setting::Unopened | Setting::Opening) {
            self.managed.open().await.expect("the first open succeeds");
        }
        trouble.begin(&self.backend);
        let managed = self.managed.clone();
        match setting {
            Setting::Unopened | Setting::Opened => {}
            Setting::Broken => self.backend.break_all(),
            Setting::Opening => {
                self.beside("opens", async move { drop(managed.open().await) });
                self.sim.yield_now().await;
            }
            Setting::InCall => {
                let sim = self.sim.clone();
                self.beside("calls", async move {
                    let call = managed.call("long", |value| {
                        let sleep = sim.sleep(HOOK_TIME * 5);
                        async move {
                            sleep.await;
                            value.ask()
                        }
                    });
                    let _ = call.await;
                });
                self.sim.yield_now().await;
            }
            Setting::Breaking => {
                let (sleep, backend) = (self.sim.sleep(MEANWHILE), self.backend.clone());
                self.beside("breaks it", async move {
                    sleep.await;
                    backend.break_all();
                    let _ = managed
                        .call("ask", |value| async move { value.ask() })
                        .await;
                });
            }
        }
    }

    fn beside(&self, name: &str, future: impl Future<Output = ()> + 'static) {
        let task = self.sim.task(name, future);
        self.others.borrow_mut().push(task);
    }

    /// A call whose operation panics at its second poll. The panic reaches the caller, who bears it.
    pub(super) async fn panics_in_a_call(&self) {
        let sim = &self.sim;
        let mut call = pin!(self.managed.call("panics", |value| async move {
            sim.yield_now().await;
            // Unwinds as a panic does, without the hook that prints.
            resume_unwind(Box::new(value.id()));
        }));
        poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            match polled {
                Ok(polled) => polled.map(|answer: Result<(), _>| drop(answer)),
                Err(_panic) => Poll::Ready(()),
            }
        })
        .await;
    }

    /// What has to hold once the operation is over, however it came to be over: nobody waits for ever,
    /// the resource is as good as new, and every value ends once.
    pub(super) async fn prove_whole(self) {
        self.closer.cancel();
        self.is_balanced();
        heal(&self.backend);
        if !matches!(self.managed.state(), State::Closing | State::Closed) {
            self.serves().await;
        }
        drop(self.runner.take());
        let report = self.managed.close().await;
        assert_eq!(report.still_in_use, 0, "{report}");
        assert_eq!(self.managed.state(), State::Closed);
        for other in self.others.take() {
            self.sim.sleep(HOOK_TIME * 5).await;
            assert!(other.is_over(), "{other:?} goes on after the close");
        }
        let audit = self.managed.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        self.backend.assert_accounted();
    }

    async fn serves(&self) {
        let ask = || self.managed.call("ask", |value| async move { value.ask() });
        // An opening that began before the backend was healed may still fail.
        if ask().await.is_err() {
            let answer = ask().await;
            assert!(answer.is_ok(), "{}", answer.unwrap_err());
        }
        assert!(self.managed.is_usable());
        self.is_balanced();
    }

    fn is_balanced(&self) {
        let audit = self.managed.audit();
        assert!(audit.is_balanced(), "{audit}");
        assert_eq!(audit.opened, self.backend.opened(), "{audit}");
        // One in use, and those that calls still use beside it.
        assert!(self.backend.most_live() <= 1 + self.managed.calls_in_flight() + 1);
    }
}
