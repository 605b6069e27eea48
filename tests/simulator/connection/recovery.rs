//! How soon service is back once the server is, with settings as they come and callers that keep asking.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use tenure_core::connection::WhenDown;
use tenure_core::{CallOptions, Connection, ErrorClass, Managed, Pool, Shared, Timer};
use tenure_sim::{Sim, explore, run};

use super::server::{DOWN, Hook, MS, SECOND, Server, Step, timed};
use crate::tell::tell;

const CALLERS: usize = 10;
const OUTAGES: [u64; 4] = [3, 10, 60, 600];

/// One outage, as its callers saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outage {
    /// How long after the server's return the first of them was served.
    served_after: Duration,
    /// Openings begun while the server was down.
    openings: usize,
}

/// Lets callers ask again and again while the server is down, until the first of them is served.
async fn outage<const X: bool, F: Future<Output = bool> + 'static>(
    sim: Sim,
    server: Server<false, X>,
    lasts: Duration,
    down: Step,
    ask: impl Fn(usize) -> F + Clone + 'static,
) -> Outage {
    assert!(ask(0).await);
    sim.sleep(SECOND * 100 + MS * u32::try_from(sim.below(1_000)).unwrap_or(0))
        .await;
    let before = server.openings().len();
    server.always(Hook::Open, down);
    server.always(Hook::Query, Step::Fails(ErrorClass::Reconnect));
    let back = Rc::new(Cell::new(false));
    let served = Rc::new(Cell::new(None));
    for number in 0..CALLERS {
        let (ask, sim2) = (ask.clone(), sim.clone());
        let (back, served) = (back.clone(), served.clone());
        let caller = sim.task(format!("caller {number}"), async move {
            while served.get().is_none() {
                if ask(number).await && back.get() {
                    served.set(served.get().or(Some(sim2.now())));
                }
                // One that never waits asks less often.
                let pause = if number % 5 == 0 { SECOND } else { MS * 100 };
                sim2.sleep(pause).await;
            }
        });
        drop(caller);
    }
    sim.sleep(lasts).await;
    let openings = server.openings().len() - before;
    // Attempts that hang go on hanging, though the server is back.
    server.always(Hook::Open, Step::After(MS * 10));
    server.always(Hook::Query, Step::Well);
    back.set(true);
    let at = sim.now();
    let served_at = loop {
        if let Some(served_at) = served.get() {
            break served_at;
        }
        sim.sleep(MS * 10).await;
    };
    Outage {
        served_after: served_at - at,
        openings,
    }
}

/// Runs an outage for many seeds, and asserts that service is back soon, and that the server was not asked too often.
fn assert_prompt<F: Future<Output = Outage>>(
    what: &str,
    within: [Duration; 2],
    world: impl Fn(Sim, Duration) -> F + Sync,
) {
    for seconds in OUTAGES {
        let lasts = SECOND * u32::try_from(seconds).unwrap_or(u32::MAX);
        let outages = Mutex::new(Vec::new());
        explore(0..20, |sim| {
            let world = world(sim, lasts);
            let outages = &outages;
            async move {
                let outage = world.await;
                outages
                    .lock()
                    .map(|mut all| all.push(outage))
                    .expect("nobody panics under it");
            }
        });
        let mut outages = outages.into_inner().expect("nobody panics under it");
        outages.sort();
        let at = |percent: usize| outages[(outages.len() - 1) * percent / 100].served_after;
        let most = outages
            .iter()
            .map(|outage| outage.openings)
            .max()
            .unwrap_or(0);
        tell(format_args!(
            "recovery: {what}, outage of {lasts:?}: served after {:?} (median), {:?} (95 %), {:?} (all); at most {most} openings",
            at(50),
            at(95),
            at(100)
        ));
        let [nearly_all, all] = within;
        assert!(at(95) <= nearly_all, "{what}, {lasts:?}: {outages:?}");
        assert!(at(100) <= all, "{what}, {lasts:?}: {outages:?}");
        let allowed = 2 * usize::try_from(seconds).unwrap_or(usize::MAX) + 1;
        assert!(most <= allowed, "{what}, {lasts:?}: {most} openings");
    }
}

const PROMPT: [Duration; 2] = [SECOND, Duration::from_millis(2_500)];

/// Every other caller has a deadline, every fifth is not patient at all.
fn options(number: usize) -> (CallOptions, WhenDown) {
    let options = CallOptions::named("query");
    match number % 5 {
        0 => (options, WhenDown::FailAtOnce),
        1 | 3 => (options.deadline(SECOND * 2), WhenDown::WaitToDeadline),
        _ => (options, WhenDown::WaitToDeadline),
    }
}

