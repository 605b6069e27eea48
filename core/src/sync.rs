//! The one place, beside `lib.rs`, that knows which platform the core was built for.

#[cfg(feature = "alloc")]
pub use with_alloc::Text;
#[cfg(feature = "alloc")]
pub(crate) use with_alloc::*;
#[cfg(not(feature = "alloc"))]
pub use without_alloc::Text;
#[cfg(not(feature = "alloc"))]
pub(crate) use without_alloc::*;

#[cfg(feature = "std")]
pub(crate) use with_std::*;
#[cfg(not(feature = "std"))]
pub(crate) use without_std::*;

#[cfg(all(feature = "std", not(tenure_loom)))]
pub(crate) use threads::*;

#[cfg(feature = "anyhow")]
pub(crate) use with_anyhow::boxed;
#[cfg(all(feature = "alloc", not(feature = "anyhow")))]
pub(crate) use without_anyhow::boxed;

#[cfg(feature = "anyhow")]
mod with_anyhow {
    use alloc::boxed::Box;
    use core::any::Any;
    use core::error::Error;

    type BoxError = Box<dyn Error + Send + Sync>;

    /// Boxes an error with its type kept. The conversion of an `anyhow::Error` would hide the type of what it holds, and
    /// no generic code can tell it from other errors but by its `Any`.
    pub(crate) fn boxed(error: impl Into<BoxError> + 'static) -> BoxError {
        let mut error = Some(error);
        let of_anyhow = (&mut error as &mut dyn Any).downcast_mut::<Option<anyhow::Error>>();
        match of_anyhow.and_then(Option::take) {
            Some(error) => error.reallocate_into_boxed_dyn_error_without_backtrace(),
            None => match error {
                Some(error) => error.into(),
                None => unreachable!("only an error of anyhow is taken out"),
            },
        }
    }
}

#[cfg(all(feature = "alloc", not(feature = "anyhow")))]
mod without_anyhow {
    use alloc::boxed::Box;
    use core::error::Error;

    type BoxError = Box<dyn Error + Send + Sync>;

    /// Boxes an error.
    pub(crate) fn boxed(error: impl Into<BoxError> + 'static) -> BoxError {
        error.into()
    }
}

// By name, because these take the place of what the globs bring. The checker's build has `std`.
#[cfg(tenure_loom)]
pub(crate) use modelled::{AtomicUsize, Lock, parallelism, thread_number, with_enclosing};
#[cfg(tenure_loom)]
mod modelled;

#[cfg(feature = "std")]
mod with_std {
    use alloc::boxed::Box;
    use alloc::string::{String, ToString};
    use core::any::Any;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[cfg(feature = "parking_lot")]
    use parking_lot::{Mutex, MutexGuard};
    #[cfg(not(feature = "parking_lot"))]
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A lock that is held for the length of a closure, so never across an await.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<U>(&self, f: impl FnOnce(&mut T) -> U) -> U {
            f(&mut self.hold())
        }

        /// For [`locked`] alone.
        #[cfg(feature = "parking_lot")]
        #[inline(always)]
        pub(crate) fn hold(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }

        /// For [`locked`] alone. No user code runs while it is held, so a poisoned mutex says nothing and is ignored.
        #[cfg(not(feature = "parking_lot"))]
        #[inline(always)]
        pub(crate) fn hold(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// The lock of what may stand in a `static`, and so outlives a model of the checker.
    pub(crate) use Lock as StaticLock;

    /// Runs a block under a lock, where it stands: the compiler does not always make a closure part of who calls it, and on
    /// the shortest path of a pool that would be a fifth of its length.
    macro_rules! locked {
        ($lock:expr, |$state:ident| $block:block) => {{
            let mut held = $lock.hold();
            let $state = &mut *held;
            $block
        }};
    }
    pub(crate) use locked;

    /// Runs user code and hands back what it panicked with, if it did.
    pub(crate) fn contain<U>(f: impl FnOnce() -> U) -> Result<U, String> {
        catch(f).map_err(message_of)
    }

    /// What a panic carries.
    pub(crate) type Payload = Box<dyn Any + Send>;

    /// Runs user code and hands back its panic, to be [resumed](resume).
    pub(crate) fn catch<U>(f: impl FnOnce() -> U) -> Result<U, Payload> {
        catch_unwind(AssertUnwindSafe(f))
    }

    /// Goes on with a panic that was caught.
    pub(crate) fn resume(payload: Payload) -> ! {
        resume_unwind(payload)
    }

    /// What a panic says that goes no further.
    pub(crate) fn message_of(payload: Payload) -> String {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_string()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            String::from("a panic without a message")
        };
        // It may be any value of the user's, and panic in its turn.
        let _ = catch(|| drop(payload));
        message
    }

