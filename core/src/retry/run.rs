//! The future that runs an operation until it succeeds or the policy says stop.

use core::fmt;
use core::future::Future;
use core::ops::{ControlFlow, Deref};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::TryFuture;
use pin_project_lite::pin_project;

use super::course::{Course, RetryHooks};
use super::{Accept, AnyValue, Attempt, Budget, ErrorClass, Failure, Retry, RetryError, Until};
use crate::name::redacted;
use crate::runtime::Clock;
use crate::runtime::Timer;
use crate::sync::Text;

/// Runs `op` until it succeeds, its error is not worth a retry, or `policy` says stop.
///
/// `op` makes a new future for each attempt. What it borrows must outlive the whole retry: let it clone
/// what an attempt needs, or borrow from outside. Nothing is boxed, spawned or
/// allocated unless an attempt fails: with the `alloc` feature its record and the error are.
///
/// An operation that succeeds at once costs no sleep, and no reading of the clock unless the policy has a time limit or
/// a hook is told of the attempts; see [time](#time).
///
/// The methods of [`Retrying`] add the rest: [`classify`](Retrying::classify) errors, go on
/// [`until`](Retrying::until) a value is right, watch [`on_attempt`](Retrying::on_attempt), share a
/// [`budget`](Retrying::budget), give the operation a [name](Retrying::named).
///
/// Do not use it for what must not happen twice: an attempt that was cut off, or whose answer was lost,
/// may have taken effect.
///
/// # Time
/// A deadline and an attempt's timeout count from before the first poll, and so does what a hook is told. Without these
/// three, time counts from the end of the first poll: the clock is then read for the first time, if that poll did not succeed.
/// [`RetryError::elapsed`] and [`RetryError::history`] miss that one poll, which is short unless the operation blocks its
/// thread. Each later attempt is timed in full.
///
/// # Within each other
/// Three retries of three retries would be sixteen attempts. They are four: a retry that is polled within
/// an attempt of another shares the attempts of the one that has most. All count together, on however
/// many levels; an attempt that holds others is none of its own. Nobody makes a retry once as many are
/// made as the larger number, and [`StopReason::Nested`](super::StopReason::Nested) says so.
///
/// Each may make its first attempt, since without one it could say nothing. So where an attempt makes one
/// call under a policy of its own, the larger number is all; where it makes two, one after the other or
/// side by side, it is one more at the most. An inner policy can be told to
/// [multiply](Retry::multiply_when_nested).
///
/// `Managed::call` takes part as every retry does. The openings of a `Managed` or a `Pool` are made for
/// all who wait, with all attempts of their policy. A retry around one that waits counts these once it
/// is told that they failed, and tries again only if as many once more make it one above the larger
/// number at the most.
///
/// What an attempt spawns is not within it. Without the `std` feature there is no way for retries to
/// find each other: they do multiply there, so give all but one of them [`Retry::NEVER`].
///
/// ```
/// # use futures::executor::block_on;
#[doc = include_str!("doc_timer.txt")]
/// use tenure_core::{Retry, StopReason, retry};
///
/// # let timer = Virtual::default();
/// let calls = std::cell::Cell::new(0);
/// let query = async || {
///     calls.set(calls.get() + 1);
///     Err::<(), _>("refused")
/// };
/// // A library's own retries, and those of the program that uses it.
/// let load = || retry(&timer, Retry::DEFAULT, query);
/// let error = block_on(retry(&timer, Retry::CRITICAL, load)).unwrap_err();
/// assert_eq!(calls.get(), 6, "as many as the larger policy allows");
/// assert_eq!((error.attempts(), error.reason()), (2, StopReason::Nested));
/// ```
///
/// # Errors
/// [`RetryError`] tells why there was no further attempt, and holds the last error. If the policy or the
/// budget is invalid, it comes before the first attempt: `op` is not called.
///
/// # Cancel safety
/// Dropping the future drops the attempt under way, or the delay, and nothing else happens: it holds no
/// lock and no place in a queue. What the budget paid for a retry that is then not made is not returned.
///
/// # Panics
/// If it is polled after it has completed. A panic of `op` or of a hook passes through, and counts as
/// completion.
///
/// ```
/// # use futures::executor::block_on;
#[doc = include_str!("doc_timer.txt")]
/// use core::time::Duration;
/// use std::io;
/// use tenure_core::{ErrorClass, Failure, Retry, retry};
///
/// async fn connect(address: &str, tries: &std::cell::Cell<u32>) -> io::Result<String> {
///     tries.set(tries.get() + 1);
///     match tries.get() {
///         3 => Ok(format!("connected to {address}")),
///         _ => Err(io::ErrorKind::ConnectionRefused.into()),
///     }
/// }
///
/// # let timer = Virtual::default();
/// let tries = std::cell::Cell::new(0);
/// let policy = Retry::CRITICAL.attempt_timeout(Duration::from_secs(5));
/// let connected = block_on(
///     retry(&timer, policy, || connect("db:5432", &tries))
///         .classify(|failure| match failure {
///             Failure::Error(error) if error.kind() == io::ErrorKind::PermissionDenied => ErrorClass::GiveUp,
///             _ => ErrorClass::Retry,
///         })
///         .named("connect"),
/// );
/// assert_eq!(connected.unwrap(), "connected to db:5432");
/// ```
pub fn retry<T, Op, Fut>(timer: &T, policy: Retry, op: Op) -> Retrying<T, Op, Fut>
where
    T: Timer,
    Op: FnMut() -> Fut,
    Fut: TryFuture,
{
    Retrying::over(timer.clone(), policy, op)
}

