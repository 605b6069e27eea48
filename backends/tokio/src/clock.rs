//! Tokio's clock, in nanoseconds from one epoch.

use std::any::TypeId;
use std::sync::OnceLock;
use std::time::Duration;

use tenure_core::Instant;

/// The time by the clock of the runtime around the caller, or by the machine's if there is none.
pub(crate) fn time_here() -> Instant {
    let elapsed = tokio::time::Instant::now().saturating_duration_since(epoch());
    // No process lives for the 584 years that fill the number.
    Instant::from_nanos(elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos()))
}

/// One epoch for all runtimes of the process, so that an instant keeps its meaning from one to the next. It
/// lies before the first use of this crate, because a paused clock stands where its runtime began.
pub(crate) fn epoch() -> tokio::time::Instant {
    const MARGIN: Duration = Duration::from_secs(60 * 60);
    static EPOCH: OnceLock<tokio::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let first_use = std::time::Instant::now();
        first_use.checked_sub(MARGIN).unwrap_or(first_use).into()
    })
}

/// Whether a clock of this tokio can be paused: if it was built with its feature `test-util`, for which any crate of the
/// program may have asked. Else all its clocks are the machine's.
///
/// With the feature `tokio::time` has a function `pause`. In the block below it comes before the one outside.
#[inline(always)]
pub(crate) fn can_be_paused() -> bool {
    struct NotThere;
    #[allow(dead_code, reason = "not used where tokio has one")]
    const fn pause() -> NotThere {
        NotThere
    }
    fn returned_by<T: 'static>(_: impl FnOnce() -> T) -> TypeId {
        TypeId::of::<T>()
    }
    let returned = {
        #[allow(unused_imports, reason = "used where tokio has it")]
        use tokio::time::*;
        returned_by(pause)
    };
    returned != TypeId::of::<NotThere>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn with_its_feature_for_tests_tokio_can_pause_its_clock() {
        assert!(super::can_be_paused());
    }
}
