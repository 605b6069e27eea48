//! Wakers whose `clone`, `wake` and `drop` run code of a test, as those of executors may.
#![expect(
    unsafe_code,
    reason = "a waker that runs code as it is cloned has a table of functions"
)]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What runs as a waker is used.
pub trait WakerHooks: Send + Sync + 'static {
    /// The waker was cloned.
    fn cloned(&self);

    /// The waker was woken, by value or by reference.
    fn woken(&self);

    /// The waker, or a clone of it, was dropped.
    fn dropped(&self);
}

/// Makes a waker that runs `hooks`.
pub fn waker<H: WakerHooks>(hooks: Arc<H>) -> Waker {
    // SAFETY: the table's functions are safe to call from any thread, since `H` is `Send` and `Sync`, and each waker
    // owns one count of the `Arc`: a clone takes another, and a wake by value or a drop gives its own back.
    unsafe { Waker::from_raw(raw(hooks)) }
}

fn raw<H: WakerHooks>(hooks: Arc<H>) -> RawWaker {
    let table = &RawWakerVTable::new(clone::<H>, wake::<H>, wake_by_ref::<H>, drop_one::<H>);
    RawWaker::new(Arc::into_raw(hooks).cast(), table)
}

/// Returns the hooks, without the count that their waker owns.
///
/// # Safety
/// `data` has to come from [`raw`], of a waker that was not dropped.
unsafe fn borrow<H>(data: *const ()) -> ManuallyDrop<Arc<H>> {
    // SAFETY: `raw` made it by `Arc::into_raw`, and the count is not given back.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

unsafe fn clone<H: WakerHooks>(data: *const ()) -> RawWaker {
    // SAFETY: the caller's waker lives.
    let hooks = unsafe { borrow::<H>(data) };
    hooks.cloned();
    raw(Arc::clone(&hooks))
}

unsafe fn wake<H: WakerHooks>(data: *const ()) {
    // SAFETY: the caller gives its count to this call.
    let hooks = unsafe { Arc::<H>::from_raw(data.cast()) };
    hooks.woken();
    hooks.dropped();
}

unsafe fn wake_by_ref<H: WakerHooks>(data: *const ()) {
    // SAFETY: the caller's waker lives.
    let hooks = unsafe { borrow::<H>(data) };
    hooks.woken();
}

unsafe fn drop_one<H: WakerHooks>(data: *const ()) {
    // SAFETY: the caller gives its count to this call.
    let hooks = unsafe { Arc::<H>::from_raw(data.cast()) };
    hooks.dropped();
}
