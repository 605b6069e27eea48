//! The tasks of one test: tasks of Embassy's executor, in a static pool, as on any device.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};
use core::future::Future;
use core::mem::take;
use core::pin::Pin;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use embassy_executor::raw::{Executor, TaskPool};

use crate::{OneThread, clock};

/// As many as a test has at a time.
static POOL: TaskPool<Polled, 512> = TaskPool::new();

static EXECUTOR: OneThread<OnceCell<Executor>> = OneThread(OnceCell::new());

/// Set when a task is woken. One store and one load: not every processor swaps.
static HAS_WORK: AtomicBool = AtomicBool::new(false);

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    HAS_WORK.store(true, Ordering::Relaxed);
}

/// The tasks of one test.
#[derive(Default)]
pub struct Tasks {
    running: RefCell<Vec<Rc<Task>>>,
    has_ended: Cell<bool>,
}

/// A task, whose future is dropped with its test.
struct Task {
    future: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    waker: RefCell<Option<Waker>>,
}

/// What Embassy polls of it.
struct Polled(Rc<Task>);

impl Tasks {
    /// Runs `test` to its end, and drops what it leaves running. The clock goes on when all tasks wait.
    ///
    /// # Panics
    /// If all tasks wait, and for nothing.
    pub fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(Rc<Self>) -> F) {
        let tasks = Rc::new(Self::default());
        let body = test(tasks.clone());
        tasks.spawn({
            let tasks = tasks.clone();
            async move {
                body.await;
                tasks.has_ended.set(true);
            }
        });
        while !tasks.has_ended.get() {
            assert!(
                poll() || clock::advance(),
                "hangs: all tasks wait, and none for the clock"
            );
        }
        tasks.clear();
    }

    /// Runs `future` until it or the test ends.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if self.has_ended.get() {
            return;
        }
        let task = Rc::new(Task {
            future: RefCell::new(Some(Box::pin(future))),
            waker: RefCell::default(),
        });
        let mut running = self.running.borrow_mut();
        running.retain(|task| task.waker.borrow().is_some() || task.future.borrow().is_some());
        running.push(task.clone());
        let token = POOL.spawn(|| Polled(task));
        executor()
            .spawner()
            .spawn(token.expect("a place in the pool of tasks"));
    }

    /// Drops all futures, and has Embassy find that its tasks have ended.
    fn clear(&self) {
        for task in take(&mut *self.running.borrow_mut()) {
            let future = task.future.borrow_mut().take();
            drop(future);
            let waker = task.waker.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        while poll() {}
        clock::forget_others();
    }
}

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = &self.0;
        clock::these_are_of_tasks(cx.waker());
        // Not borrowed while it is polled: the test may end by it.
        let Some(mut future) = task.future.borrow_mut().take() else {
            return Poll::Ready(());
        };
        *task.waker.borrow_mut() = Some(cx.waker().clone());
        if future.as_mut().poll(cx).is_ready() {
            *task.waker.borrow_mut() = None;
            return Poll::Ready(());
        }
        *task.future.borrow_mut() = Some(future);
        Poll::Pending
    }
}

/// Polls the tasks that were woken. Returns `false` if none was.
fn poll() -> bool {
    let has_work = HAS_WORK.load(Ordering::Relaxed);
    HAS_WORK.store(false, Ordering::Relaxed);
    if has_work {
        // SAFETY: no task polls the executor.
        unsafe { executor().poll() }
    }
    has_work
}

fn executor() -> &'static Executor {
    EXECUTOR.0.get_or_init(|| Executor::new(null_mut()))
}
