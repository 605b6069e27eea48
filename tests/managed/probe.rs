//! The resource of these tests: it does what it is told, and remembers what was asked of it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tenure_core::{ErrorClass, Failure, Instant, LocalResource, Resource, Timer, Why};

pub(crate) use super::step::{Gate, Refused, Step};

/// A cheap clone that knows which opening gave it.
#[derive(Clone)]
pub(crate) struct Value<M> {
    pub(crate) id: u32,
    _mark: M,
    _alive: Arc<()>,
}

impl<M> fmt::Debug for Value<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Open,
    Check,
    Close,
}

/// What the probe did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    BeginOpen,
    Open(u32),
    BeginCheck(u32),
    /// Also if it was cut off.
    EndCheck(u32),
    BeginClose(u32),
    /// Also if it was cut off.
    EndClose(u32),
    Abandon(u32, Why),
}

/// The test's hand on its resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    open: Script,
    check: Script,
    close: Script,
    log: Vec<Did>,
    times: Vec<(Hook, Instant)>,
    alive: Vec<Weak<()>>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Step>,
    then: Option<Step>,
}

impl Probe {
    /// The hook's next calls do these steps. What comes after them succeeds at once.
    pub(crate) fn next(&self, hook: Hook, steps: impl IntoIterator<Item = Step>) {
        self.with(|inner| inner.script(hook).next.extend(steps));
    }

    /// What the hook does when no steps are left.
    pub(crate) fn always(&self, hook: Hook, step: Step) {
        self.with(|inner| inner.script(hook).then = Some(step));
    }

    pub(crate) fn log(&self) -> Vec<Did> {
        self.with(|inner| inner.log.clone())
    }

    pub(crate) fn did(&self, what: Did) -> bool {
        self.log().contains(&what)
    }

    /// Which of two things that both happened did so first.
    #[track_caller]
    pub(crate) fn assert_order(&self, first: Did, second: Did) {
        let log = self.log();
        let place = |what| log.iter().rposition(|did| *did == what);
        assert!(
            place(first) < place(second) && place(first).is_some(),
            "{first:?} before {second:?} in {log:?}"
        );
    }

    /// How often the hook was called.
    pub(crate) fn begun(&self, hook: Hook) -> usize {
        self.times(hook).len()
    }

    /// When the hook was called.
    pub(crate) fn times(&self, hook: Hook) -> Vec<Instant> {
        self.with(|inner| {
            let calls = inner.times.iter().filter(|(called, _)| *called == hook);
            calls.map(|(_, at)| *at).collect()
        })
    }

    /// How many values were opened.
    pub(crate) fn opened(&self) -> usize {
        self.with(|inner| inner.alive.len())
    }

    /// How many values have not been dropped yet, wherever their clones are.
    pub(crate) fn alive(&self) -> usize {
        self.with(|inner| {
            let alive = inner.alive.iter().filter(|value| value.strong_count() > 0);
            alive.count()
        })
    }

    fn begin<T: Timer>(&self, hook: Hook, did: Did, timer: &T) -> Step {
        self.with(|inner| {
            inner.log.push(did);
            inner.times.push((hook, timer.now()));
            let script = inner.script(hook);
            let step = script.next.pop_front().or_else(|| script.then.clone());
            step.unwrap_or(Step::ok())
        })
    }

    async fn open<T: Timer, M: Default>(&self, timer: &T) -> Result<Value<M>, Refused> {
        self.begin(Hook::Open, Did::BeginOpen, timer)
            .perform(timer)
            .await?;
        let alive = Arc::new(());
        let id = self.with(|inner| {
            inner.alive.push(Arc::downgrade(&alive));
            let id = u32::try_from(inner.alive.len()).expect("few values");
            inner.log.push(Did::Open(id));
            id
        });
        Ok(Value {
            id,
            _mark: M::default(),
            _alive: alive,
        })
    }

    async fn check<T: Timer>(&self, timer: &T, id: u32) -> Result<(), Refused> {
        let step = self.begin(Hook::Check, Did::BeginCheck(id), timer);
        let _end = Ending(self, Did::EndCheck(id));
        step.perform(timer).await
    }

    async fn close<T: Timer>(&self, timer: &T, id: u32) -> Result<(), Refused> {
        let step = self.begin(Hook::Close, Did::BeginClose(id), timer);
        let _end = Ending(self, Did::EndClose(id));
        step.perform(timer).await
    }

    fn push(&self, did: Did) {
        self.with(|inner| inner.log.push(did));
    }

    fn with<U>(&self, f: impl FnOnce(&mut Inner) -> U) -> U {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn script(&mut self, hook: Hook) -> &mut Script {
        match hook {
            Hook::Open => &mut self.open,
            Hook::Check => &mut self.check,
            Hook::Close => &mut self.close,
        }
    }
}

/// Writes down the end of a hook, whichever it is.
struct Ending<'a>(&'a Probe, Did);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.push(self.1);
    }
}

/// The probe for tasks that move between threads.
#[derive(Debug)]
pub(crate) struct SendProbe<T>(pub(crate) Probe, pub(crate) T);

impl<T: Timer<Sleep: Send> + Send + Sync + 'static> Resource for SendProbe<T> {
    type Value = Value<Arc<()>>;
    type Error = Refused;
    const CHECKED: bool = true;
    /// One attempt at a time, however long it takes: what begins beside it is shown in the simulator.
    const EXCLUSIVE: bool = true;

    async fn open(&self) -> Result<Self::Value, Refused> {
        self.0.open(&self.1).await
    }

    async fn check(&self, value: &mut Self::Value) -> Result<(), Refused> {
        self.0.check(&self.1, value.id).await
    }

    async fn close(&self, value: Self::Value, _: Why) -> Result<(), Refused> {
        self.0.close(&self.1, value.id).await
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        failure.error().map_or(ErrorClass::Retry, |error| error.0)
    }

    fn abandon(&self, value: Self::Value, why: Why) {
        self.0.push(Did::Abandon(value.id, why));
    }
}

/// The probe whose values stay on one thread.
#[derive(Debug)]
pub(crate) struct LocalProbe<T>(pub(crate) Probe, pub(crate) T);

impl<T: Timer> LocalResource for LocalProbe<T> {
    type Value = Value<std::rc::Rc<()>>;
    type Error = Refused;
    const CHECKED: bool = true;
    /// One attempt at a time, however long it takes: what begins beside it is shown in the simulator.
    const EXCLUSIVE: bool = true;

    async fn open(&self) -> Result<Self::Value, Refused> {
        self.0.open(&self.1).await
    }

    async fn check(&self, value: &mut Self::Value) -> Result<(), Refused> {
        self.0.check(&self.1, value.id).await
    }

    async fn close(&self, value: Self::Value, _: Why) -> Result<(), Refused> {
        self.0.close(&self.1, value.id).await
    }

    fn classify(&self, failure: Failure<'_, Refused>) -> ErrorClass {
        failure.error().map_or(ErrorClass::Retry, |error| error.0)
    }

    fn abandon(&self, value: Self::Value, why: Why) {
        self.0.push(Did::Abandon(value.id, why));
    }
}
