//! How values end, and the proof that every one of them does.

mod audit;
mod closing;
mod report;

pub use audit::Audit;
pub use report::{CloseFailure, Report};

pub(crate) use audit::Tally;
pub(crate) use closing::{
    RetiredValue, abandon_quietly, abandon_value, close_value, ending_of, take_leave,
};
pub(crate) use report::Ledger;