    /// Wakes a task, whose waker may panic as any user code may.
    pub(crate) fn wake_contained(waker: core::task::Waker) {
        let _ = catch(|| waker.wake());
    }

    /// Whether the current thread unwinds from a panic.
    #[inline]
    pub(crate) fn is_panicking() -> bool {
        std::thread::panicking()
    }
}

#[cfg(all(feature = "std", not(tenure_loom)))]
mod threads {
    use core::cell::Cell;
    use core::sync::atomic::{AtomicUsize, Ordering};

    use crate::enclosing::EnclosingCell;

    /// A number for the current thread: consecutive threads get consecutive numbers.
    #[inline(always)]
    pub(crate) fn thread_number() -> usize {
        const NONE: usize = usize::MAX;
        std::thread_local! {
            // Known before it is first asked for, and with nothing to drop: so to have it takes one load.
            static MINE: Cell<usize> = const { Cell::new(NONE) };
        }
        #[cold]
        fn next(mine: &Cell<usize>) -> usize {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed));
            mine.get()
        }
        MINE.with(|mine| match mine.get() {
            NONE => next(mine),
            number => number,
        })
    }

    /// The attempt of a retry that this thread polls, as it shows it to what is within.
    #[inline]
    pub(crate) fn with_enclosing<U>(look: impl FnOnce(&EnclosingCell) -> U) -> U {
        std::thread_local! {
            static SHOWN: EnclosingCell = const { EnclosingCell::new() };
        }
        SHOWN.with(look)
    }

    /// How many stacks of idle values spread the threads of this platform.
    pub(crate) fn parallelism() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(not(feature = "std"))]
mod without_std {
    use core::cell::RefCell;
    use core::fmt;

    use crate::enclosing::EnclosingCell;

    /// A lock that is held for the length of a closure, so never across an await.
    ///
    /// It is a critical section, so that an interrupt handler may use what it guards.
    pub(crate) struct Lock<T>(critical_section::Mutex<RefCell<T>>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(critical_section::Mutex::new(RefCell::new(value)))
        }

