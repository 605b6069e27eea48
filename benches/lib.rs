//! Tenure beside its peers, measured in one run: `cargo bench -p tenure-benches --bench pool`.
//!
//! The peers are dependencies of this crate alone. Times on a shared machine mean little; the ratios of
//! one run, whose rounds take turns, mean more. Where even these are too rough, `.ci/run instructions`
//! counts the instructions of Tenure's own paths, and of what it adds to a gRPC call.

/// How many rounds the command line asks for with `--rounds`, or `usual`. Nothing, if it asks for what there is not.
#[must_use]
pub fn rounds(usual: usize) -> Option<usize> {
    let mut words = std::env::args().skip(1);
    let mut rounds = usual;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            // Cargo says this to every benchmark.
            "--bench" => {}
            _ => return None,
        }
    }
    Some(rounds)
}

/// The one in the middle.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn median(numbers: Vec<f64>) -> f64 {
    let sorted = sorted(numbers);
    sorted[sorted.len() / 2]
}

/// The smallest first.
#[must_use]
pub fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}
