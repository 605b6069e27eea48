//! A value that its scope closes.

use core::fmt;
use core::ops::{Deref, DerefMut};

use super::finalizer::{Home, Kind, Sending, Staying};
use super::shared::Handle;
use crate::name::Redacted;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;

/// A value that was [opened](super::Scope::open) within a scope, which closes it at its end.
///
/// It owns the value, without a lock. Dropping it gives the value back, to be closed when its turn comes,
/// and never waits, blocks, spawns or panics; so there is no need to drop it early. One that is taken out
/// of its scope, as part of the body's value or by another task, counts as
/// [still in use](crate::Report::still_in_use) at the scope's end, and its value is closed when it comes
/// back: by the Runner, or, where nothing was spawned, by `abandon` alone. Forgotten (`mem::forget`), it
/// never does.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # let rt = Runtime;
/// async fn greet(session: &mut Opened<Db, Runtime>) {
///     session.push_str(", hello");
/// }
/// let greeting = scope(&rt, |s| async move {
///     let mut session = s.open(Db).await?;
///     greet(&mut session).await;
///     Ok::<_, BoxError>(session.clone())
/// });
/// assert_eq!(block_on(greeting).unwrap(), "session, hello");
/// ```
#[must_use = "dropped, it only waits to be closed"]
pub struct Opened<R: LocalResource, C: Clock>(ScopeGuard<Sending, C, R>);

/// The counterpart of [`Opened`] for a scope that stays on its thread.
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// async fn greet(session: &mut LocalOpened<Db, NoTimer>) {
///     session.push_str(", hello");
/// }
/// let greeting = scope_inline(&NoTimer, |s| async move {
///     let mut session = s.open(Db).await?;
///     greet(&mut session).await;
///     Ok::<_, BoxError>(session.clone())
/// });
/// assert_eq!(block_on(greeting).unwrap(), "session, hello");
/// ```
#[must_use = "dropped, it only waits to be closed"]
pub struct LocalOpened<R: LocalResource, C: Clock>(ScopeGuard<Staying, C, R>);

/// The guard itself, whichever kind its scope is of.
pub(crate) struct ScopeGuard<K: Kind, C: Clock, R: LocalResource> {
    /// Absent only once it has been given back.
    value: Option<R::Value>,
    home: Arc<Home<R>>,
    scope: Handle<K, C>,
    number: u64,
}

impl<K: Kind, C: Clock, R: LocalResource> ScopeGuard<K, C, R> {
    pub(crate) const fn new(
        value: R::Value,
        home: Arc<Home<R>>,
        scope: Handle<K, C>,
        number: u64,
    ) -> Self {
        Self {
            value: Some(value),
            home,
            scope,
            number,
        }
    }

    fn detach(mut self) -> R::Value {
        match self.value.take() {
            Some(value) => {
                self.scope.shared.detach(self.scope.scope, self.number);
                value
            }
            None => unreachable!("a guard holds its value until it is dropped"),
        }
    }

    fn value(&self) -> &R::Value {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a guard holds its value until it is dropped"),
        }
    }

    fn value_mut(&mut self) -> &mut R::Value {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("a guard holds its value until it is dropped"),
        }
    }
}

impl<K: Kind, C: Clock, R: LocalResource> Drop for ScopeGuard<K, C, R> {
    fn drop(&mut self) {
        let value = self.value.take();
        self.home.value.with(|home| *home = value);
        self.scope.shared.take_back(self.scope.scope, self.number);
    }
}

macro_rules! opened {
    ($Opened:ident, $Kind:ident) => {
        impl<R: LocalResource, C: Clock> $Opened<R, C> {
            pub(crate) const fn new(held: ScopeGuard<$Kind, C, R>) -> Self {
                Self(held)
            }

            /// Takes the value out of its scope, for good: from now on it is yours to close.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// let session = scope_inline(&NoTimer, |s| async move {
            ///     let session: String = s.open(Db).await?.detach();
            ///     assert_eq!(s.audit().detached, 1);
            ///     Ok::<_, BoxError>(session)
            /// });
            /// assert_eq!(block_on(session).unwrap(), "session");
            /// ```
            #[must_use = "nothing but you closes a detached value"]
            pub fn detach(self) -> R::Value {
                self.0.detach()
            }
        }

        impl<R: LocalResource, C: Clock> Deref for $Opened<R, C> {
            type Target = R::Value;

            fn deref(&self) -> &R::Value {
                self.0.value()
            }
        }

        impl<R: LocalResource, C: Clock> DerefMut for $Opened<R, C> {
            fn deref_mut(&mut self) -> &mut R::Value {
                self.0.value_mut()
            }
        }

        impl<R: LocalResource<Value: fmt::Debug>, C: Clock> fmt::Debug for $Opened<R, C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("Opened").field(&Redacted(&**self)).finish()
            }
        }
    };
}

opened!(Opened, Sending);
opened!(LocalOpened, Staying);
