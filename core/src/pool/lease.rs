//! A value on loan.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use super::loans::LoanStart;
use super::shared::PoolShared;
use super::slot::Slot;
use crate::ending::Why;
use crate::kernel::Generation;
use crate::name::Redacted;
use crate::resource::LocalResource;
use crate::runtime::Clock;
use crate::sync::Arc;
use crate::time::Instant;

/// A value on loan from a [`Pool`](crate::Pool), which it borrows. Dropping it gives the value back.
///
/// Dropping never waits, blocks, spawns or panics. A value that its
/// [`is_broken`](crate::Resource::is_broken) calls broken, or that is dropped by a panicking thread
/// (with `std`), is closed and replaced instead of going back.
///
/// It cannot outlive its pool, be given back twice, or be used once given back:
///
/// ```compile_fail
/// # use tenure_core::{Lease, NoTimer, Resource};
/// fn twice<R: Resource<Value = String>>(lease: Lease<'_, R, NoTimer>) {
///     lease.discard();
///     println!("{}", lease.len());
/// }
/// ```
///
/// To move a lease into another task, use [`OwnedLease`]. Forgetting a lease (`mem::forget`) loses
/// its slot for good, as forgetting any guard does.
///
/// ```
/// # use tenure_core::{NoTimer, Pool, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok("hello".into()) }
/// # }
/// # futures::executor::block_on(async {
/// let (pool, _runner) = Pool::builder(Text).build_with_runner(NoTimer)?;
/// let mut lease = pool.acquire().await?;
/// lease.push_str(", pool");
/// drop(lease);
/// assert_eq!(*pool.acquire().await?, "hello, pool");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
#[must_use = "dropping a lease gives its value back at once"]
pub struct Lease<'p, R: LocalResource, C: Clock>(Loan<&'p PoolShared<R, C>, R, C>);

/// A value on loan that keeps its pool alive, so that it can move into another task.
///
/// It costs two more reference counts than a [`Lease`], which borrows the pool: prefer that one where
/// the borrow will do.
///
/// ```
/// # use tenure_core::{NoTimer, Pool, Resource};
/// # struct Text;
/// # impl Resource for Text {
/// #     type Value = String;
/// #     type Error = std::io::Error;
/// #     async fn open(&self) -> Result<String, Self::Error> { Ok("hello".into()) }
/// # }
/// # futures::executor::block_on(async {
/// let (pool, _runner) = Pool::builder(Text).build_with_runner(NoTimer)?;
/// let lease = pool.acquire_owned().await?;
/// std::thread::spawn(move || assert_eq!(*lease, "hello")).join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()
/// ```
#[must_use = "dropping a lease gives its value back at once"]
pub struct OwnedLease<R: LocalResource, C: Clock>(Loan<Arc<PoolShared<R, C>>, R, C>);

/// The loan itself, whichever way the pool is held.
struct Loan<P: Deref<Target = PoolShared<R, C>>, R: LocalResource, C: Clock> {
    pool: P,
    /// Absent only once the value has been taken out for good.
    slot: Option<Box<Slot<R::Value>>>,
}

impl<P: Deref<Target = PoolShared<R, C>>, R: LocalResource, C: Clock> Loan<P, R, C> {
    fn value(&self) -> &R::Value {
        match &self.slot {
            Some(slot) => &slot.value,
            None => unreachable!("a loan holds its value until it ends"),
        }
    }

    fn value_mut(&mut self) -> &mut R::Value {
        match &mut self.slot {
            Some(slot) => &mut slot.value,
            None => unreachable!("a loan holds its value until it ends"),
        }
    }

    #[inline(always)]
    fn new(pool: P, mut slot: Box<Slot<R::Value>>, start: LoanStart) -> Self {
        pool.loan_begins(&mut slot, start);
        let slot = Some(slot);
        Self { pool, slot }
    }

    fn slot(&self) -> &Slot<R::Value> {
        match &self.slot {
            Some(slot) => slot,
            None => unreachable!("a loan holds its value until it ends"),
        }
    }

    fn age(&self) -> Option<Duration> {
        let opened_at = self.slot().life.opened_at;
        self.pool.now().map(|now| now - opened_at)
    }

