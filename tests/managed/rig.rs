//! A managed probe with all that a test does to it.
//!
//! What tests call goes through boxes here, so that each world compiles it once and not once a test.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, LocalBoxFuture, select};
use tenure_core::managed::{ManagedBuilder, Runner};
use tenure_core::{
    Backoff, CallError, CallOptions, ErrorClass, Instant, Managed, OpenError, Retry, State, Timer,
};

use super::probe::{Did, Gate, Probe, Refused};
use super::recorder::Recorder;
use super::{Handle, ManagedWorld, ProbeWorld};
use crate::worlds::World;

/// A managed probe, its Runner spawned where it can be, and who watches it.
pub(super) struct Rig<W: ManagedWorld> {
    pub(super) world: W,
    pub(super) probe: Probe,
    pub(super) events: Arc<Recorder>,
    pub(super) managed: Handle<W>,
}

/// What an operation answers, if all goes well: the number of the value it was given.
pub(super) type Answer = Result<u32, Refused>;

type Called<'a> = LocalBoxFuture<'a, Result<u32, CallError>>;
type Builder<W> = ManagedBuilder<<W as ProbeWorld>::Probe>;

impl<W: ManagedWorld> Rig<W> {
    /// Retries come three times, each after a tick, unless `configure` says otherwise.
    pub(super) fn new(world: &W, configure: impl FnOnce(Builder<W>) -> Builder<W>) -> Self {
        Self::over(world, &Probe::default(), configure)
    }

    /// With a probe that knows already what to do.
    pub(super) fn over(
        world: &W,
        probe: &Probe,
        configure: impl FnOnce(Builder<W>) -> Builder<W>,
    ) -> Self {
        let (builder, events) = Self::prepare(world, probe);
        Self::around(world, probe, events, world.build(configure(builder)))
    }

    /// With its Runner in the hands of the test.
    pub(super) fn with_runner(
        world: &W,
        configure: impl FnOnce(Builder<W>) -> Builder<W>,
    ) -> (Self, Runner<W::Probe, W::Runtime>) {
        let probe = Probe::default();
        let (builder, events) = Self::prepare(world, &probe);
        let built = configure(builder).build_with_runner(world.runtime());
        let (managed, runner) = built.expect("a valid configuration");
        (Self::around(world, &probe, events, managed), runner)
    }

    /// With no Runner, whatever the world.
    pub(super) fn without_runner(
        world: &W,
        configure: impl FnOnce(Builder<W>) -> Builder<W>,
    ) -> Self {
        Self::with_runner(world, configure).0
    }

    fn prepare(world: &W, probe: &Probe) -> (Builder<W>, Arc<Recorder>) {
        let events = Arc::new(Recorder::default());
        let builder = Managed::builder(world.resource(probe))
            .name("probe")
            .broken_close_timeout(None)
            .retry(every(world.tick()))
            .open_retry(every(world.tick()))
            .events(events.clone());
        (builder, events)
    }

    fn around(world: &W, probe: &Probe, events: Arc<Recorder>, managed: Handle<W>) -> Self {
        Self {
            world: world.clone(),
            probe: probe.clone(),
            events,
            managed,
        }
    }

    pub(super) fn ticks(&self, count: u32) -> Duration {
        self.world.tick() * count
    }

    pub(super) fn now(&self) -> Instant {
        self.world.runtime().now()
    }

    pub(super) async fn wait(&self, ticks: u32) {
        wait(&self.world, ticks).await;
    }

    pub(super) async fn soon<T>(&self, future: impl Future<Output = T>) -> T {
        soon(&self.world, future).await
    }

