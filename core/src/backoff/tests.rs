extern crate std;

use core::time::Duration;
use std::string::ToString;

use super::{Backoff, Jitter};

const SECOND: Duration = Duration::from_secs(1);
const JITTERS: [Jitter; 4] = [
    Jitter::None,
    Jitter::Full,
    Jitter::Equal,
    Jitter::Decorrelated,
];

fn every_kind() -> [Backoff; 6] {
    [
        Backoff::exponential(SECOND),
        Backoff::exponential(SECOND).factor(7),
        Backoff::constant(SECOND),
        Backoff::linear(SECOND),
        Backoff::fibonacci(SECOND),
        Backoff::custom(|retry| Duration::from_secs(retry.into()) * 3),
    ]
}

fn seconds<const N: usize>(backoff: Backoff) -> [u64; N] {
    core::array::from_fn(|i| backoff.nominal(i as u32 + 1).as_secs())
}

#[test]
fn b02_backoff_kinds_grow_as_they_say() {
    assert_eq!(
        seconds(Backoff::exponential(SECOND)),
        [1, 2, 4, 8, 16, 30, 30]
    );
    assert_eq!(
        seconds(Backoff::exponential(SECOND).factor(3)),
        [1, 3, 9, 27, 30]
    );
    assert_eq!(
        seconds(Backoff::exponential(SECOND).factor(1)),
        [1, 1, 1, 1]
    );
    assert_eq!(seconds(Backoff::constant(SECOND)), [1, 1, 1, 1]);
    assert_eq!(seconds(Backoff::linear(SECOND)), [1, 2, 3, 4, 5]);
    assert_eq!(
        seconds(Backoff::fibonacci(SECOND)),
        [1, 1, 2, 3, 5, 8, 13, 21, 30]
    );
    assert_eq!(
        seconds(Backoff::custom(|n| SECOND * (10 - n))),
        [9, 8, 7, 6]
    );
}

#[test]
fn b02_fibonacci_holds_up_to_the_end_of_a_u64() {
    let uncapped = Backoff::fibonacci(Duration::from_nanos(1)).cap(Duration::MAX);
    assert_eq!(
        uncapped.nominal(93).as_nanos(),
        12_200_160_415_121_876_738,
        "the last Fibonacci number that a u64 holds"
    );
    assert_eq!(uncapped.nominal(94).as_nanos(), u64::MAX.into());
}

#[test]
fn b02_no_delay_before_the_first_attempt() {
    for backoff in every_kind() {
        assert_eq!(backoff.nominal(0), Duration::ZERO);
    }
}

#[test]
fn b02_caps_hold_for_every_kind_and_jitter() {
    for backoff in every_kind() {
        for jitter in JITTERS {
            for (seed, cap) in (0..200).zip([1, 2, 5, 30].map(Duration::from_secs).iter().cycle()) {
                let backoff = backoff.cap(*cap).jitter(jitter);
                let longest = backoff.delays(seed).take(40).max().unwrap();
                assert!(longest <= *cap, "{backoff:?} with seed {seed}: {longest:?}");
            }
        }
    }
}

#[test]
fn b02_equal_and_decorrelated_keep_their_lower_bounds() {
    for seed in 0..200 {
        let equal = Backoff::DEFAULT.jitter(Jitter::Equal);
        for (retry, delay) in (1..).zip(equal.delays(seed).take(10)) {
            assert!(delay >= equal.nominal(retry) / 2);
        }
        let mut previous = SECOND;
        for delay in Backoff::DEFAULT
            .jitter(Jitter::Decorrelated)
            .delays(seed)
            .take(20)
        {
            assert!(delay >= SECOND && delay <= previous * 3);
            previous = delay;
        }
    }
}