async fn connection_outage<const X: bool>(sim: Sim, lasts: Duration, down: Step) -> Outage {
    let server = Server::<false, X>::new(&sim);
    let connection = Connection::builder("peer", server.clone())
        .build(sim.clone())
        .expect("the defaults are valid");
    let ask = move |number| {
        let connection = connection.clone();
        async move {
            let (options, when_down) = options(number);
            let request = connection.request(options).when_down(when_down);
            request.run(|session| session.query()).await.is_ok()
        }
    };
    outage(sim, server, lasts, down, ask).await
}

async fn managed_outage(sim: Sim, lasts: Duration, down: Step) -> Outage {
    let server = Server::<false>::new(&sim);
    let managed = Managed::builder(server.clone())
        .build(sim.clone())
        .expect("the defaults are valid");
    let ask = move |number| {
        let managed = managed.clone();
        async move {
            let (options, _) = options(number);
            managed
                .call_with(options, |session| session.query())
                .await
                .is_ok()
        }
    };
    outage(sim, server, lasts, down, ask).await
}

#[test]
fn a_connection_is_back_soon_after_a_server_that_refused() {
    assert_prompt("connection, refused", PROMPT, |sim, lasts| {
        connection_outage::<false>(sim, lasts, DOWN)
    });
}

#[test]
fn a_connection_is_back_soon_after_a_server_that_hung() {
    assert_prompt("connection, hung", PROMPT, |sim, lasts| {
        connection_outage::<false>(sim, lasts, Step::Hangs)
    });
}

/// No second attempt is made beside one that hangs.
#[test]
fn an_exclusive_connection_is_back_once_its_attempt_has_timed_out() {
    let bound = SECOND * 6;
    assert_prompt("exclusive connection, hung", [bound; 2], |sim, lasts| {
        connection_outage::<true>(sim, lasts, Step::Hangs)
    });
}

#[test]
fn a_managed_resource_is_back_soon_after_a_server_that_refused() {
    assert_prompt("managed, refused", PROMPT, |sim, lasts| {
        managed_outage(sim, lasts, DOWN)
    });
}

#[test]
fn a_managed_resource_is_back_soon_after_a_server_that_hung() {
    assert_prompt("managed, hung", PROMPT, |sim, lasts| {
        managed_outage(sim, lasts, Step::Hangs)
    });
}

#[test]
fn a_slow_handshake_succeeds_though_others_begin_beside_it() {
    for seed in 0..20 {
        run(seed, |sim| async move {
            let server = Server::<false>::new(&sim);
            server.next(Hook::Open, [Step::After(SECOND * 4)]);
            server.always(Hook::Open, Step::Hangs);
            let connection = Connection::builder("peer", server.clone())
                .build(sim.clone())
                .expect("the defaults are valid");
            let (took, opened) = timed(&sim, connection.open()).await;
            opened.expect("the first attempt succeeds");
            assert_eq!(took, SECOND * 4);
            assert!(server.openings().len() > 2, "{:?}", server.openings());
            let stats = connection.stats();
            assert!(stats.is_balanced(), "{stats}");
            assert_eq!(stats.connects.succeeded, 1);
            assert_eq!(stats.connects.under_way, 0);
        });
    }
}

/// A handshake that takes a second is no reason for another beside it, in any holder.
#[test]
fn an_opening_that_takes_a_second_is_the_only_one() {
    for seed in 0..20 {
        run(seed, |sim| async move {
            let server = Server::<false>::new(&sim);
            server.always(Hook::Open, Step::After(SECOND));
            let connection = Connection::builder("peer", server.clone()).build(sim.clone());
            let connection = connection.expect("the defaults are valid");
            connection.open().await.expect("it opens");
            let pool = Pool::builder(server.clone()).build(sim.clone());
            let pool = pool.expect("the defaults are valid");
            drop(pool.acquire().await.expect("it opens"));
            let shared = Shared::builder(server.clone()).build(sim.clone());
            let shared = shared.expect("the defaults are valid");
            let share = shared.acquire().await.expect("it opens");
            share.swap_if_current().await.expect("it opens");
            assert_eq!(server.openings().len(), 4);
        });
    }
}

#[test]
fn the_second_attempt_wins_if_the_first_hangs() {
    run(0, |sim| async move {
        let server = Server::<false>::new(&sim);
        server.next(Hook::Open, [Step::Hangs]);
        let connection = Connection::builder("peer", server.clone())
            .build(sim.clone())
            .expect("the defaults are valid");
        let (took, opened) = timed(&sim, connection.open()).await;
        opened.expect("the second attempt succeeds");
        assert!((SECOND..=MS * 1_050).contains(&took), "{took:?}");
        let stats = connection.stats();
        assert!(stats.is_balanced(), "{stats}");
        assert_eq!(
            (stats.connects.called_off, stats.connects.succeeded),
            (1, 1)
        );
        assert!(connection.close().await.is_clean());
        assert_eq!(connection.audit().opened, 1);
    });
}
