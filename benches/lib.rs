//! Tenure beside its peers, measured in one run: `cargo bench -p tenure-benches --bench pool`.
//!
//! The peers are dependencies of this crate alone. Times on a shared machine mean little; the ratios of
//! one run, whose rounds take turns, mean more. Where even these are too rough, `.ci/run instructions`
//! counts the instructions of Tenure's own paths.
