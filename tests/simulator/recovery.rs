//! How soon callers are served again once their server is, with default settings, and how often the server is asked
//! until then. `docs/recovery.md` shows the table that this prints.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{Instant, Pool, Timer};
use tenure_sim::{Sim, explore, run};

use crate::scripted::{Ask, DOWN, Server, Step, timed};
use crate::tell::tell;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// More with `TENURE_SIM_SEEDS`.
const SEEDS: std::ops::Range<u64> = 0..20;

const CALLERS: usize = 10;

const OUTAGES: [Duration; 4] = [
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(600),
];

#[test]
fn a_pool_is_served_within_a_second_of_its_servers_return() {
    for (down, means) in [(DOWN, "refused"), (Step::Hangs, "hanging")] {
        for lasts in OUTAGES {
            let mut seen = all_seeds(|sim| pool_outage(sim, lasts, down));
            let row = Row::of(&mut seen);
            tell(format_args!(
                "recovery: | pool | {means} | {lasts:?} | {row} |"
            ));
            let (quick, all) = (seen.len() * 95 / 100, seen.len());
            assert!(seen.iter().filter(|one| one.back_after <= SECOND).count() >= quick);
            let slowest = SECOND * 5 / 2;
            let in_time = seen.iter().filter(|one| one.back_after <= slowest);
            assert_eq!(in_time.count(), all, "{row}");
            // In no second more than two, once the first has failed or is overdue.
            assert!(seen.iter().all(|one| one.most_per_second <= 2), "{row}");
        }
    }
}

/// What was seen of one outage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    back_after: Duration,
    per_second: f64,
    most_per_second: usize,
}

/// What was seen of many.
struct Row {
    median: Duration,
    late: Duration,
    last: Duration,
    /// Openings per second of outage, on average.
    per_second: f64,
}

impl Row {
    fn of(seen: &mut [Seen]) -> Self {
        seen.sort_unstable_by_key(|one| one.back_after);
        let at = |percent: usize| seen[(seen.len() - 1) * percent / 100].back_after;
        let per_second: f64 = seen.iter().map(|one| one.per_second).sum();
        Self {
            median: at(50),
            late: at(95),
            last: at(100),
            per_second: per_second / seen.len() as f64,
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            median,
            late,
            last,
            per_second,
        } = self;
        write!(
            f,
            "{median:.2?} | {late:.2?} | {last:.2?} | {per_second:.2}"
        )
    }
}

/// Runs a world for each seed, and collects what was seen.
fn all_seeds<F: Future<Output = Seen>>(world: impl Fn(Sim) -> F + Sync) -> Vec<Seen> {
    let seen = Mutex::new(Vec::new());
    explore(SEEDS, |sim| {
        let (seen, world) = (&seen, world(sim));
        async move {
            let one = world.await;
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(one);
        }
    });
    seen.into_inner().unwrap_or_else(PoisonError::into_inner)
}

async fn pool_outage(sim: Sim, lasts: Duration, down: Step) -> Seen {
    let server = Server::<false>::new(&sim);
    let pool = Pool::builder(server.clone())
        .build(sim.clone())
        .expect("it makes sense");
    outage(&sim, &server, lasts, down, async || {
        match pool.acquire().await {
            Ok(session) => session.query().await.is_ok(),
            Err(_) => false,
        }
    })
    .await
}

