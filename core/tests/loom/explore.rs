//! Trying the orders, and running futures so that the checker sees who sleeps.

use std::any::type_name;
use std::future::Future;
use std::panic;
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use loom::model::Builder;
use loom::sync::Notify;
use loom::thread::{self, JoinHandle};

/// Runs the model in every order in which its threads can come by.
pub(crate) fn in_every_order<M: Fn() + Send + Sync + 'static>(model: M) {
    explore(None, model);
}

/// The same without those orders that interrupt threads more than `most` times. A thread that waits
/// is not interrupted.
pub(crate) fn with_interruptions<M: Fn() + Send + Sync + 'static>(most: usize, model: M) {
    explore(Some(most), model);
}

fn explore<M: Fn() + Send + Sync + 'static>(bound: Option<usize>, model: M) {
    end_with_the_first_panic();
    let mut builder = Builder::new();
    // For a longer search by hand: `LOOM_MAX_PREEMPTIONS=5 .ci/run loom`.
    let bound = bound.map(|most| builder.preemption_bound.unwrap_or(most));
    builder.preemption_bound = bound;
    let executions = Arc::new(AtomicUsize::new(0));
    let began_at = Instant::now();
    builder.check({
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            model();
        }
    });
    let name = type_name::<M>().trim_end_matches("::{{closure}}");
    let executions = executions.load(Ordering::Relaxed);
    let bound = match bound {
        None => String::from("every order"),
        Some(most) => format!("at most {most} preemptions"),
    };
    let seconds = began_at.elapsed().as_secs_f32();
    println!("{name}: {executions} executions, {bound}, {seconds:.1} s");
}

/// The checker speaks by panics. None may be contained as if it were a hook's, and none unwinds well:
/// what is dropped on the way would take locks in an execution that is over.
fn end_with_the_first_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let say = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            say(info);
            process::exit(101);
        }));
    });
}

/// Runs a future to its end. To the checker a task that sleeps for ever is a deadlock; it also tries
/// what comes of a poll without a wake.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let task = Arc::new(Task(Notify::new()));
    let waker = Waker::from(task.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        task.0.wait();
    }
}

/// Polls a future at most `polls` times, then drops it, as whoever cancels it does.
pub(crate) fn cancel_after<F: Future>(polls: usize, future: F) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if future.as_mut().poll(&mut cx).is_ready() {
            return;
        }
    }
}

/// Does `work` on another thread.
///
/// What both share is in an `Arc`, because handles would be counted, and each count would multiply the
/// orders; and in one of `std`'s, for the same reason.
pub(crate) fn beside<S: 'static, T: 'static>(
    shared: &Arc<S>,
    work: impl FnOnce(&S) -> T + 'static,
) -> JoinHandle<T> {
    let shared = shared.clone();
    thread::spawn(move || work(&shared))
}

pub(crate) fn join<T, const N: usize>(threads: [JoinHandle<T>; N]) -> [T; N] {
    threads.map(|thread| thread.join().unwrap())
}

struct Task(Notify);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}
