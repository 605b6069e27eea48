//! Operations on a value on loan that may be cut off.

use core::fmt;
use core::ops::{AsyncFnOnce, Deref, DerefMut};

use super::lease::{Lease, OwnedLease};
use super::slot::Slot;
use crate::kernel::Standing;
use crate::resource::LocalResource;
use crate::runtime::Clock;

/// An operation under way on a value on loan, made by [`Lease::begin`]. It gives the value, and says by
/// [`complete`](Operation::complete) that the operation has come to its end.
///
/// Dropped before, or by a panic, it leaves the value suspect: see [`Lease::run`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # block_on(async {
/// let mut lease = pool.acquire().await?;
/// let operation = lease.begin();
/// let letters = async { operation.len() }.await;
/// operation.complete();
/// assert_eq!(letters, 7);
/// # Ok::<(), BoxError>(())
/// # }).unwrap();
/// ```
#[must_use = "dropped before `complete`, it leaves the value suspect"]
pub struct Operation<'l, R: LocalResource> {
    slot: &'l mut Slot<R::Value>,
    /// How the value stood before: what an earlier operation left suspect stays so.
    before: Standing,
}

impl<'l, R: LocalResource> Operation<'l, R> {
    fn new(slot: &'l mut Slot<R::Value>) -> Self {
        let before = core::mem::replace(&mut slot.life.standing, Standing::SUSPECT);
        Self { slot, before }
    }

    /// Says that the operation has come to its end, well or not: what was asked was answered, and nothing is on its way
    /// any more.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # block_on(async {
    /// let mut lease = pool.acquire().await?;
    /// lease.begin().complete();
    /// drop(lease);
    /// assert_eq!(pool.status().idle, 1);
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn complete(self) {
        self.slot.life.standing = self.before;
    }
}

impl<R: LocalResource> Deref for Operation<'_, R> {
    type Target = R::Value;

    fn deref(&self) -> &R::Value {
        &self.slot.value
    }
}

impl<R: LocalResource> DerefMut for Operation<'_, R> {
    fn deref_mut(&mut self) -> &mut R::Value {
        &mut self.slot.value
    }
}

impl<R: LocalResource<Value: fmt::Debug>> fmt::Debug for Operation<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&**self).finish()
    }
}

macro_rules! operations {
    ([$($life:lifetime)?] $Lease:ty) => {
        impl<$($life,)? R: LocalResource, C: Clock> $Lease {
            /// Runs an operation on the value. If it is cut off, because this future is dropped before it has ended, as
            /// a timeout does, or because it panics, the value is suspect: before anybody else gets it, it is checked
            /// within [`suspect_timeout`](crate::pool::PoolBuilder::suspect_timeout), or closed if its resource has no
            /// check.
            ///
            /// A query whose future was dropped has been sent all the same. On a connection whose protocol has no
            /// numbers for its answers, the answer would be read by whoever queries next. And a query that was given up
            /// after a time without an answer is often the only sign that the peer is gone: given back as good, such a
            /// connection costs every user after that one the same time. pgx closes a connection whose
            /// context is cancelled, HikariCP one whose statement times out; bb8 and deadpool lend it again, unless it
            /// knows by itself that it is broken. Here it is kept if it answers its check.
            ///
            /// An operation that ends with an error has ended. If its value is not to be used again, that is for
            /// [`is_broken`](crate::Resource::is_broken), [`discard`](Self::discard) or
            /// [`invalidate`](Self::invalidate) to say.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let mut lease = pool.acquire().await?;
            /// let letters = lease.run(async |session| session.len()).await;
            /// assert_eq!(letters, 7);
            ///
            /// let never = lease.run(async |_session| std::future::pending::<()>().await);
            /// drop(never);
            /// drop(lease);
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            ///
            /// Where the compiler cannot show that the future of an async closure is `Send`, in a task that moves between
            /// threads, say the same with [`begin`](Self::begin).
            ///
            /// # Cancel safety
            /// Dropping the future once it was polled leaves the value suspect. Before that, nothing has begun.
            pub async fn run<T>(&mut self, operation: impl AsyncFnOnce(&mut R::Value) -> T) -> T {
                let mut begun = self.begin();
                let output = operation(&mut begun).await;
                begun.complete();
                output
            }

            /// Begins an operation that may be cut off, like [`run`](Self::run): unless the guard is told that it is
            /// [complete](Operation::complete), the value is suspect when it is given back.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// # async fn ask(text: &mut String) -> usize { text.len() }
            /// let mut lease = pool.acquire().await?;
            /// let mut operation = lease.begin();
            /// let letters = ask(&mut operation).await; // Dropped here, it leaves the value suspect.
            /// operation.complete();
            /// assert_eq!(letters, 7);
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            pub fn begin(&mut self) -> Operation<'_, R> {
                Operation::new(self.slot_mut())
            }
        }
    };
}

operations!(['p] Lease<'p, R, C>);
operations!([] OwnedLease<R, C>);