#[test]
fn b02_nothing_overflows_at_the_last_retry() {
    for backoff in every_kind() {
        for jitter in JITTERS {
            let backoff = backoff.cap(Duration::MAX).jitter(jitter);
            let nominal = backoff.nominal(u32::MAX);
            let mut delays = backoff.delays(9);
            delays.pace.retry = u32::MAX - 1;
            delays.pace.previous = u64::MAX;
            for _ in 0..3 {
                let delay = delays.next().unwrap();
                assert!(delay <= nominal || jitter == Jitter::Decorrelated);
            }
            assert_eq!(delays.pace.retry, u32::MAX, "stays at the last number");
        }
    }
    let doubled = Backoff::exponential(SECOND).cap(Duration::MAX);
    assert_eq!(doubled.nominal(u32::MAX).as_nanos(), u64::MAX.into());
    let long = Backoff::linear(Duration::MAX).cap(Duration::MAX);
    assert_eq!(long.nominal(2).as_nanos(), u64::MAX.into());
}

#[test]
fn b02_one_entropy_gives_one_sequence_and_another_gives_another() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let backoff = Backoff::DEFAULT.jitter(jitter);
        assert!(backoff.delays(5).take(50).eq(backoff.delays(5).take(50)));
        for near in [4, 6, 5 + (1 << 40)] {
            let differing = backoff
                .delays(5)
                .zip(backoff.delays(near))
                .take(50)
                .filter(|(one, other)| one != other)
                .count();
            assert!(differing >= 45, "{jitter:?}: {differing} of 50 differ");
        }
    }
}

#[test]
fn b02_a_seed_outweighs_entropy() {
    let seeded = Backoff::DEFAULT.seed(1);
    assert!(seeded.delays(5).take(20).eq(seeded.delays(6).take(20)));
    assert!(
        seeded
            .delays(5)
            .take(20)
            .eq(Backoff::DEFAULT.delays(1).take(20))
    );
}

#[test]
fn b02_full_jitter_spreads_over_the_whole_range() {
    let mut tenths = [0_u32; 10];
    for entropy in 0..10_000 {
        let first = Backoff::DEFAULT.delays(entropy).next().unwrap();
        tenths[(first.as_nanos() / 100_000_000).min(9) as usize] += 1;
    }
    assert!(
        tenths.iter().all(|count| (850..1_150).contains(count)),
        "{tenths:?}"
    );
}

#[test]
fn b02_bad_settings_are_named() {
    let half = Duration::from_millis(500);

    for (backoff, expected) in [
        (
            Backoff::exponential(SECOND).cap(half),
            "`backoff.cap` (500ms) is below `backoff.base` (1s)",
        ),
        (
            Backoff::exponential(SECOND * 60),
            "`backoff.cap` (30s) is below `backoff.base` (60s)",
        ),
        (
            Backoff::constant(SECOND).cap(half),
            "`backoff.cap` (500ms) is below `backoff.delay` (1s)",
        ),
        (
            Backoff::linear(SECOND).cap(half),
            "`backoff.cap` (500ms) is below `backoff.step` (1s)",
        ),
        (
            Backoff::linear(Duration::ZERO),
            "`backoff.step` (0ns) must be above zero",
        ),
        (
            Backoff::fibonacci(Duration::ZERO),
            "`backoff.base` (0ns) must be above zero",
        ),
        (
            Backoff::custom(|_| SECOND).cap(Duration::ZERO),
            "`backoff.cap` (0ns) must be above zero",
        ),
        (
            Backoff::exponential(SECOND).factor(0),
            "`backoff.factor` (0) must be at least 1",
        ),
        (
            Backoff::fibonacci(SECOND).factor(3),
            "`backoff.factor` (3) applies only to an exponential backoff",
        ),
    ] {
        assert_eq!(backoff.validate().unwrap_err().to_string(), expected);
    }
}

#[test]
fn b02_good_settings_pass() {
    for backoff in every_kind() {
        assert_eq!(backoff.validate(), Ok(()));
    }
    assert_eq!(Backoff::constant(Duration::ZERO).validate(), Ok(()));
    assert_eq!(Backoff::constant(SECOND * 3_600).validate(), Ok(()));
    assert_eq!(Backoff::default().cap(SECOND).validate(), Ok(()));
}