        #[inline]
        pub(crate) fn with<U>(&self, f: impl FnOnce(&mut T) -> U) -> U {
            critical_section::with(|section| f(&mut self.0.borrow_ref_mut(section)))
        }
    }

    impl<T: Default> Default for Lock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> fmt::Debug for Lock<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Lock").finish_non_exhaustive()
        }
    }

    pub(crate) use Lock as StaticLock;

    /// Runs a block under a lock.
    #[cfg(feature = "alloc")]
    macro_rules! locked {
        ($lock:expr, |$state:ident| $block:block) => {
            $lock.with(|$state| $block)
        };
    }
    #[cfg(feature = "alloc")]
    pub(crate) use locked;

    /// Without threads' own variables none is shown, and whatever is, is forgotten.
    pub(crate) fn with_enclosing<U>(look: impl FnOnce(&EnclosingCell) -> U) -> U {
        look(&EnclosingCell::new())
    }

    /// Runs user code; without `std` nothing can catch its panic.
    #[cfg(feature = "alloc")]
    pub(crate) fn contain<U>(f: impl FnOnce() -> U) -> Result<U, alloc::string::String> {
        Ok(f())
    }

    /// What a panic carries: there is none that was caught.
    #[cfg(feature = "alloc")]
    #[derive(Debug)]
    pub(crate) enum Payload {}

    /// Runs user code; without `std` nothing can catch its panic.
    #[cfg(feature = "alloc")]
    pub(crate) fn catch<U>(f: impl FnOnce() -> U) -> Result<U, Payload> {
        Ok(f())
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn resume(payload: Payload) -> ! {
        match payload {}
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn message_of(payload: Payload) -> alloc::string::String {
        match payload {}
    }

    /// Wakes a task; without `std` nothing can catch a panic.
    pub(crate) fn wake_contained(waker: core::task::Waker) {
        waker.wake();
    }

    pub(crate) fn is_panicking() -> bool {
        false
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn thread_number() -> usize {
        0
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn parallelism() -> usize {
        1
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) use with_swaps::*;
#[cfg(all(feature = "alloc", not(target_has_atomic = "ptr")))]
pub(crate) use without_swaps::*;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod with_swaps {
    // Under the checker too: sinks and budgets come in the user's, and each count would add orders.
    pub(crate) use alloc::sync::{Arc, Weak};
    pub(crate) use core::sync::atomic::AtomicBool;
    #[cfg(not(tenure_loom))]
    pub(crate) use core::sync::atomic::AtomicUsize;

    use core::task::Waker;

    use super::Wake;

    /// Forgets the type behind an `Arc`. What is in braces is for platforms where that takes a `Box`.
    macro_rules! erased {
        ($arc:ident, $boxed:block) => {
            $arc
        };
    }
    pub(crate) use erased;

    /// Whether wakers can be made here.
    pub(crate) const CAN_WRAP_WAKERS: bool = true;

    /// The waker that does this.
    pub(crate) fn waker_of(wakes: impl Wake) -> Waker {
        struct Wakes<W>(W);

        impl<W: Wake> alloc::task::Wake for Wakes<W> {
            fn wake(self: Arc<Self>) {
                self.0.wake();
            }

            fn wake_by_ref(self: &Arc<Self>) {
                self.0.wake();
            }
        }

        Waker::from(Arc::new(Wakes(wakes)))
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "64"))]
pub(crate) use with_wide_atomics::SharedNumber;
#[cfg(all(feature = "alloc", not(target_has_atomic = "64")))]
pub(crate) use without_wide_atomics::SharedNumber;

#[cfg(all(feature = "alloc", target_has_atomic = "64"))]
mod with_wide_atomics {
    use core::sync::atomic::{AtomicU64, Ordering};

    /// A number that one thread writes at a time, and any may read. What is `set` is seen by all in one order with what
    /// else is as strictly ordered: of two threads that each set one and then read the other, one sees the other's.
    #[derive(Debug)]
    pub(crate) struct SharedNumber(AtomicU64);

    impl SharedNumber {
        pub(crate) const fn new(number: u64) -> Self {
            Self(AtomicU64::new(number))
        }

        #[inline(always)]
        pub(crate) fn get(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }

        /// Writes it, ordered as all are.
        #[inline(always)]
        pub(crate) fn set(&self, number: u64) {
            self.0.store(number, Ordering::SeqCst);
        }

        /// Writes it, after all that its writer wrote before.
        #[inline(always)]
        pub(crate) fn set_in_turn(&self, number: u64) {
            self.0.store(number, Ordering::Release);
        }
    }
}

#[cfg(all(feature = "alloc", not(target_has_atomic = "64")))]
mod without_wide_atomics {
    use super::Lock;

    /// A number that one thread writes at a time, and any may read.
    #[derive(Debug)]
    pub(crate) struct SharedNumber(Lock<u64>);

    impl SharedNumber {
        pub(crate) fn new(number: u64) -> Self {
            Self(Lock::new(number))
        }

        pub(crate) fn get(&self) -> u64 {
            self.0.with(|number| *number)
        }

        /// Writes it, ordered as all are.
        pub(crate) fn set(&self, new: u64) {
            self.0.with(|number| *number = new);
        }

        /// Writes it, after all that its writer wrote before.
        pub(crate) fn set_in_turn(&self, new: u64) {
            self.set(new);
        }
    }
}

/// Small processors read and write atomically, but cannot compare and swap: the program chooses how that is done
/// instead, by a feature or a `cfg` of `portable-atomic`.
#[cfg(all(feature = "alloc", not(target_has_atomic = "ptr")))]
mod without_swaps {
    pub(crate) use portable_atomic::{AtomicBool, AtomicUsize};
    pub(crate) use portable_atomic_util::{Arc, Weak};

    use core::task::Waker;

    use super::Wake;

    /// Forgets the type behind an `Arc`, by way of a `Box`: the compiler does that for the library's own `Arc` alone.
    macro_rules! erased {
        ($arc:ident, $boxed:block) => {
            Arc::from($boxed)
        };
    }
    pub(crate) use erased;

    /// Whether wakers can be made here: the library's own `Arc` alone becomes one.
    pub(crate) const CAN_WRAP_WAKERS: bool = false;

    /// Never called here.
    pub(crate) fn waker_of(_wakes: impl Wake) -> Waker {
        Waker::noop().clone()
    }
}

#[cfg(feature = "alloc")]
mod with_alloc {
    /// What a waker of ours does. See `waker_of`.
    pub(crate) trait Wake: Send + Sync + 'static {
        fn wake(&self);
    }

    /// Keeps what one thread writes out of the cache lines of what others read: two lines, since they
    /// are fetched in pairs. A platform without threads has no use for that, and no memory.
    #[derive(Debug)]
    #[cfg_attr(feature = "std", repr(align(128)))]
    pub(crate) struct CachePadded<T>(pub(crate) T);

    /// Takes no room, and has what it is part of begin at a cache line.
    #[derive(Debug)]
    #[cfg_attr(feature = "std", repr(align(64)))]
    pub(crate) struct CacheLine;

    impl<T> core::ops::Deref for CachePadded<T> {
        type Target = T;

        #[inline(always)]
        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// A name: with the `alloc` feature it may be built at run time, without it is a literal.
    ///
    /// Take `impl Into<Text>`: a `&'static str` serves in both cases, a `String` with `alloc`.
    ///
    /// ```
    /// use tenure_core::Text;
    ///
    /// fn label(text: impl Into<Text>) -> Text {
    ///     text.into()
    /// }
    /// assert_eq!(&*label("billing"), "billing");
    /// ```
    pub type Text = alloc::borrow::Cow<'static, str>;

    /// What is seldom there, and so is kept apart from what holds it.
    #[derive(Clone)]
    pub(crate) struct Apart<T>(alloc::boxed::Box<T>);

    impl<T> Apart<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(alloc::boxed::Box::new(value))
        }

        pub(crate) fn into_inner(self) -> T {
            *self.0
        }
    }

    impl<T> core::ops::Deref for Apart<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// A list of the latest items, at most `N`.
    #[derive(Clone, Debug)]
    pub(crate) struct Latest<T, const N: usize>(alloc::collections::VecDeque<T>);

    impl<T, const N: usize> Latest<T, N> {
        pub(crate) const fn new() -> Self {
            Self(alloc::collections::VecDeque::new())
        }

        pub(crate) fn push(&mut self, item: T) {
            if self.0.len() == N {
                self.0.pop_front();
            }
            self.0.push_back(item);
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
            self.0.iter()
        }
    }
}

#[cfg(not(feature = "alloc"))]
mod without_alloc {
    /// A name: with the `alloc` feature it may be built at run time, without it is a literal.
    ///
    /// Take `impl Into<Text>`: a `&'static str` serves in both cases, a `String` with `alloc`.
    ///
    /// ```
    /// use tenure_core::Text;
    ///
    /// fn label(text: impl Into<Text>) -> Text {
    ///     text.into()
    /// }
    /// assert_eq!(&*label("billing"), "billing");
    /// ```
    pub type Text = &'static str;

    /// What would be kept apart with `alloc`; without, it lies in what holds it.
    #[derive(Clone)]
    pub(crate) struct Apart<T>(T);

    impl<T> Apart<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(value)
        }

        pub(crate) fn into_inner(self) -> T {
            self.0
        }
    }

    impl<T> core::ops::Deref for Apart<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// A list of the latest items; without `alloc` it keeps none.
    #[derive(Clone, Debug)]
    pub(crate) struct Latest<T, const N: usize>(core::marker::PhantomData<T>);

    impl<T, const N: usize> Latest<T, N> {
        pub(crate) const fn new() -> Self {
            Self(core::marker::PhantomData)
        }

        pub(crate) fn push(&mut self, _item: T) {}

        pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
            core::iter::empty()
        }
    }
}
