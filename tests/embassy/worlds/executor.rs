//! Embassy's executor for threads, run to the end of a test.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use embassy_executor::raw::TaskStorage;
use embassy_executor::{Executor, Spawner};
use tenure_embassy::Embassy;

use super::{World, driver};

/// Embassy's executor on one thread, in virtual time: the clock goes to its next alarm when every task waits.
///
/// The library spawns nothing there. A Runner is awaited in a task that the program spawns.
#[derive(Clone)]
pub(crate) struct EmbassyThread {
    spawner: Spawner,
    tasks: Rc<Tasks>,
}

impl World for EmbassyThread {
    type Runtime = Embassy;
    type Mark = Arc<()>;

    const VIRTUAL_TIME: bool = true;

    fn run<F: Future<Output = ()> + 'static>(test: impl Fn(Self) -> F) {
        let tasks = Rc::<Tasks>::default();
        let begin = |spawner: Spawner| {
            tasks.count.set(1);
            spawn(spawner, pulse(tasks.clone()));
            let world = Self {
                spawner,
                tasks: tasks.clone(),
            };
            let body = test(world.clone());
            world.detach({
                let tasks = tasks.clone();
                async move {
                    body.await;
                    tasks.have_to_end.set(true);
                }
            });
        };
        let executor = made_static(Executor::new());
        executor.run_until(begin, || tasks.are_over());
    }

    fn runtime(&self) -> Embassy {
        Embassy
    }

    fn detach(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.spawn(self.spawner, Box::pin(future));
    }
}

/// The tasks of one test, which end with it.
#[derive(Default)]
struct Tasks {
    futures: RefCell<Vec<Weak<Slot>>>,
    pulse: RefCell<Option<Waker>>,
    /// How many tasks of the executor there are, the pulse among them.
    count: Cell<usize>,
    /// Whether one of them was polled since this was last asked.
    were_busy: Cell<bool>,
    have_to_end: Cell<bool>,
}

/// What a task of the executor polls, out of which it can be taken: the executor itself drops no task.
struct Slot {
    future: RefCell<Option<BoxedFuture>>,
    waker: RefCell<Option<Waker>>,
}

type BoxedFuture = Pin<Box<dyn Future<Output = ()>>>;

impl Tasks {
    fn spawn(self: &Rc<Self>, spawner: Spawner, future: BoxedFuture) {
        if self.have_to_end.get() {
            return;
        }
        let slot = Rc::new(Slot {
            future: RefCell::new(Some(future)),
            waker: RefCell::default(),
        });
        let mut futures = self.futures.borrow_mut();
        futures.retain(|other| other.strong_count() > 0);
        futures.push(Rc::downgrade(&slot));
        self.count.set(self.count.get() + 1);
        spawn(spawner, run(slot, self.clone()));
    }

    /// What the executor asks after each round of polls. Returns `true` once the test and all its tasks have ended.
    fn are_over(&self) -> bool {
        if self.have_to_end.get() {
            self.end();
            return self.count.get() == 0;
        }
        // What was polled may have woken something: only a round in which nothing was shows that all of it waits. If
        // there is no alarm either, only another thread can wake anything.
        if self.were_busy.take() || driver::advance() {
            self.ask_again();
        }
        false
    }

    /// Has the executor do another round of polls, and ask again.
    fn ask_again(&self) {
        if let Some(pulse) = &*self.pulse.borrow() {
            pulse.wake_by_ref();
        }
    }

    fn end(&self) {
        for slot in self.futures.take().iter().filter_map(Weak::upgrade) {
            drop(slot.future.take());
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
        self.ask_again();
    }

    fn has_ended(&self) {
        self.count.set(self.count.get() - 1);
    }
}

/// Spawns a task as `#[embassy_executor::task]` does. Tasks are static, and so is what they run on.
fn spawn(spawner: Spawner, task: impl Future<Output = ()> + 'static) {
    let storage = made_static(TaskStorage::new());
    spawner.spawn(storage.spawn(|| task).expect("it is new"));
}

/// Keeps a value for good, and its address where a search for leaks finds it, as it finds what stands in a `static`.
fn made_static<T>(value: T) -> &'static mut T {
    static ADDRESSES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let made = Box::leak(Box::new(value));
    let mut addresses = ADDRESSES.lock().expect("nobody panics with it");
    addresses.push(ptr::from_mut(made).expose_provenance());
    made
}

/// A task of the program that awaits whatever it is given.
async fn run(slot: Rc<Slot>, tasks: Rc<Tasks>) {
    poll_fn(|cx| {
        tasks.were_busy.set(true);
        // It is out of its slot while it is polled.
        let Some(mut future) = slot.future.take() else {
            return Poll::Ready(());
        };
        slot.waker.replace(Some(cx.waker().clone()));
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            slot.future.replace(Some(future));
        }
        polled
    })
    .await;
    tasks.has_ended();
}

/// A task that does nothing: woken, it has the executor go once more through its tasks.
async fn pulse(tasks: Rc<Tasks>) {
    poll_fn(|cx| {
        tasks.pulse.replace(Some(cx.waker().clone()));
        match tasks.have_to_end.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    tasks.has_ended();
}