pin_project! {
    #[project = RetryingProjection]
    /// The future of [`retry`]; awaiting it gives the operation's value or a [`RetryError`].
    ///
    /// Its methods change how it retries, and are to be called before it is first polled. Of its type
    /// parameters the first three are the timer, the operation and the operation's future; the others
    /// are the hooks, and have defaults. It is `Send` if all of them, the error and a rejected value are.
    ///
    /// # Cancel safety
    /// It may be dropped at any time; see [`retry`](retry#cancel-safety).
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Retry, retry};
    ///
    /// # let timer = Virtual::default();
    /// let page = retry(&timer, Retry::USER_FACING, async || Ok::<_, String>("<html>")).named("page");
    /// assert_eq!(block_on(page).unwrap(), "<html>");
    /// ```
    #[must_use = "nothing is attempted until it is awaited"]
    pub struct Retrying<
        C,
        Op,
        Fut,
        K = fn(Failure<'_, <Fut as TryFuture>::Error>) -> ErrorClass,
        U = AnyValue,
        H = fn(&Attempt<'_, <Fut as TryFuture>::Ok, <Fut as TryFuture>::Error>),
        B = &'static Budget,
    >
    where
        C: Clock,
        Fut: TryFuture,
        U: Accept<Fut::Ok>,
    {
        op: Op,
        course: Course<C, Fut::Error, U::Rejected, K, U, H, B>,
        #[pin]
        step: Step<Fut>,
        // Until the current attempt has to end, or the next may begin. Made once an attempt has turned out to need time.
        #[pin]
        sleep: Option<C::Sleep>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<Fut> {
        Begin,
        Attempt { #[pin] future: Fut },
        /// Without a sleep it waits for nothing but its next turn.
        Wait,
        /// Also while user code runs, so that its panic leaves this.
        Done,
    }
}

impl<C, Op, Fut> Retrying<C, Op, Fut>
where
    C: Clock,
    Op: FnMut() -> Fut,
    Fut: TryFuture,
{
    /// With a clock that may be none: then there is one attempt, and no limit to its time.
    pub(crate) const fn over(clock: C, policy: Retry, op: Op) -> Self {
        let hooks = RetryHooks {
            classify: retry_any::<Fut::Error> as fn(Failure<'_, _>) -> _,
            until: AnyValue,
            on_attempt: None,
            tells_success: true,
            budget: None,
        };
        Self::with(clock, policy, None, hooks, op)
    }
}

impl<C, Op, Fut, K, U, H, B> Retrying<C, Op, Fut, K, U, H, B>
where
    C: Clock,
    Fut: TryFuture,
    U: Accept<Fut::Ok>,
{
    /// All at once: each setting by itself moves the attempt's future with it, which may be large.
    pub(crate) const fn with(
        clock: C,
        policy: Retry,
        name: Option<Text>,
        hooks: RetryHooks<K, U, H, B>,
        op: Op,
    ) -> Self {
        Self {
            op,
            course: Course::new(clock, policy, name, hooks),
            step: Step::Begin,
            sleep: None,
        }
    }

    /// Sets what each failure deserves: an error, or an attempt that timed out. Without it, both are worth a retry.
    ///
    /// A classifier that does not return [`ErrorClass::Retry`] for [`Failure::TimedOut`] ends the retry there: for an
    /// operation that must not run twice.
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{ErrorClass, Failure, Retry, StopReason, retry};
    ///
    /// # let timer = Virtual::default();
    /// let login = retry(&timer, Retry::DEFAULT, async || Err::<(), _>("wrong password"))
    ///     .classify(|failure| match failure {
    ///         Failure::Error(&"wrong password") => ErrorClass::GiveUp,
    ///         _ => ErrorClass::Retry,
    ///     });
    /// let error = block_on(login).unwrap_err();
    /// assert_eq!((error.attempts(), error.reason()), (1, StopReason::GivenUp));
    /// ```
    pub fn classify<K2>(self, classify: K2) -> Retrying<C, Op, Fut, K2, U, H, B>
    where
        K2: FnMut(Failure<'_, Fut::Error>) -> ErrorClass,
    {
        self.with_hooks(|hooks| RetryHooks {
            classify,
            until: hooks.until,
            on_attempt: hooks.on_attempt,
            tells_success: true,
            budget: hooks.budget,
        })
    }

    /// Goes on until a value satisfies `accepts`: a value that does not is worth a retry too.
    ///
    /// The error then holds the last such value, in [`RetryError::rejected`].
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Retry, retry};
    ///
    /// # let timer = Virtual::default();
    /// let get = retry(&timer, Retry::DEFAULT, async || Ok::<u16, String>(503));
    /// let error = block_on(get.until(|status| *status < 500)).unwrap_err();
    /// assert_eq!(error.into_rejected(), Some(503));
    /// ```
    pub fn until<F>(self, accepts: F) -> Retrying<C, Op, Fut, K, Until<F>, H, B>
    where
        F: FnMut(&Fut::Ok) -> bool,
    {
        self.with_hooks(|hooks| RetryHooks {
            classify: hooks.classify,
            until: Until(accepts),
            on_attempt: hooks.on_attempt,
            tells_success: true,
            budget: hooks.budget,
        })
    }

    /// Tells `watch` of each attempt as it ends, the successful one included: its number and times, how
    /// it ended, and what follows.
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Retry, retry};
    ///
    /// # let timer = Virtual::default();
    /// let mut numbers = Vec::new();
    /// let ping = retry(&timer, Retry::DEFAULT, async || Err::<(), _>("refused"));
    /// let _ = block_on(ping.on_attempt(|attempt| numbers.push(attempt.number)));
    /// assert_eq!(numbers, [1, 2, 3, 4]);
    /// ```
    pub fn on_attempt<H2>(self, watch: H2) -> Retrying<C, Op, Fut, K, U, H2, B>
    where
        H2: FnMut(&Attempt<'_, Fut::Ok, Fut::Error>),
    {
        self.with_hooks(|hooks| RetryHooks {
            classify: hooks.classify,
            until: hooks.until,
            on_attempt: Some(watch),
            tells_success: true,
            budget: hooks.budget,
        })
    }

    /// Shares a budget with whoever else uses it: `&Budget`, `Arc<Budget>` or the like.
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Budget, Retry, StopReason, retry};
    ///
    /// # let timer = Virtual::default();
    /// static BUDGET: Budget = Budget::new(1, 20);
    /// let ping = retry(&timer, Retry::DEFAULT, async || Err::<(), _>("refused"));
    /// let error = block_on(ping.budget(&BUDGET)).unwrap_err();
    /// assert_eq!((error.attempts(), error.reason()), (2, StopReason::Budget));
    /// ```
    pub fn budget<B2>(self, budget: B2) -> Retrying<C, Op, Fut, K, U, H, B2>
    where
        B2: Deref<Target = Budget>,
    {
        self.with_hooks(|hooks| RetryHooks {
            classify: hooks.classify,
            until: hooks.until,
            on_attempt: hooks.on_attempt,
            tells_success: true,
            budget: Some(budget),
        })
    }

    /// Names the operation, for the error and the hook. With `alloc` the name may be a `String`, without
    /// it is a literal; see [`Text`].
    ///
    /// ```
    /// # use futures::executor::block_on;
    #[doc = include_str!("doc_timer.txt")]
    /// use tenure_core::{Retry, retry};
    ///
    /// # let timer = Virtual::default();
    /// let user = 7;
    /// let load = retry(&timer, Retry::NEVER, async || Err::<(), _>("refused"))
    ///     .named(format!("load user {user}"));
    /// assert_eq!(block_on(load).unwrap_err().name(), Some("load user 7"));
    /// ```
    pub fn named(mut self, name: impl Into<Text>) -> Self {
        self.course.name = Some(redacted(name.into()));
        self
    }

    fn with_hooks<K2, U2, H2, B2>(
        self,
        change: impl FnOnce(RetryHooks<K, U, H, B>) -> RetryHooks<K2, U2, H2, B2>,
    ) -> Retrying<C, Op, Fut, K2, U2, H2, B2>
    where
        U2: Accept<Fut::Ok>,
    {
        let Course {
            clock,
            policy,
            name,
            hooks,
            ..
        } = self.course;
        Retrying::with(clock, policy, name, change(hooks), self.op)
    }
}

impl<C, Op, Fut, K, U, H, B> Future for Retrying<C, Op, Fut, K, U, H, B>
where
    C: Clock,
    Op: FnMut() -> Fut,
    Fut: TryFuture,
    K: FnMut(Failure<'_, Fut::Error>) -> ErrorClass,
    U: Accept<Fut::Ok>,
    H: FnMut(&Attempt<'_, Fut::Ok, Fut::Error>),
    B: Deref<Target = Budget>,
{
    type Output = Result<Fut::Ok, RetryError<Fut::Error, U::Rejected>>;

    /// The first poll of the first attempt stands by itself, so that the compiler puts it where the retry is awaited:
    /// nearly all operations that succeed at once need no more.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let StepProjection::Begin = this.step.as_mut().project() else {
            return this.poll_later(cx);
        };
        this.step.set(Step::Done);
        this.course.begin()?;
        this.begin_attempt();
        match ready!(this.poll_attempt(cx)) {
            ControlFlow::Break(end) => Poll::Ready(end),
            ControlFlow::Continue(()) => this.poll_later(cx),
        }
    }
}

/// What a retry of `Fut` ends with.
type RetryEnd<Fut, U> = Result<
    <Fut as TryFuture>::Ok,
    RetryError<<Fut as TryFuture>::Error, <U as Accept<<Fut as TryFuture>::Ok>>::Rejected>,
>;

impl<C, Op, Fut, K, U, H, B> RetryingProjection<'_, C, Op, Fut, K, U, H, B>
where
    C: Clock,
    Op: FnMut() -> Fut,
    Fut: TryFuture,
    K: FnMut(Failure<'_, Fut::Error>) -> ErrorClass,
    U: Accept<Fut::Ok>,
    H: FnMut(&Attempt<'_, Fut::Ok, Fut::Error>),
    B: Deref<Target = Budget>,
{
    /// Goes on with a retry that has begun.
    #[cold]
    #[inline(never)]
    fn poll_later(mut self, cx: &mut Context<'_>) -> Poll<RetryEnd<Fut, U>> {
        loop {
            match self.step.as_mut().project() {
                StepProjection::Attempt { .. } => {
                    if let ControlFlow::Break(end) = ready!(self.poll_attempt(cx)) {
                        return Poll::Ready(end);
                    }
                }
                StepProjection::Wait => {
                    if let Some(sleep) = self.sleep.as_mut().as_pin_mut() {
                        ready!(sleep.poll(cx));
                    }
                    self.step.set(Step::Done);
                    self.sleep.set(None);
                    self.course.go_on()?;
                    self.begin_attempt();
                }
                StepProjection::Begin | StepProjection::Done => {
                    panic!("`Retrying` was polled after it had completed")
                }
            }
        }
    }

    #[inline]
    fn begin_attempt(&mut self) {
        let future = (self.op)();
        self.step.set(Step::Attempt { future });
    }

    /// Polls the attempt under way: what the whole ends with, or else to go on. The operation goes first: it wins a
    /// tie with its limit, and where it is ready at once no sleep is made.
    #[inline]
    fn poll_attempt(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<RetryEnd<Fut, U>>> {
        let StepProjection::Attempt { future } = self.step.as_mut().project() else {
            unreachable!("an attempt is polled while it is under way");
        };
        let result = match self.course.nesting.poll(|| future.try_poll(cx)) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => {
                ready!(self.poll_limit(cx));
                None
            }
        };
        self.step.set(Step::Done);
        if self.sleep.is_some() {
            self.sleep.set(None);
        }
        let next = match self.course.settle(result) {
            ControlFlow::Break(end) => return Poll::Ready(ControlFlow::Break(end)),
            ControlFlow::Continue(next) => next,
        };
        if let Some(at) = next {
            // User code, whose panic leaves `Done`.
            let sleep = self.course.clock.try_sleep_until(at);
            self.step.set(Step::Wait);
            self.sleep.set(sleep);
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.step.set(Step::Wait);
        // An operation that fails at once must not keep its executor to itself.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits until the time of an attempt that is not ready is over.
    #[cold]
    #[inline(never)]
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() {
            self.course.note_beginning();
            let end = self.course.attempt_ends();
            let limit = end.and_then(|at| self.course.clock.try_sleep_until(at));
            self.sleep.set(limit);
        }
        match self.sleep.as_mut().as_pin_mut() {
            Some(limit) => limit.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<C, Op, Fut, K, U, H, B> fmt::Debug for Retrying<C, Op, Fut, K, U, H, B>
where
    C: Clock,
    Fut: TryFuture,
    U: Accept<Fut::Ok>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying")
            .field("course", &self.course)
            .finish_non_exhaustive()
    }
}

fn retry_any<E>(_failure: Failure<'_, E>) -> ErrorClass {
    ErrorClass::Retry
}
