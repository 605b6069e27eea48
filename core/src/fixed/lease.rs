//! A value on loan.

use core::fmt;
use core::ops::{AsyncFnOnce, Deref, DerefMut};

use super::{FixedPool, Slot};
use crate::ending::Why;
use crate::kernel::{Place, Standing};
use crate::local_resource::LocalResource;
use crate::runtime::Clock;
use crate::sync;

/// A value of a [`FixedPool`] on loan. Dropping it gives the value back.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// # futures::executor::block_on(async {
/// # let pool: FixedPool<Modem, NoTimer, 1, 4> = FixedPool::new(Modem, NoTimer);
/// let mut value = pool.acquire().await.unwrap();
/// *value += 1;
/// assert_eq!(*value, 8);
/// # });
/// ```
#[must_use = "dropping a lease gives its value back at once"]
pub struct FixedLease<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    /// Absent while it is given back.
    slot: Option<Slot<R::Value>>,
}

impl<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedLease<'p, R, C, VALUES, WAITERS>
{
    pub(super) const fn new(
        pool: &'p FixedPool<R, C, VALUES, WAITERS>,
        slot: Slot<R::Value>,
    ) -> Self {
        Self {
            pool,
            slot: Some(slot),
        }
    }

    /// Runs an operation on the value. If it is cut off, because this future is dropped before it has ended, as a
    /// [timeout](crate::with_timeout) does, the value is suspect: before anybody else gets it, it is checked, or closed if its
    /// resource has no check.
    ///
    /// Bound what may hang, so that a task that waits for a device does not keep it from all others:
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tenure_core::fixed::FixedLease;
    /// # use tenure_core::{LocalResource, TimedOut, Timer, with_timeout};
    /// # struct Bus;
    /// # impl Bus { async fn read(&mut self, _: u8) -> u16 { 7 } }
    /// # struct Buses;
    /// # impl LocalResource for Buses {
    /// #     type Value = Bus;
    /// #     type Error = &'static str;
    /// #     async fn open(&self) -> Result<Bus, &'static str> { Ok(Bus) }
    /// # }
    /// async fn read<T: Timer>(bus: &mut FixedLease<'_, Buses, T, 1, 4>, timer: &T) -> Result<u16, TimedOut> {
    ///     let reading = bus.run(async |bus| bus.read(0x48).await);
    ///     with_timeout(timer, Duration::from_millis(20), "a reading", reading).await
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future once it was polled leaves the value suspect. Before that, nothing has begun.
    pub async fn run<T>(&mut self, operation: impl AsyncFnOnce(&mut R::Value) -> T) -> T {
        let slot = self.slot_mut();
        // What an earlier operation left suspect stays so.
        let before = core::mem::replace(&mut slot.life.standing, Standing::SUSPECT);
        let output = operation(&mut slot.value).await;
        slot.life.standing = before;
        output
    }

    /// Gives the value up as broken. It is closed, and another is opened for the next who asks.
    ///
    /// ```
    #[doc = include_str!("doc_setting.txt")]
    /// # block_on(async {
    /// let pool = FixedPool::<_, _, 1, 4>::new(Modem, NoTimer);
    /// pool.acquire().await.unwrap().discard();
    /// assert!(pool.acquire().await.is_ok());
    /// # });
    /// ```
    pub fn discard(mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.retire_lent(slot, Why::Broken);
        }
    }

    /// Gives up a value that was no good as it was handed over. One that is broken as soon as it is open is not opened anew
    /// without a pause.
    pub(super) fn give_up_unfit(mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.transact(|state| {
                if slot.life.uses == 0 {
                    state.kernel.rest_after(&slot.life);
                }
                state.retire(slot, Place::Lent, Why::Broken);
                state.kernel.retry_without_clock();
            });
        }
    }

    /// Asks the resource. Should that panic, the value counts as broken.
    pub(super) fn is_broken(&mut self) -> bool {
        self.pool.resource.is_broken(&mut self.slot_mut().value)
    }

    fn slot(&self) -> &Slot<R::Value> {
        match &self.slot {
            Some(slot) => slot,
            None => unreachable!("a lease has its value until it ends"),
        }
    }

    fn slot_mut(&mut self) -> &mut Slot<R::Value> {
        match &mut self.slot {
            Some(slot) => slot,
            None => unreachable!("a lease has its value until it ends"),
        }
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Deref
    for FixedLease<'_, R, C, VALUES, WAITERS>
{
    type Target = R::Value;

    fn deref(&self) -> &R::Value {
        &self.slot().value
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> DerefMut
    for FixedLease<'_, R, C, VALUES, WAITERS>
{
    fn deref_mut(&mut self) -> &mut R::Value {
        &mut self.slot_mut().value
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for FixedLease<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.take_back(slot);
        }
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> fmt::Debug
    for FixedLease<'_, R, C, VALUES, WAITERS>
where
    R::Value: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FixedLease").field(&**self).finish()
    }
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize>
    FixedPool<R, C, VALUES, WAITERS>
{
    fn take_back(&self, slot: Slot<R::Value>) {
        // The question is user code: should it panic, the value counts as broken.
        let mut returning = Returning {
            pool: self,
            slot: Some(slot),
        };
        let Some(slot) = &mut returning.slot else {
            unreachable!("it was put there above")
        };
        if sync::is_panicking() || self.resource.is_broken(&mut slot.value) {
            return;
        }
        let is_suspect = slot.life.standing == Standing::SUSPECT;
        let Some(mut slot) = returning.slot.take() else {
            unreachable!("it was there above")
        };
        slot.life.loan_ended_as_it_stands();
        if is_suspect && !R::CHECKED {
            self.retire_lent(slot, Why::OperationCutOff);
        } else if is_suspect {
            self.transact(|state| state.return_for_check(slot));
        } else {
            self.transact(|state| state.place(slot, Place::Lent));
        }
    }

    pub(super) fn retire_lent(&self, slot: Slot<R::Value>, why: Why) {
        self.transact(|state| {
            state.retire(slot, Place::Lent, why);
            state.kernel.retry_without_clock();
        });
    }
}

/// A value that comes back, and has not said that it is well.
struct Returning<'p, R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> {
    pool: &'p FixedPool<R, C, VALUES, WAITERS>,
    slot: Option<Slot<R::Value>>,
}

impl<R: LocalResource, C: Clock, const VALUES: usize, const WAITERS: usize> Drop
    for Returning<'_, R, C, VALUES, WAITERS>
{
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.retire_lent(slot, Why::Broken);
        }
    }
}
