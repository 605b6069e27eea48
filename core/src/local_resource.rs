//! What the user writes: how one value is opened, closed and checked, on one thread.

use core::future::Future;

use crate::ending::Why;
use crate::hooks::Hooks;
use crate::retry::{ErrorClass, Failure};

/// The twin of [`Resource`](crate::Resource) for values and futures that stay on one thread.
///
/// Everything in this crate is written against this trait, and every [`Resource`](crate::Resource) is one. What it
/// cannot do is spawn its background work onto a runtime that moves tasks between threads: it is built
/// with `build_local`, or with `build_with_runner`. A [`FixedPool`](crate::fixed::FixedPool) takes it where there is no heap.
///
/// ```
/// use std::rc::Rc;
/// use tenure_core::LocalResource;
///
/// struct Counter;
///
/// impl LocalResource for Counter {
///     type Value = Rc<std::cell::Cell<u32>>;
///     type Error = std::io::Error;
///
///     async fn open(&self) -> Result<Self::Value, Self::Error> {
///         Ok(Rc::default())
///     }
/// }
/// ```
pub trait LocalResource {
    /// See [`Resource::Value`](crate::Resource::Value).
    type Value;

    /// See [`Resource::Error`](crate::Resource::Error). Without a heap any type will do; whoever builds a holder on the heap shows
    /// that it becomes a [`BoxError`](crate::BoxError).
    type Error: 'static;

    /// See [`Resource::CHECKED`](crate::Resource::CHECKED).
    const CHECKED: bool = false;

    /// See [`Resource::EXCLUSIVE`](crate::Resource::EXCLUSIVE).
    const EXCLUSIVE: bool = false;

    /// Which of the [hooks](Hooks) are written. Set it together with those methods: a
    /// hook that is named here and not written does not compile, one that is written and not named here
    /// is not called.
    const HOOKS: Hooks = Hooks::NONE;

    /// `true` if a value stays usable after its runtime has ended: see [`Resource::OUTLIVES_RUNTIME`](crate::Resource::OUTLIVES_RUNTIME).
    const OUTLIVES_RUNTIME: bool = false;

    /// See [`Resource::open`](crate::Resource::open).
    ///
    /// # Errors
    /// Whatever keeps the value from being opened.
    fn open(&self) -> impl Future<Output = Result<Self::Value, Self::Error>>;

    /// See [`Resource::close`](crate::Resource::close).
    ///
    /// # Errors
    /// An error is counted and sent to the event sink.
    fn close(&self, value: Self::Value, why: Why) -> impl Future<Output = Result<(), Self::Error>> {
        let _ = why;
        drop(value);
        core::future::ready(Ok(()))
    }

    /// See [`Resource::check`](crate::Resource::check).
    ///
    /// # Errors
    /// An error means that the value is not good.
    fn check(&self, value: &mut Self::Value) -> impl Future<Output = Result<(), Self::Error>> {
        const {
            assert!(
                !Self::CHECKED,
                "`CHECKED` is true, but `check` is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Makes a value that was just opened ready for its first use, within the `hook_timeout` of what holds it. Every
    /// holder calls it.
    ///
    /// # Errors
    /// The opening has failed then: the value is closed, and what follows is what follows any failed
    /// opening.
    fn after_open(&self, value: &mut Self::Value) -> impl Future<Output = Result<(), Self::Error>> {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::AFTER_OPEN),
                "`HOOKS` names `after_open`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Makes a value ready for its next user, who waits for it: within what is left of that user's time, and
    /// within the pool's [`hook_timeout`](crate::pool::PoolBuilder::hook_timeout).
    ///
    /// # Errors
    /// The value is closed then, and the user gets another.
    fn before_acquire(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::BEFORE_ACQUIRE),
                "`HOOKS` names `before_acquire`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Cleans a value up after its last use, while nobody waits for it, within the pool's
    /// [`hook_timeout`](crate::pool::PoolBuilder::hook_timeout).
    ///
    /// # Errors
    /// The value is closed then, and replaced.
    fn after_release(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::AFTER_RELEASE),
                "`HOOKS` names `after_release`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// Takes leave of a value before it is closed, within the `hook_timeout` of what holds it. Every holder calls it.
    ///
    /// # Errors
    /// It is told to the event sink, and the value is closed all the same.
    fn before_close(
        &self,
        value: &mut Self::Value,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        const {
            assert!(
                !Self::HOOKS.has(Hooks::BEFORE_CLOSE),
                "`HOOKS` names `before_close`, but it is not written"
            )
        };
        let _ = value;
        core::future::ready(Ok(()))
    }

    /// See [`Resource::is_broken`](crate::Resource::is_broken).
    fn is_broken(&self, value: &mut Self::Value) -> bool {
        let _ = value;
        false
    }

    /// See [`Resource::classify`](crate::Resource::classify).
    fn classify(&self, failure: Failure<'_, Self::Error>) -> ErrorClass {
        let _ = failure;
        ErrorClass::Retry
    }

    /// See [`Resource::counts_as_dead`](crate::Resource::counts_as_dead).
    fn counts_as_dead(&self, failure: Failure<'_, Self::Error>) -> bool {
        let _ = failure;
        true
    }

    /// See [`Resource::abandon`](crate::Resource::abandon).
    fn abandon(&self, value: Self::Value, why: Why) {
        let _ = why;
        drop(value);
    }
}
