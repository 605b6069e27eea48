//! The resource of these tests: it does what its script says, and counts what becomes of its values.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::channel::oneshot;
use tenure_core::{ErrorClass, Failure, Hooks, Instant, LocalResource, Resource, Timer, Why};

/// What a hook of the probe does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Step {
    #[default]
    Succeed,
    Fail(&'static str),
    FailAs(ErrorClass),
    Slow(Duration),
    Hang,
    Panic,
    /// Waits until the test says what it does: [`Control::let_go`].
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Open,
    Close,
    Check,
    AfterOpen,
    BeforeAcquire,
    AfterRelease,
    BeforeClose,
}

const HOOKS: usize = Hook::BeforeClose as usize + 1;

/// The test's hold on its probe. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Control(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    hooks: [HookBook; HOOKS],
    /// All calls, in order.
    log: Vec<Hook>,
    live: usize,
    most_taken: usize,
    opened: u64,
    closed: Vec<u64>,
    abandoned: Vec<(u64, Why)>,
    checked: Vec<(u64, Instant)>,
}

#[derive(Default)]
struct HookBook {
    script: VecDeque<Step>,
    always: Step,
    begun: usize,
    running: usize,
    ended: usize,
    held: VecDeque<oneshot::Sender<Step>>,
}

impl Control {
    /// What the hook does from now on, once its script is over.
    pub(crate) fn always(&self, hook: Hook, step: Step) {
        self.book().hooks[hook as usize].always = step;
    }

    /// Adds to what the hook does first.
    pub(crate) fn script(&self, hook: Hook, steps: impl IntoIterator<Item = Step>) {
        self.book().hooks[hook as usize].script.extend(steps);
    }

    /// Lets the hook that has been held longest go on with `step`.
    pub(crate) fn let_go(&self, hook: Hook, step: Step) {
        loop {
            let held = self.book().hooks[hook as usize].held.pop_front();
            // One that was cut off meanwhile does not take it.
            if held.expect("a hook is held").send(step).is_ok() {
                return;
            }
        }
    }

    /// How often the hook was called.
    pub(crate) fn begun(&self, hook: Hook) -> usize {
        self.book().hooks[hook as usize].begun
    }

    /// Which hooks were called, in order.
    pub(crate) fn log(&self) -> Vec<Hook> {
        self.book().log.clone()
    }

    pub(crate) fn running(&self, hook: Hook) -> usize {
        self.book().hooks[hook as usize].running
    }

    /// How many calls of the hook were dropped before their end.
    pub(crate) fn cut_off(&self, hook: Hook) -> usize {
        let book = self.book();
        let hook = &book.hooks[hook as usize];
        hook.begun - hook.running - hook.ended
    }

    pub(crate) fn opened(&self) -> u64 {
        self.book().opened
    }

    /// How many values have not been dropped.
    pub(crate) fn live(&self) -> usize {
        self.book().live
    }

    /// The most values and openings there ever were at once.
    pub(crate) fn most_taken(&self) -> usize {
        self.book().most_taken
    }

    /// The values whose close succeeded, in that order.
    pub(crate) fn closed(&self) -> Vec<u64> {
        self.book().closed.clone()
    }

    pub(crate) fn abandoned(&self) -> Vec<(u64, Why)> {
        self.book().abandoned.clone()
    }

    /// Which values were checked, and when each check began.
    pub(crate) fn checked(&self) -> Vec<(u64, Instant)> {
        self.book().checked.clone()
    }

    fn begin(&self, hook: Hook) -> (Running, Step, Option<oneshot::Receiver<Step>>) {
        let mut book = self.book();
        let taken = book.live + book.hooks[Hook::Open as usize].running + 1;
        if matches!(hook, Hook::Open) {
            book.most_taken = book.most_taken.max(taken);
        }
        book.log.push(hook);
        let entry = &mut book.hooks[hook as usize];
        entry.begun += 1;
        entry.running += 1;
        let step = entry.script.pop_front().unwrap_or(entry.always);
        let held = matches!(step, Step::Held).then(|| {
            let (let_go, held) = oneshot::channel();
            entry.held.push_back(let_go);
            held
        });
        drop(book);
        let running = Running {
            control: self.clone(),
            hook,
            ended: false,
        };
        (running, step, held)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no hook panics under the lock")
    }
}

/// A call of a hook, until its end or until it is cut off.
struct Running {
    control: Control,
    hook: Hook,
    ended: bool,
}

impl Running {
    fn end(mut self, note: impl FnOnce(&mut Book)) {
        self.ended = true;
        let mut book = self.control.book();
        let entry = &mut book.hooks[self.hook as usize];
        entry.running -= 1;
        entry.ended += 1;
        note(&mut book);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.control.book().hooks[self.hook as usize].running -= 1;
        }
    }
}

/// What the probe opens.
pub(crate) struct Value<M> {
    /// Values are numbered from 1.
    pub(crate) id: u64,
    pub(crate) condition: Condition,
    control: Control,
    _mark: M,
}

/// What the probe says of a value that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Good,
    Broken,
    PanicsWhenAsked,
}

impl<M> fmt::Debug for Value<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value {}", self.id)
    }
}

impl<M> Drop for Value<M> {
    fn drop(&mut self) {
        self.control.book().live -= 1;
    }
}

/// The probe's error, with a source behind it.
#[derive(Debug)]
pub(crate) struct Fault {
    message: &'static str,
    class: ErrorClass,
    root: Root,
}