    fn invalidate(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.life.generation = Generation::REVOKED;
        }
    }

    fn slot_mut(&mut self) -> &mut Slot<R::Value> {
        match &mut self.slot {
            Some(slot) => slot,
            None => unreachable!("a loan holds its value until it ends"),
        }
    }

    fn opened_at(&self) -> Option<Instant> {
        let opened_at = self.slot().life.opened_at;
        self.pool.now().map(|_| opened_at)
    }

    fn is_revoked(&self) -> bool {
        let slot = self.slot();
        self.pool
            .has_revoked(slot.life.generation, slot.life.opened_at)
    }

    fn discard(mut self) {
        if let Some(slot) = self.slot.take() {
            let used = self.pool.loan_ends(&slot);
            self.pool.stacks.note_use(used);
            self.pool.retire(slot, Why::Broken);
        }
    }

    fn detach(mut self) -> R::Value {
        match self.slot.take() {
            Some(slot) => {
                let used = self.pool.loan_ends(&slot);
                self.pool.stacks.note_use(used);
                self.pool.detach();
                slot.value
            }
            None => unreachable!("a loan holds its value until it ends"),
        }
    }
}

impl<P: Deref<Target = PoolShared<R, C>>, R: LocalResource, C: Clock> Drop for Loan<P, R, C> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.take_back(slot);
        }
    }
}

impl<'p, R: LocalResource, C: Clock> Lease<'p, R, C> {
    #[inline(always)]
    pub(crate) fn new(
        pool: &'p PoolShared<R, C>,
        slot: Box<Slot<R::Value>>,
        start: LoanStart,
    ) -> Self {
        Self(Loan::new(pool, slot, start))
    }

    /// Takes the value out of a lease that has not been handed to its user yet.
    pub(super) fn into_slot(mut self) -> Option<Box<Slot<R::Value>>> {
        let slot = self.0.slot.take()?;
        self.0.pool.loan_withdrawn(&slot);
        Some(slot)
    }
}

impl<R: LocalResource, C: Clock> Lease<'_, R, C> {
    pub(super) fn slot_mut(&mut self) -> &mut Slot<R::Value> {
        self.0.slot_mut()
    }
}

impl<R: LocalResource, C: Clock> OwnedLease<R, C> {
    pub(super) fn slot_mut(&mut self) -> &mut Slot<R::Value> {
        self.0.slot_mut()
    }

    #[inline(always)]
    pub(crate) fn new(
        pool: Arc<PoolShared<R, C>>,
        slot: Box<Slot<R::Value>>,
        start: LoanStart,
    ) -> Self {
        Self(Loan::new(pool, slot, start))
    }
}