/// Lets callers ask through an outage, until one is served after it.
pub(crate) async fn outage<const EXCLUSIVE: bool>(
    sim: &Sim,
    server: &Server<EXCLUSIVE>,
    lasts: Duration,
    down: Step,
    ask: impl AsyncFn() -> bool,
) -> Seen {
    assert!(ask().await);
    // Outages do not begin when something else does.
    sim.sleep(SECOND * 100 + MS * sim.below(1_000) as u32).await;
    let began_at = sim.now();
    server.break_all();
    server.always(Ask::Open, down);
    server.always(
        Ask::Query,
        Step::Refuses(tenure_core::ErrorClass::Reconnect),
    );
    // Nor do they end then.
    let back_at = began_at + lasts + MS * sim.below(1_000) as u32;
    let served_at = Rc::new(Cell::new(None));
    let callers = (0..CALLERS).map(|_| {
        let (served_at, ask) = (served_at.clone(), &ask);
        async move {
            while served_at.get().is_none() {
                if ask().await && sim.now() >= back_at {
                    served_at.set(served_at.get().or(Some(sim.now())));
                }
                sim.sleep(MS * 100).await;
            }
        }
    });
    let ends = async {
        sim.sleep_until(back_at).await;
        server.always(Ask::Open, Step::AnswersAfter(MS * 10));
        server.always(Ask::Query, Step::Answers);
    };
    all(callers
        .map(|caller| Box::pin(caller) as _)
        .chain([Box::pin(ends) as _]))
    .await;
    let served_at: Instant = served_at.get().expect("one was served");
    let openings = server.openings();
    let steady: Vec<_> = { openings.iter().copied() }
        .filter(|at| *at > began_at && *at <= back_at)
        .collect();
    Seen {
        back_after: served_at - back_at,
        per_second: steady.len() as f64 / (back_at - began_at).as_secs_f64(),
        most_per_second: most_within(&steady, SECOND),
    }
}

/// Awaits several futures at once.
async fn all<'a>(futures: impl Iterator<Item = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>>) {
    let mut futures: Vec<_> = futures.collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// The most of these instants within any such stretch, its end excluded.
fn most_within(instants: &[Instant], stretch: Duration) -> usize {
    let within = |first: usize| {
        let rest = &instants[first..];
        rest.partition_point(|at| *at - instants[first] < stretch)
    };
    (0..instants.len()).map(within).max().unwrap_or(0)
}

/// The oldest opening never gives way, however many others are tried and called off beside it.
#[test]
fn a_handshake_of_most_of_the_open_timeout_succeeds() {
    for max_size in [1, 2, 10] {
        run(0, |sim| async move {
            let server = Server::<false>::new(&sim);
            server.always(Ask::Open, Step::AnswersAfter(SECOND * 4));
            let pool = Pool::builder(server.clone())
                .max_size(max_size)
                .open_timeout(SECOND * 5)
                .build(sim.clone())
                .expect("it makes sense");
            let (took, session) = timed(&sim, pool.acquire()).await;
            assert_eq!(session.map(|session| session.id).ok(), Some(1));
            assert_eq!(took, SECOND * 4, "{max_size}");
            assert!(pool.status().size <= max_size);
        });
    }
}

/// Where only one value may exist, a hanging opening holds up the next until it times out.
#[test]
fn a_pool_of_one_is_back_within_its_open_timeout_and_a_second() {
    let mut seen = all_seeds(|sim| async move {
        let server = Server::<false>::new(&sim);
        let pool = Pool::builder(server.clone())
            .max_size(1)
            .build(sim.clone())
            .expect("it makes sense");
        let ask = async || pool.acquire().await.is_ok();
        let lasts = SECOND * 60 + MS * sim.below(5_000) as u32;
        outage(&sim, &server, lasts, Step::Hangs, ask).await
    });
    let row = Row::of(&mut seen);
    tell(format_args!(
        "recovery: | pool of one | hanging | 60s | {row} |"
    ));
    assert!(seen.iter().all(|one| one.back_after <= SECOND * 6), "{row}");
}

/// Without a Runner, those who wait drive the openings: one that hangs holds up nobody for longer than a second.
#[test]
fn a_lone_caller_without_a_runner_gets_past_an_opening_that_hangs() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Ask::Open, [Step::Hangs, Step::Hangs]);
        let (pool, _runner) = Pool::builder(server.clone())
            .max_size(2)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        let (took, session) = timed(&sim, pool.acquire()).await;
        session.map(drop).expect("the third opening");
        assert!(took <= SECOND * 2 + MS, "{took:?}");
        assert_eq!(server.openings().len(), 3);
    });
}
