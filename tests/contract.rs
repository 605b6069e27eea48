//! What every timer promises, on every backend: the contract in the docs of `tenure_core::Timer`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use tenure_core::{Instant, Timer};

use crate::worlds::World;

on_every_timer! {
    now_never_goes_backwards,
    a_past_deadline_ends_at_its_first_poll,
    a_deadline_that_passes_ends_at_the_next_poll,
    a_sleep_never_ends_early,
    a_deadline_out_of_reach_neither_panics_nor_fires,
    a_sleep_may_be_dropped_before_it_fires,
    a_sleep_moves_to_another_task,
    the_waker_of_the_last_poll_is_woken,
    entropy_differs,
}

/// Where time is virtual, waiting costs nothing.
mod in_virtual_time {
    use super::*;

    where_time_is_virtual! {
        a_year_passes_at_once,
        a_clock_stands_still_while_nothing_waits,
    }

    async fn a_year_passes_at_once<W: World>(world: W) {
        let runtime = world.runtime();
        let in_a_year = runtime.now() + YEAR;
        runtime.sleep_until(in_a_year).await;
        assert!(runtime.now() >= in_a_year);
    }

    async fn a_clock_stands_still_while_nothing_waits<W: World>(world: W) {
        let runtime = world.runtime();
        let before = runtime.now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(runtime.now(), before);
        runtime.sleep_until(before + world.tick()).await;
        assert_eq!(runtime.now(), before + world.tick());
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn now_never_goes_backwards<W: World>(world: W) {
    let runtime = world.runtime();
    let mut last = runtime.now();
    for round in 0..1_000 {
        if round % 250 == 0 {
            runtime.sleep_until(last + world.tick()).await;
        }
        // What a clone says, and what is asked for anew, is the same clock.
        for now in [runtime.clone().now(), world.runtime().now()] {
            assert!(now >= last, "{now:?} comes after {last:?}");
            last = now;
        }
    }
}

async fn a_past_deadline_ends_at_its_first_poll<W: World>(world: W) {
    let runtime = world.runtime();
    let earlier = runtime.now();
    runtime.sleep_until(earlier + world.tick()).await;
    for at in [Instant::EPOCH, earlier, runtime.now()] {
        assert_eq!(
            poll!(pin!(runtime.sleep_until(at))),
            Poll::Ready(()),
            "{at:?}"
        );
    }
}

async fn a_deadline_that_passes_ends_at_the_next_poll<W: World>(world: W) {
    let runtime = world.runtime();
    let at = runtime.now() + world.tick();
    let mut sleep = pin!(runtime.sleep_until(at));
    let first = poll!(sleep.as_mut());
    assert!(first.is_pending() || runtime.now() >= at);
    if first.is_pending() {
        runtime.sleep_until(at + world.tick()).await;
        assert_eq!(poll!(sleep), Poll::Ready(()));
    }
}

async fn a_sleep_never_ends_early<W: World>(world: W) {
    let runtime = world.runtime();
    // Off any round millisecond, one after another and many at once.
    for nanos in (0..).step_by(271_828).take(12) {
        sleep_and_look(&runtime, Duration::from_nanos(nanos)).await;
    }
    join_all((1..200).map(|n| sleep_and_look(&runtime, Duration::from_nanos(n * 31_415)))).await;
    join_all((1..10).map(|n| sleep_and_look(&runtime, world.tick() * n / 3))).await;
}

async fn sleep_and_look(runtime: &impl Timer, duration: Duration) {
    let at = runtime.now() + duration;
    runtime.sleep_until(at).await;
    let now = runtime.now();
    assert!(now >= at, "woke at {now:?}, {:?} before {at:?}", at - now);
}

async fn a_deadline_out_of_reach_neither_panics_nor_fires<W: World>(world: W) {
    let runtime = world.runtime();
    let now = runtime.now();
    let almost_never = Instant::from_nanos(u64::MAX - 1);
    assert_eq!(now + Duration::MAX, Instant::MAX);
    let mut sleeps: Vec<_> = [
        now + Duration::MAX,
        Instant::MAX,
        almost_never,
        now + YEAR * 300,
        now + YEAR * 40,
        now + YEAR,
    ]
    .into_iter()
    .map(|at| Box::pin(runtime.sleep_until(at)))
    .collect();
    for _ in 0..4 {
        for sleep in &mut sleeps {
            assert_eq!(poll!(sleep), Poll::Pending);
        }
        runtime.sleep_until(runtime.now() + world.tick()).await;
    }
}

async fn a_sleep_may_be_dropped_before_it_fires<W: World>(world: W) {
    let runtime = world.runtime();
    drop(runtime.sleep_until(runtime.now() + world.tick()));
    // Drop every second one of those that wait for the same moment, and one by one before it.
    let at = runtime.now() + world.tick() * 3;
    let mut kept = Vec::new();
    for n in 0..40 {
        let mut sleep = Box::pin(runtime.sleep_until(at));
        if poll!(sleep.as_mut()).is_pending() && n % 2 == 0 {
            kept.push(sleep);
        }
        if n % 20 == 0 {
            runtime.sleep_until(runtime.now() + world.tick()).await;
        }
    }
    join_all(kept).await;
    assert!(runtime.now() >= at);
}

async fn a_sleep_moves_to_another_task<W: World>(world: W) {
    let runtime = world.runtime();
    let at = runtime.now() + world.tick();
    let mut sleep = Box::pin(runtime.sleep_until(at));
    if poll!(sleep.as_mut()).is_pending() {
        // If the timer woke this task alone, the other one would wait for ever.
        world.task(sleep).await;
    }
    assert!(runtime.now() >= at);
}

async fn the_waker_of_the_last_poll_is_woken<W: World>(world: W) {
    let runtime = world.runtime();
    let at = runtime.now() + world.tick();
    let mut sleep = pin!(runtime.sleep_until(at));
    let mut last = None;
    for _ in 0..4 {
        let (flag, waker) = Flag::waker();
        if sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            assert!(runtime.now() >= at);
            return;
        }
        last = Some(flag);
    }
    while !last.as_ref().is_some_and(|flag| flag.is_up()) {
        runtime.sleep_until(runtime.now() + world.tick()).await;
    }
    assert!(runtime.now() >= at);
    assert_eq!(poll!(sleep), Poll::Ready(()));
}

async fn entropy_differs<W: World>(world: W) {
    let draws: std::collections::BTreeSet<u64> =
        (0..100).map(|_| world.runtime().entropy()).collect();
    assert_eq!(
        draws.len(),
        100,
        "a seed from 64 bits of randomness comes twice"
    );
}

/// Goes up when its waker is woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Flag {
    fn waker() -> (Arc<Self>, Waker) {
        let flag = Arc::<Self>::default();
        (flag.clone(), flag.into())
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
