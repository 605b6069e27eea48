//! User code that panics where one would not expect it, or asks its own holder: promise 5.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;
use tenure_core::{
    CallOptions, Clock, ErrorClass, Failure, LocalResource, Managed, Retry, State, Why,
};

use super::recorder::{Recorder, What};
use super::{every, soon, until, wait};
use crate::worlds::World;

on_every_backend! {
    promise5_hooks_may_ask_their_own_holder,
    promise5_a_panic_in_classify_is_told,
    promise5_a_panic_in_clone_does_not_end_checking,
    promise5_a_panic_in_abandon_is_told,
}

/// Whose hooks ask the resource that holds them.
struct Curious<C: Clock> {
    holder: Rc<RefCell<Option<Managed<Self, C>>>>,
    asked: Rc<Cell<u32>>,
}

impl<C: Clock> Curious<C> {
    /// Under a lock any of this would hang, or see what does not balance.
    fn ask(&self) {
        let holder = self.holder.borrow();
        let Some(holder) = holder.as_ref() else {
            return;
        };
        assert!(holder.audit().is_balanced(), "{}", holder.audit());
        let _ = (
            holder.state(),
            holder.last_error(),
            holder.calls_in_flight(),
        );
        let _ = (
            holder.try_get(),
            holder.watch(),
            holder.clone(),
            format!("{holder:?}"),
        );
        self.asked.set(self.asked.get() + 1);
    }
}

impl<C: Clock> LocalResource for Curious<C> {
    type Value = u32;
    type Error = &'static str;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<u32, Self::Error> {
        self.ask();
        Ok(self.asked.get())
    }

    async fn check(&self, _: &mut u32) -> Result<(), Self::Error> {
        self.ask();
        Err("not well")
    }

    async fn close(&self, _: u32, _: Why) -> Result<(), Self::Error> {
        self.ask();
        Ok(())
    }

    fn classify(&self, _: Failure<'_, Self::Error>) -> ErrorClass {
        self.ask();
        ErrorClass::Reconnect
    }

    fn abandon(&self, _: u32, _: Why) {
        self.ask();
    }
}

async fn promise5_hooks_may_ask_their_own_holder<W: World>(world: W) {
    let (holder, asked) = (Rc::default(), Rc::default());
    let curious = Curious {
        holder: Rc::clone(&holder),
        asked: Rc::clone(&asked),
    };
    let (managed, runner) = Managed::builder(curious)
        .retry(every(world.tick()))
        .open_retry(every(world.tick()))
        .build_with_runner(world.runtime())
        .expect("a valid configuration");
    *holder.borrow_mut() = Some(managed.clone());
    world.background(runner.run());
    soon(&world, managed.open()).await.expect("it opens");
    let after_open = asked.get();
    assert!(soon(&world, managed.check()).await.is_err());
    let mut failures = 1;
    let call = managed.call("ask", |_| {
        let result = if failures > 0 { Err("gone") } else { Ok(()) };
        failures -= 1;
        async move { result }
    });
    soon(&world, call).await.expect("the new value serves");
    soon(&world, managed.close()).await;
    // open, check, classify, close, open, close
    assert_eq!((after_open, asked.get()), (1, 6));
    let report = soon(&world, managed.close()).await;
    assert!(report.is_clean() && report.closed == 1, "{report}");
    *holder.borrow_mut() = None;
}

/// Panics where it is told to, though never in a hook's future.
struct Brittle {
    classify: bool,
    clone: Rc<Cell<bool>>,
    abandon: bool,
    refuse: Cell<u32>,
}

struct Glass(Rc<Cell<bool>>);

impl Clone for Glass {
    fn clone(&self) -> Self {
        assert!(!self.0.get(), "it cannot be cloned");
        Self(self.0.clone())
    }
}

impl Brittle {
    fn new() -> Self {
        Self {
            classify: false,
            clone: Rc::default(),
            abandon: false,
            refuse: Cell::new(0),
        }
    }
}

impl LocalResource for Brittle {
    type Value = Glass;
    type Error = &'static str;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Glass, Self::Error> {
        match self.refuse.get().checked_sub(1) {
            Some(left) => {
                self.refuse.set(left);
                Err("refused")
            }
            None => Ok(Glass(self.clone.clone())),
        }
    }

    async fn check(&self, _: &mut Glass) -> Result<(), Self::Error> {
        Ok(())
    }

    fn classify(&self, _: Failure<'_, Self::Error>) -> ErrorClass {
        assert!(!self.classify, "it cannot be classified");
        ErrorClass::Retry
    }

    fn abandon(&self, _: Glass, _: Why) {
        assert!(!self.abandon, "it cannot be abandoned");
    }
}

async fn promise5_a_panic_in_classify_is_told<W: World>(world: W) {
    let brittle = Brittle {
        classify: true,
        refuse: Cell::new(1),
        ..Brittle::new()
    };
    let events = Arc::new(Recorder::default());
    let (managed, runner) = Managed::builder(brittle)
        .retry(every(world.tick()))
        .open_retry(every(world.tick()))
        .events(events.clone())
        .build_with_runner(world.runtime())
        .expect("a valid configuration");
    world.background(runner.run());
    soon(&world, managed.open())
        .await
        .expect("the second attempt opens it");
    soon(&world, managed.close()).await;
    let whats = events.whats();
    let told = whats.iter().any(
        |what| matches!(what, What::Swallowed(_, said) if said.contains("it cannot be classified")),
    );
    assert!(told, "nothing is swallowed in silence: {whats:?}");
}

async fn promise5_a_panic_in_clone_does_not_end_checking<W: World>(world: W) {
    let brittle = Brittle::new();
    let panics = brittle.clone.clone();
    let events = Arc::new(Recorder::default());
    let (managed, runner) = Managed::builder(brittle)
        .check_every(world.tick())
        .reopen_after(None)
        .events(events.clone())
        .build_with_runner(world.runtime())
        .expect("a valid configuration");
    let work = world.task(std::panic::AssertUnwindSafe(runner.run()).catch_unwind());
    soon(&world, managed.open()).await.expect("it opens");
    panics.set(true);
    wait(&world, 5).await;
    panics.set(false);
    // In a task of the test it runs in every world.
    until(&world, "checks that pass", || {
        events.whats().last() == Some(&What::CheckPassed)
    })
    .await;
    soon(&world, managed.close()).await;
    assert_eq!(managed.state(), State::Closed);
    assert!(
        soon(&world, work).await.is_ok(),
        "the Runner came to its own end"
    );
}

async fn promise5_a_panic_in_abandon_is_told<W: World>(world: W) {
    let brittle = Brittle {
        abandon: true,
        ..Brittle::new()
    };
    let events = Arc::new(Recorder::default());
    let (managed, runner) = Managed::builder(brittle)
        .events(events.clone())
        .build_with_runner(world.runtime())
        .expect("a valid configuration");
    drop(runner);
    soon(&world, managed.open()).await.expect("it opens");
    let once = CallOptions::named("hang").retry(Retry::NEVER);
    let hangs = once.attempt_timeout(world.tick());
    let call = managed.call_with(hangs, |_| pending::<Result<(), _>>());
    assert!(soon(&world, call).await.is_err());
    drop(managed);
    let whats = events.whats();
    let told = whats.iter().any(|what| {
        matches!(what, What::Ended(tenure_core::Ending::Abandoned, Why::HandlesDropped, Some(said))
            if said.contains("it cannot be abandoned"))
    });
    assert!(told, "{whats:?}");
}
