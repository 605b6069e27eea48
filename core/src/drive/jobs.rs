//! Several pieces of work that run within one task.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::reporter::Reporter;
use crate::retry::nested::show;
use crate::runtime::Clock;
use crate::sync::{self, Arc, Lock, Wake};

/// Several futures that run within one task: those being opened, checked or closed at once.
///
/// A wake polls the job that was woken, and no other: were all polled, as many handshakes as there are jobs would cost
/// the square of that. For this each job has a waker of its own. Some executors accept no wakers but their own; where
/// the clock [says so](crate::Timer::ACCEPTS_WRAPPED_WAKERS), jobs are polled with the task's context, all of them at each wake.
///
/// What a job runs of the user's is contained where it is called. A panic that reaches this place all the same
/// ends that job alone, and never whoever drives it.
pub(crate) struct JobSet<F> {
    /// A job's number is its index, as long as it runs.
    jobs: Vec<Option<RunningJob<F>>>,
    running: usize,
    /// Numbers of jobs that have ended.
    free: Vec<usize>,
    /// Absent where wakers are not wrapped.
    woken: Option<Arc<Woken>>,
    /// What a job panicked with, until it is told.
    panicked: Option<String>,
}

struct RunningJob<F> {
    future: Pin<Box<F>>,
    /// Absent where wakers are not wrapped.
    waker: Option<Waker>,
}

/// Which jobs were woken since they were polled last, and how to wake the task that polls them.
#[derive(Default)]
struct Woken(Lock<WokenJobs>);

#[derive(Default)]
struct WokenJobs {
    /// In the order in which they were woken, each once.
    numbers: Vec<usize>,
    /// By number.
    is_woken: Vec<bool>,
    /// Absent between a wake and the next poll.
    task: Option<Waker>,
}

/// Wakes one job. After the job has ended it wakes whichever has taken over its number, which does no harm.
struct JobWaker {
    number: usize,
    woken: Arc<Woken>,
}

impl Woken {
    /// Takes note of a wake, and hands out the task's waker, to be woken outside the lock.
    fn note(&self, number: usize) -> Option<Waker> {
        self.0.with(|woken| {
            if woken.is_woken.len() <= number {
                woken.is_woken.resize(number + 1, false);
            }
            if !core::mem::replace(&mut woken.is_woken[number], true) {
                woken.numbers.push(number);
            }
            woken.task.take()
        })
    }

    /// Leaves the task's waker, then takes the numbers of those woken: who is woken after that wakes the task.
    fn take(&self, task: &Waker) -> Vec<usize> {
        let is_known = self.0.with(|woken| {
            woken
                .task
                .as_ref()
                .is_some_and(|known| known.will_wake(task))
        });
        // Both clone and drop are user code, and happen under no lock.
        let mut left = (!is_known).then(|| task.clone());
        self.0.with(|woken| {
            if left.is_some() {
                core::mem::swap(&mut woken.task, &mut left);
            }
            let numbers = core::mem::take(&mut woken.numbers);
            for number in &numbers {
                woken.is_woken[*number] = false;
            }
            numbers
        })
    }
}

impl Wake for JobWaker {
    fn wake(&self) {
        if let Some(task) = self.woken.note(self.number) {
            task.wake();
        }
    }
}

impl<F: Future<Output = ()>> JobSet<F> {
    /// For jobs that are driven beside a clock.
    pub(crate) fn new<C: Clock>(_clock: &C) -> Self {
        let wraps = C::ACCEPTS_WRAPPED_WAKERS && sync::CAN_WRAP_WAKERS;
        Self {
            jobs: Vec::new(),
            running: 0,
            free: Vec::new(),
            woken: wraps.then(|| Arc::new(Woken::default())),
            panicked: None,
        }
    }

    /// Adds a job, which the next poll polls.
    pub(crate) fn push(&mut self, job: F) {
        // Where all are polled, it is in the order of their numbers: there the next comes last.
        let reused = { self.woken.as_ref() }.and_then(|_| self.free.pop());
        let number = reused.unwrap_or(self.jobs.len());
        let waker = self.woken.as_ref().map(|woken| {
            // Whoever pushes polls next, and need not be woken for it.
            let _unwoken = woken.note(number);
            sync::waker_of(JobWaker {
                number,
                woken: woken.clone(),
            })
        });
        let job = RunningJob {
            future: Box::pin(job),
            waker,
        };
        if number == self.jobs.len() {
            self.jobs.push(Some(job));
        } else {
            self.jobs[number] = Some(job);
        }
        self.running += 1;
    }

