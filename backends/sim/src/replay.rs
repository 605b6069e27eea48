//! How a failing run is found again: environment variables, and the line that says what to set them to.

use std::fmt::Display;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::Arc;

use crate::world::World;

/// The environment variable that names a seed, or a range of seeds such as `0..1000`.
const SEEDS: &str = "TENURE_SIM_SEEDS";
/// The environment variable that names one order of an exhaustive exploration, such as `0.2.1`.
const ORDER: &str = "TENURE_SIM_ORDER";
/// The environment variable that names one moment of cancellation, such as `after-poll-3`.
const CANCEL: &str = "TENURE_SIM_CANCEL";

/// The seeds to run, and whether they are one that is looked at closely.
pub(crate) fn seeds_to_run(by_default: Range<u64>) -> (Range<u64>, bool) {
    let Ok(text) = std::env::var(SEEDS) else {
        return (by_default, false);
    };
    match parse_seeds(&text) {
        Some(seeds) => {
            let one = seeds.end.saturating_sub(seeds.start) == 1;
            (seeds, one)
        }
        None => panic!("{SEEDS} is `{text}`: it must be a seed, or a range such as 0..1000"),
    }
}

fn parse_seeds(text: &str) -> Option<Range<u64>> {
    let parse = |number: &str| number.trim().parse::<u64>().ok();
    match text.split_once("..") {
        Some((start, end)) => Some(parse(start)?..parse(end)?),
        None => parse(text).and_then(|seed| Some(seed..seed.checked_add(1)?)),
    }
}

/// The one order to run, if the environment names one.
pub(crate) fn order_to_run() -> Option<Vec<usize>> {
    let text = std::env::var(ORDER).ok()?;
    match parse_order(&text) {
        Some(order) => Some(order),
        None => panic!("{ORDER} is `{text}`: it must be an order as it was printed, such as 0.2.1"),
    }
}

fn parse_order(text: &str) -> Option<Vec<usize>> {
    if text == "first" {
        return Some(Vec::new());
    }
    text.split('.').map(|taken| taken.parse().ok()).collect()
}

/// The one moment of cancellation to run, if the environment names one.
pub(crate) fn moment_to_run<M: FromStr>() -> Option<M> {
    let text = std::env::var(CANCEL).ok()?;
    match text.parse() {
        Ok(moment) => Some(moment),
        Err(_) => panic!("{CANCEL} is `{text}`: it must be a moment as it was printed"),
    }
}

/// The line that replays a seed.
pub(crate) fn seed_line(seed: u64, test: &str) -> String {
    format!("replay it with: {SEEDS}={seed} {test}")
}

/// The line that replays one moment of cancellation.
pub(crate) fn moment_line(seed: u64, moment: impl Display, test: &str) -> String {
    format!("replay it with: {SEEDS}={seed} {CANCEL}={moment} {test}")
}

/// The line that replays an order.
pub(crate) fn order_line(order: &[usize], test: &str) -> String {
    let text: Vec<_> = order.iter().map(usize::to_string).collect();
    let text = match text.as_slice() {
        [] => "first".into(),
        text => text.join("."),
    };
    format!("replay it with: {ORDER}={text} {test}")
}

/// How the test that runs on this thread is started alone. The test harness names its threads after it.
pub(crate) fn this_test() -> String {
    match std::thread::current().name() {
        None | Some("main") => "cargo test".into(),
        Some(name) => format!("cargo test {name}"),
    }
}

/// Runs a world. If it panics, prints its trace, if one is kept, and adds `line` to the message.
pub(crate) fn replayable<T>(
    world: &Arc<World>,
    line: impl FnOnce() -> String,
    run: impl FnOnce() -> T,
) -> T {
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(output) => return output,
        Err(payload) => payload,
    };
    let (line, trace) = (line(), world.with(|state| state.take_trace()));
    eprint!("{trace}");
    eprintln!("{line}");
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    match message {
        Some(message) => resume_unwind(Box::new(format!("{message}\n{line}"))),
        None => resume_unwind(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!(parse_seeds("7"), Some(7..8));
        assert_eq!(parse_seeds("3..9"), Some(3..9));
        assert_eq!(parse_seeds("three"), None);
        assert_eq!(parse_seeds("18446744073709551615"), None);
    }

    #[test]
    fn an_order_is_read_as_it_is_printed() {
        for order in [vec![], vec![0], vec![2, 0, 11]] {
            let line = order_line(&order, "");
            let text = line.split_once('=').map(|(_, text)| text.trim());
            assert_eq!(text.and_then(parse_order), Some(order));
        }
        assert_eq!(parse_order("0.x"), None);
    }
}