/// Where the probe's error comes from.
#[derive(Debug)]
pub(crate) struct Root;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.root)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the root")
    }
}

impl std::error::Error for Root {}

/// The probe itself, whichever kind of values it opens.
struct Probe<T> {
    control: Control,
    timer: T,
}

impl<T: Timer> Probe<T> {
    async fn open<M: Default>(&self) -> Result<Value<M>, Fault> {
        let running = self.act(Hook::Open).await?;
        let mut id = 0;
        running.end(|book| {
            book.opened += 1;
            book.live += 1;
            id = book.opened;
        });
        Ok(Value {
            id,
            condition: Condition::Good,
            control: self.control.clone(),
            _mark: M::default(),
        })
    }

    async fn close<M>(&self, value: Value<M>) -> Result<(), Fault> {
        let running = self.act(Hook::Close).await?;
        running.end(|book| book.closed.push(value.id));
        Ok(())
    }

    async fn check<M>(&self, value: &mut Value<M>) -> Result<(), Fault> {
        let now = self.timer.now();
        self.control.book().checked.push((value.id, now));
        self.just(Hook::Check).await
    }

    /// A hook of which nothing is known but that it was called.
    async fn just(&self, hook: Hook) -> Result<(), Fault> {
        self.act(hook).await?.end(|_| ());
        Ok(())
    }

    async fn act(&self, hook: Hook) -> Result<Running, Fault> {
        let (running, mut step, held) = self.control.begin(hook);
        if let Some(held) = held {
            step = held.await.unwrap_or(Step::Hang);
        }
        let (message, class) = match step {
            Step::Succeed => return Ok(running),
            Step::Slow(time) => {
                self.timer.sleep_until(self.timer.now() + time).await;
                return Ok(running);
            }
            Step::Fail(message) => (message, ErrorClass::Retry),
            Step::FailAs(class) => ("refused", class),
            Step::Panic => panic!("the probe panics in its {hook:?}"),
            Step::Hang | Step::Held => pending().await,
        };
        running.end(|_| ());
        Err(Fault {
            message,
            class,
            root: Root,
        })
    }

    fn is_broken<M>(value: &Value<M>) -> bool {
        match value.condition {
            Condition::Good => false,
            Condition::Broken => true,
            Condition::PanicsWhenAsked => panic!("the probe panics when asked"),
        }
    }

    fn abandon<M>(&self, value: &Value<M>, why: Why) {
        self.control.book().abandoned.push((value.id, why));
    }
}

const ALL_HOOKS: Hooks = Hooks::AFTER_OPEN
    .and(Hooks::BEFORE_ACQUIRE)
    .and(Hooks::AFTER_RELEASE)
    .and(Hooks::BEFORE_CLOSE);

macro_rules! probe {
    ($(#[$doc:meta])+ $name:ident: $trait:ident, $mark:ty, $($timer:tt)+) => {
        $(#[$doc])+
        pub(crate) struct $name<T, const HOOKED: bool = false>(Probe<T>);

        impl<T> $name<T> {
            pub(crate) fn new(control: &Control, timer: T) -> Self {
                let control = control.clone();
                Self(Probe { control, timer })
            }
        }

        impl<T> $name<T, true> {
            pub(crate) fn hooked(control: &Control, timer: T) -> Self {
                let control = control.clone();
                Self(Probe { control, timer })
            }
        }

        impl<T: $($timer)+, const HOOKED: bool> $trait for $name<T, HOOKED> {
            type Value = Value<$mark>;
            type Error = Fault;
            const CHECKED: bool = true;
            // Where they are not named, they are written all the same.
            const HOOKS: Hooks = if HOOKED { ALL_HOOKS } else { Hooks::NONE };

            async fn open(&self) -> Result<Self::Value, Fault> {
                self.0.open().await
            }

            async fn close(&self, value: Self::Value, _: Why) -> Result<(), Fault> {
                self.0.close(value).await
            }

            async fn check(&self, value: &mut Self::Value) -> Result<(), Fault> {
                self.0.check(value).await
            }

            async fn after_open(&self, _: &mut Self::Value) -> Result<(), Fault> {
                self.0.just(Hook::AfterOpen).await
            }

            async fn before_acquire(&self, _: &mut Self::Value) -> Result<(), Fault> {
                self.0.just(Hook::BeforeAcquire).await
            }

            async fn after_release(&self, _: &mut Self::Value) -> Result<(), Fault> {
                self.0.just(Hook::AfterRelease).await
            }

            async fn before_close(&self, _: &mut Self::Value) -> Result<(), Fault> {
                self.0.just(Hook::BeforeClose).await
            }

            fn is_broken(&self, value: &mut Self::Value) -> bool {
                Probe::<T>::is_broken(value)
            }

            fn classify(&self, failure: Failure<'_, Fault>) -> ErrorClass {
                failure.error().map_or(ErrorClass::Retry, |fault| fault.class)
            }

            fn abandon(&self, value: Self::Value, why: Why) {
                self.0.abandon(&value, why);
            }
        }
    };
}

probe! {
    /// The probe where tasks move between threads.
    SendProbe: Resource, Arc<()>, Timer<Sleep: Send> + Send + Sync + 'static
}
probe! {
    /// The probe whose values stay on their thread.
    LocalProbe: LocalResource, Rc<()>, Timer + 'static
}