    /// Polls the jobs that were woken and forgets those that ended. Says whether any did.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.running;
        let _for_others = show(None);
        let woken = { self.woken.as_ref() }.map(|woken| woken.take(cx.waker()));
        match woken {
            Some(numbers) => numbers
                .into_iter()
                .for_each(|number| self.poll_one(number, cx)),
            None => {
                (0..self.jobs.len()).for_each(|number| self.poll_one(number, cx));
                self.jobs.retain(Option::is_some);
                self.free.clear();
            }
        }
        if self.running == 0 {
            // A set that was once large would keep its room for as long as its task lives.
            self.jobs = Vec::new();
            self.free = Vec::new();
        }
        self.running < before
    }

    fn poll_one(&mut self, number: usize, cx: &mut Context<'_>) {
        // One that has ended may be woken still.
        let Some(entry) = self.jobs.get_mut(number) else {
            return;
        };
        let Some(RunningJob { future, waker }) = entry else {
            return;
        };
        let polled = sync::contain(|| match waker {
            Some(waker) => future.as_mut().poll(&mut Context::from_waker(waker)),
            None => future.as_mut().poll(cx),
        });
        match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => {}
            Err(message) => self.panicked = Some(message),
        }
        *entry = None;
        self.running -= 1;
        self.free.push(number);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.running == 0
    }

    pub(crate) const fn len(&self) -> usize {
        self.running
    }

    /// Drops every job: what each held gives itself back.
    pub(crate) fn clear(&mut self) {
        self.running = 0;
        self.free = Vec::new();
        for job in core::mem::take(&mut self.jobs) {
            if let Err(message) = sync::contain(|| drop(job)) {
                self.panicked = Some(message);
            }
        }
    }

    /// Tells of a job that panicked, if one did since the last time.
    pub(crate) fn tell_panics(&mut self, reporter: &Reporter, clock: &impl Clock) {
        if let Some(message) = self.take_panic() {
            reporter.swallowed(clock, "background work", message);
        }
    }

    /// Takes what a job panicked with, to tell it.
    pub(crate) const fn take_panic(&mut self) -> Option<String> {
        self.panicked.take()
    }
}

/// At most one future, boxed while it runs: a task that may have to do a piece of work pays for it only
/// then. Another may be begun beside one that takes too long.
pub(crate) struct OneJob<F> {
    job: Option<Pin<Box<BoxedJob<F>>>>,
}

pin_project! {
    struct BoxedJob<F> {
        #[pin]
        future: F,
        // One that runs on beside it.
        older: Option<Pin<Box<BoxedJob<F>>>>,
    }
}

impl<F> OneJob<F> {
    pub(crate) const fn none() -> Self {
        Self { job: None }
    }

    pub(crate) fn begin(&mut self, future: F) {
        self.job = Some(Box::pin(BoxedJob {
            future,
            older: None,
        }));
    }

    /// Begins a job beside the one that runs, if one does. Of two that run, the later is dropped.
    pub(crate) fn begin_beside(&mut self, future: F) {
        let mut before = self.job.take();
        let oldest = { before.as_mut() }.and_then(|job| job.as_mut().project().older.take());
        let older = oldest.or_else(|| before.take());
        self.job = Some(Box::pin(BoxedJob { future, older }));
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.job.is_none()
    }
}

