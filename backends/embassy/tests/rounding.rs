//! The conversion of ticks, at the rates of real drivers: a test binary is linked with one rate only.

use tenure_embassy::Instant;

#[path = "../src/ticks.rs"]
mod ticks;

use ticks::{NEVER, instant_of, ticks_until};

const RATES: [u64; 7] = [
    1,
    32_768,
    1_000,
    1_000_000,
    24_000_000,
    1_000_000_000,
    5_242_880_000,
];

#[test]
fn a_tick_is_the_first_at_which_the_instant_has_passed() {
    let day = 24 * 60 * 60 * 1_000_000_000;
    for hz in RATES {
        for nanos in [
            0,
            1,
            999,
            30_517,
            30_518,
            999_999_999,
            1_000_000_000,
            day + 1,
        ] {
            let at = Instant::from_nanos(nanos);
            let tick = ticks_until(at, hz);
            assert!(instant_of(tick, hz) >= at, "{at:?} at {hz} Hz: too early");
            if let Some(before) = tick.checked_sub(1) {
                assert!(instant_of(before, hz) < at, "{at:?} at {hz} Hz: too late");
            }
        }
    }
}

#[test]
fn a_reading_is_no_later_than_what_has_passed() {
    assert_eq!(instant_of(1, 32_768).as_nanos(), 30_517, "of 30517.578");
    assert_eq!(instant_of(32_768, 32_768).as_nanos(), 1_000_000_000);
    assert_eq!(instant_of(u64::MAX, 1), Instant::MAX, "it saturates");
}

#[test]
fn only_the_last_instant_is_never() {
    let late = Instant::from_nanos(u64::MAX - 1);
    for hz in RATES {
        assert_eq!(ticks_until(Instant::MAX, hz), NEVER);
        let overflows =
            u128::from(late.as_nanos()) * u128::from(hz) / 1_000_000_000 >= u128::from(u64::MAX);
        assert_eq!(ticks_until(late, hz) == NEVER, overflows, "at {hz} Hz");
    }
}
