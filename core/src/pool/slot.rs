//! A value of the pool, with what the pool keeps about it.

use super::loans::LoanNote;
use crate::kernel::Life;
use crate::sync::CacheLine;

/// A value, with what the pool keeps about it. Boxed when it is opened, so that it moves as one pointer from place to place,
/// however large the value is.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) life: Life,
    /// Where loans are noted.
    pub(crate) loan: Option<LoanNote>,
    /// Each loan writes it, so no two of them share a line.
    pub(crate) _line: CacheLine,
}