impl<F: Future> OneJob<F> {
    /// Polls the job that was begun last, if there is one, and gives what came of it once it has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<F::Output> {
        let running = self.job.as_mut()?.as_mut().project();
        // What is opened here is opened for all who wait, and not within the retries of this task.
        let for_others = show(None);
        let polled = running.future.poll(cx);
        drop(for_others);
        match polled {
            Poll::Pending => None,
            Poll::Ready(output) => {
                self.job = running.older.take();
                Some(output)
            }
        }
    }

    /// Polls the job that runs beside that one, and forgets it once it has ended.
    pub(crate) fn poll_older(&mut self, cx: &mut Context<'_>) {
        let Some(running) = &mut self.job else {
            return;
        };
        let older = running.as_mut().project().older;
        if let Some(job) = older {
            let for_others = show(None);
            let polled = job.as_mut().project().future.poll(cx);
            drop(for_others);
            if polled.is_ready() {
                *older = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::rc::Rc;
    use core::cell::{Cell, RefCell};
    use core::future::poll_fn;

    use futures::task::noop_waker;

    use super::*;
    use crate::runtime::NoTimer;
    use crate::runtime::Timer;
    use crate::time::Instant;

    #[derive(Clone)]
    struct Anywhere;

    impl Timer for Anywhere {
        const ACCEPTS_WRAPPED_WAKERS: bool = true;

        type Sleep = core::future::Pending<()>;

        fn now(&self) -> Instant {
            Instant::EPOCH
        }

        fn sleep_until(&self, _at: Instant) -> Self::Sleep {
            core::future::pending()
        }
    }

    /// A job that counts its polls, and ends once it is told to.
    #[derive(Clone, Default)]
    struct Told {
        polls: Rc<Cell<usize>>,
        ends: Rc<Cell<bool>>,
        waker: Rc<RefCell<Option<Waker>>>,
    }

    impl Told {
        fn job(&self) -> impl Future<Output = ()> + use<> {
            let told = self.clone();
            poll_fn(move |cx| {
                told.polls.set(told.polls.get() + 1);
                *told.waker.borrow_mut() = Some(cx.waker().clone());
                if told.ends.get() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        }

        fn wake(&self) {
            if let Some(waker) = self.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
    }

    fn polls(told: &[Told]) -> Vec<usize> {
        told.iter().map(|told| told.polls.get()).collect()
    }

    #[test]
    fn a_wake_polls_the_job_that_was_woken_and_no_other() {
        let told: [Told; 3] = Default::default();
        let mut jobs = JobSet::new(&Anywhere);
        told.iter().for_each(|told| jobs.push(told.job()));
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(!jobs.poll(&mut cx));
        assert_eq!(polls(&told), [1, 1, 1]);
        told[1].wake();
        told[1].wake();
        assert!(!jobs.poll(&mut cx));
        assert!(!jobs.poll(&mut cx));
        assert_eq!(polls(&told), [1, 2, 1]);
    }

    #[test]
    fn where_wakers_are_not_wrapped_all_jobs_are_polled_with_the_tasks_own() {
        let told: [Told; 2] = Default::default();
        let mut jobs = JobSet::new(&NoTimer);
        told.iter().for_each(|told| jobs.push(told.job()));
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        jobs.poll(&mut cx);
        jobs.poll(&mut cx);
        assert_eq!(polls(&told), [2, 2]);
        let kept = told[0].waker.borrow();
        assert!(kept.as_ref().is_some_and(|kept| kept.will_wake(&waker)));
    }

    #[test]
    fn a_job_that_ends_gives_its_number_to_the_next_and_late_wakes_do_no_harm() {
        let told: [Told; 3] = Default::default();
        let mut jobs = JobSet::new(&Anywhere);
        jobs.push(told[0].job());
        jobs.push(told[1].job());
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        jobs.poll(&mut cx);
        told[0].ends.set(true);
        told[0].wake();
        assert!(jobs.poll(&mut cx));
        assert_eq!(jobs.len(), 1);
        told[0].wake();
        jobs.push(told[2].job());
        assert!(!jobs.poll(&mut cx));
        assert_eq!(polls(&told), [2, 1, 1]);
        told[2].ends.set(true);
        told[0].wake();
        assert!(jobs.poll(&mut cx));
        told[1].ends.set(true);
        told[1].wake();
        assert!(jobs.poll(&mut cx) && jobs.is_empty());
    }

    #[test]
    fn a_job_that_panics_ends_alone() {
        let told = Told::default();
        let mut jobs: JobSet<Pin<Box<dyn Future<Output = ()>>>> = JobSet::new(&Anywhere);
        jobs.push(Box::pin(async { panic!("oh") }));
        jobs.push(Box::pin(told.job()));
        let waker = noop_waker();
        assert!(jobs.poll(&mut Context::from_waker(&waker)));
        assert_eq!((jobs.len(), jobs.take_panic().as_deref()), (1, Some("oh")));
    }
}