macro_rules! lease {
    ([$($life:lifetime)?] $Lease:ty) => {
        impl<$($life,)? R: LocalResource, C: Clock> $Lease {
            /// Ends the loan of a value that is broken: it is closed, and the pool opens another when
            /// one is needed.
            ///
            /// ```
            /// # use tenure_core::{NoTimer, Pool, Resource};
            /// # struct Text;
            /// # impl Resource for Text {
            /// #     type Value = String;
            /// #     type Error = std::io::Error;
            /// #     async fn open(&self) -> Result<String, Self::Error> { Ok("new".into()) }
            /// # }
            /// # futures::executor::block_on(async {
            /// let (pool, _runner) = Pool::builder(Text).max_size(1).build_with_runner(NoTimer)?;
            /// let mut lease = pool.acquire().await?;
            /// lease.clear();
            /// lease.discard();
            /// assert_eq!(*pool.acquire().await?, "new");
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # }).unwrap()
            /// ```
            pub fn discard(self) {
                self.0.discard();
            }

            /// Has the value closed when the loan ends, instead of lent again. Until then it can be used.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let mut lease = pool.acquire().await?;
            /// lease.invalidate();
            /// assert_eq!(lease.len(), 7);
            /// drop(lease);
            /// assert_eq!(pool.status().closing, 1);
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            pub fn invalidate(&mut self) {
                self.0.invalidate();
            }

            /// Returns `true` once the pool does not want the value any more: a
            /// [shutdown](crate::Pool::shutdown) has begun, the value was called in by an
            /// [eviction](crate::Pool::evict_all), or [invalidated](Self::invalidate).
            ///
            /// The value can be used on, and is closed when the loan ends. A long-running user asks between two
            /// pieces of its work; one that can be interrupted awaits [`revoked`](Self::revoked).
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let lease = pool.acquire().await?;
            /// assert!(!lease.is_revoked());
            /// pool.evict_all();
            /// assert!(lease.is_revoked());
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn is_revoked(&self) -> bool {
                self.0.is_revoked()
            }

            /// Waits until the pool does not want the value any more, as [`is_revoked`](Self::is_revoked) says. The
            /// future does not borrow the lease, so that the value can be used beside it; it does not hear of an
            /// [`invalidate`](Self::invalidate) after this call, which is its user's own doing.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let mut lease = pool.acquire().await?;
            /// let revoked = lease.revoked();
            /// lease.len();
            /// pool.evict_all();
            /// revoked.await;
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub fn revoked(&self) -> impl Future<Output = ()> + use<$($life,)? R, C> {
                let slot = self.0.slot();
                let (generation, opened_at) = (slot.life.generation, slot.life.opened_at);
                let pool = self.0.pool.clone();
                async move {
                    loop {
                        let changed = pool.changed.listen();
                        if pool.has_revoked(generation, opened_at) {
                            return;
                        }
                        changed.await;
                    }
                }
            }

            /// When the value was opened, by the clock of the pool, if it has one: for
            /// [`evict_opened_before`](crate::Pool::evict_opened_before).
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let lease = pool.acquire().await?;
            /// assert!(lease.opened_at().is_some());
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn opened_at(&self) -> Option<Instant> {
                self.0.opened_at()
            }

            /// How long ago the value was opened, if the pool has a clock.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// let lease = pool.acquire().await?;
            /// assert!(lease.age().is_some());
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn age(&self) -> Option<Duration> {
                self.0.age()
            }

            /// How many times the value was lent, this one included.
            ///
            /// ```
            #[doc = include_str!("../doc_setting.txt")]
            /// # block_on(async {
            /// drop(pool.acquire().await?);
            /// assert_eq!(pool.acquire().await?.uses(), 2);
            /// # Ok::<(), BoxError>(())
            /// # }).unwrap();
            /// ```
            #[must_use]
            pub fn uses(&self) -> u32 {
                self.0.slot().life.uses.saturating_add(1)
            }

            /// Takes the value out of the pool for good. Nothing closes it but you, and its slot is
            /// free for another.
            ///
            /// ```
            /// # use tenure_core::{NoTimer, Pool, Resource};
            /// # struct Text;
            /// # impl Resource for Text {
            /// #     type Value = String;
            /// #     type Error = std::io::Error;
            /// #     async fn open(&self) -> Result<String, Self::Error> { Ok("mine".into()) }
            /// # }
            /// # futures::executor::block_on(async {
            /// let (pool, _runner) = Pool::builder(Text).build_with_runner(NoTimer)?;
            /// let text: String = pool.acquire().await?.detach();
            /// assert_eq!(pool.audit().detached, 1);
            /// # drop(text);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// # }).unwrap()
            /// ```
            #[must_use = "nothing but you closes a detached value"]
            pub fn detach(self) -> R::Value {
                self.0.detach()
            }
        }

        impl<$($life,)? R: LocalResource, C: Clock> Deref for $Lease {
            type Target = R::Value;

            #[inline]
            fn deref(&self) -> &R::Value {
                self.0.value()
            }
        }

        impl<$($life,)? R: LocalResource, C: Clock> DerefMut for $Lease {
            #[inline]
            fn deref_mut(&mut self) -> &mut R::Value {
                self.0.value_mut()
            }
        }

        impl<$($life,)? R: LocalResource<Value: fmt::Debug>, C: Clock> fmt::Debug for $Lease {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("Lease").field(&Redacted(&**self)).finish()
            }
        }
    };
}

lease!(['p] Lease<'p, R, C>);
lease!([] OwnedLease<R, C>);
