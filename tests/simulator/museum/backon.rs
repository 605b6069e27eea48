//! What backon's settings do not hold.

use std::cell::RefCell;
use std::future::pending;
use std::time::Duration;

use tenure_core::{Backoff, Jitter, Retry, StopReason, retry};
use tenure_sim::explore;

use super::MS;
use crate::faults::{SECOND, SEEDS, elapsed};

const JITTERS: [Jitter; 3] = [Jitter::Full, Jitter::Equal, Jitter::Decorrelated];

/// Its jitter is added to a delay that is at its maximum already, so that one waits for up to twice that.
#[test]
fn backon_jitter_keeps_within_the_cap() {
    explore(SEEDS, |sim| async move {
        let cap = MS * (100 + sim.below(10_000) as u32);
        for jitter in JITTERS {
            for backoff in [
                Backoff::exponential(MS * 100),
                Backoff::linear(MS * 100),
                Backoff::fibonacci(MS * 100),
                Backoff::constant(MS * 100),
            ] {
                let backoff = backoff.cap(cap).jitter(jitter);
                backoff.validate().expect("it makes sense");
                let delays = backoff.delays(sim.random()).take(200);
                let longest = delays.max().expect("there are some");
                assert!(longest <= cap, "{backoff:?}: {longest:?}");
            }
        }
    });
}

/// Its total delay counts the pauses and not the attempts: with attempts that take long, or hang, it ends nothing.
#[test]
fn backon_a_deadline_covers_attempts_and_pauses() {
    explore(SEEDS, |sim| async move {
        let deadline = SECOND * (1 + sim.below(60) as u32);
        let jitter = JITTERS[sim.below(3) as usize];
        let policy = Retry::new(Backoff::exponential(SECOND).jitter(jitter))
            .max_retries(u32::MAX)
            .deadline(deadline);
        let attempt = Duration::from_millis(sim.below(5_000));
        let hangs = sim.below(4) == 0;
        let begun = RefCell::new(Vec::new());
        let answer = retry(&sim, policy, || async {
            begun.borrow_mut().push(elapsed(&sim));
            if hangs && begun.borrow().len() == 2 {
                pending::<()>().await;
            }
            sim.sleep(attempt).await;
            Err::<(), _>("down")
        });
        let error = answer.await.expect_err("it never succeeds");
        assert_eq!(error.reason(), StopReason::Deadline);
        assert!(elapsed(&sim) <= deadline, "{:?}", elapsed(&sim));
        // A pause that would end behind it is not begun, nor is an attempt.
        let begun = begun.take();
        assert!(begun.iter().all(|at| *at < deadline), "{begun:?}");
        if hangs && begun.len() == 2 {
            assert_eq!(elapsed(&sim), deadline, "it is cut off in the middle");
        }
    });
}