    pub(super) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        until(&self.world, what, is_so).await;
    }

    pub(super) async fn until_state(&self, state: State) {
        self.until(state.name(), || self.managed.state() == state)
            .await;
    }

    /// Opens it, and waits for it.
    pub(super) async fn open(&self) {
        self.soon(self.managed.open()).await.expect("it opens");
    }

    /// A task that gets the value.
    pub(super) fn getter(&self) -> impl Future<Output = Result<u32, OpenError>> + use<W> {
        let managed = self.managed.clone();
        self.world
            .task(async move { managed.get().await.map(|value| value.id) })
    }

    /// A call that answers at once.
    pub(super) fn ask<'a>(&'a self, answer: impl FnMut(u32) -> Answer + 'a) -> Called<'a> {
        self.ask_with(CallOptions::named("ask"), answer)
    }

    pub(super) fn ask_with<'a>(
        &'a self,
        options: CallOptions,
        mut answer: impl FnMut(u32) -> Answer + 'a,
    ) -> Called<'a> {
        self.run(options, move |id| Box::pin(ready(answer(id))))
    }

    /// A call that is refused each time.
    pub(super) fn refused(&self, options: CallOptions, class: ErrorClass) -> Called<'_> {
        self.ask_with(options, move |_| Err(Refused(class)))
    }

    /// A call that finds the values up to this one broken, and is served by the next.
    pub(super) fn ask_beyond(&self, broken: u32) -> Called<'_> {
        self.ask(move |id| {
            if id > broken {
                Ok(id)
            } else {
                Err(Refused(ErrorClass::Reconnect))
            }
        })
    }

    /// A call that stays in flight until the gate is open.
    pub(super) fn hold(&self, gate: &Gate) -> Called<'_> {
        let gate = gate.clone();
        self.run(CallOptions::named("hold"), move |id| {
            let passed = gate.passed();
            Box::pin(async move {
                passed.await;
                Ok(id)
            })
        })
    }

    pub(super) fn run<'a>(
        &'a self,
        options: CallOptions,
        operation: impl FnMut(u32) -> LocalBoxFuture<'a, Answer> + 'a,
    ) -> Called<'a> {
        self.run_boxed(options, Box::new(operation))
    }

    fn run_boxed<'a>(
        &'a self,
        options: CallOptions,
        mut operation: Box<dyn FnMut(u32) -> LocalBoxFuture<'a, Answer> + 'a>,
    ) -> Called<'a> {
        Box::pin(self.managed.call_with(options, move |value| {
            let answer = operation(value.id);
            async move {
                let _in_use = value;
                answer.await
            }
        }))
    }

    /// Has the value that is open found broken.
    pub(super) async fn break_value(&self) {
        let once = CallOptions::named("break").max_retries(0);
        let broken = self.soon(self.refused(once, ErrorClass::Reconnect)).await;
        assert!(broken.is_err());
    }

    #[track_caller]
    pub(super) fn assert_balanced(&self) {
        let audit = self.managed.audit();
        assert!(audit.is_balanced(), "{audit}");
    }

    /// Closes all, and makes sure that every value has ended exactly once.
    pub(super) async fn ends_well(self) {
        let report = self.soon(self.managed.close()).await;
        assert_eq!(self.managed.state(), State::Closed, "{report}");
        let audit = self.managed.audit();
        assert!(audit.is_balanced() && audit.live() == 0, "{audit}");
        assert_eq!(audit.opened, self.probe.opened() as u64, "{audit}");
        let log = self.probe.log();
        for id in 1..=self.probe.opened() as u32 {
            let ends = log.iter().filter(|did| match did {
                Did::BeginClose(ended) | Did::Abandon(ended, _) => *ended == id,
                _ => false,
            });
            assert!(ends.count() <= 1, "value {id} ended twice: {log:?}");
        }
        let all_told = || self.events.endings().len() as u64 == audit.ended();
        self.until("an event for every ending", all_told).await;
        let all_dropped = || self.probe.alive() == 0;
        self.until("every value dropped", all_dropped).await;
    }
}

/// Three retries, each after `delay` exactly, which is also the cap.
pub(super) const fn every(delay: Duration) -> Retry {
    Retry::new(Backoff::constant(delay).cap(delay))
}

/// For how many ticks a test waits for what must come.
const PATIENCE: u32 = 4_000;

pub(crate) async fn wait<W: World>(world: &W, ticks: u32) {
    let runtime = world.runtime();
    let at = runtime.now() + world.tick() * ticks;
    runtime.sleep_until(at).await;
}

/// Waits for what must come, but not for ever.
pub(crate) async fn soon<W: World, T>(world: &W, future: impl Future<Output = T>) -> T {
    soon_boxed(world, Box::pin(future)).await
}

async fn soon_boxed<W: World, T>(world: &W, future: LocalBoxFuture<'_, T>) -> T {
    let limit = Box::pin(wait(world, PATIENCE));
    match select(future, limit).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("it does not end"),
    }
}

/// Looks again and again until it is so, but not for ever.
pub(crate) async fn until<W: World>(world: &W, what: &str, is_so: impl Fn() -> bool) {
    until_boxed(world, what, Box::new(is_so)).await;
}

async fn until_boxed<W: World>(world: &W, what: &str, is_so: Box<dyn Fn() -> bool + '_>) {
    let runtime = world.runtime();
    let limit = runtime.now() + world.tick() * PATIENCE;
    while !is_so() {
        assert!(runtime.now() < limit, "it has not come to: {what}");
        runtime.sleep_until(runtime.now() + world.tick() / 8).await;
    }
}
