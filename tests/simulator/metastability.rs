//! A pool in an outage, and after it: that what its callers do does not make the outage worse, nor longer.
//!
//! An overload is metastable if it feeds on itself once its cause is gone: Bronson and others, 2021. A pool could do
//! so by openings that grow with the number of those who wait, and that all come at once when the backend is back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use tenure_core::{Backoff, BoxError, Instant, Jitter, LocalResource, Pool, Retry};
use tenure_sim::{Backend, Faults, FaultyResource, Hook, Sim, explore, run};

use crate::faults::{SECOND, elapsed, pool_ends_well};
use crate::tell::tell;

const MS: Duration = Duration::from_millis(1);

/// How long the backend is well before and after an outage.
const BEFORE: Duration = Duration::from_secs(20);

/// The cap of the backoff.
const CAP: Duration = Duration::from_secs(5);

/// By when a backoff that doubles from a tenth of a second has grown to its cap, however its jitter falls: after
/// pauses of 0.1, 0.2, .. 3.2 s at most, and the attempts between them.
const GROWN: Duration = Duration::from_secs(7);

const MAX_SIZE: usize = 10;

/// With a jitter of half the pause there is half a cap between the end of an opening and the next, so that no third
/// begins within a cap.
const MOST_WITH_EQUAL: usize = 2;

/// With a jitter of the whole pause there is no such bound: the chance of `n + 1` openings within a cap is one in
/// `n!`. This is once in 40 million.
const MOST_WITH_FULL: usize = 12;

/// However long it lasts and however many ask, openings keep to the backoff; and once it is over, the pool serves
/// as many as before within two caps.
#[test]
fn an_outage_is_not_made_worse_nor_longer_by_who_waits() {
    for outage in [SECOND * 60, SECOND * 600] {
        for callers in [12, 48] {
            for (jitter, most) in [
                (Jitter::Equal, MOST_WITH_EQUAL),
                (Jitter::Full, MOST_WITH_FULL),
            ] {
                let mut seen = Seen::default();
                for seed in 0..5 {
                    let one = run(seed, |sim| async move {
                        live_through(&sim, outage, callers, jitter, most).await
                    });
                    seen.add(&one);
                }
                tell(format_args!(
                    "metastability: {callers} callers, {jitter:?}, outage of {outage:?}: {seen}"
                ));
            }
        }
    }
}

/// What was seen of some outages, the worst of each.
#[derive(Debug)]
struct Seen {
    /// At most, within a cap, once the backoff has grown.
    within_cap: usize,
    in_outage: usize,
    /// Acquires that succeeded, per second.
    before: u64,
    after: u64,
    /// From the end of the outage until the first success.
    back_after: Duration,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            within_cap: 0,
            in_outage: 0,
            before: u64::MAX,
            after: u64::MAX,
            back_after: Duration::ZERO,
        }
    }
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.within_cap = self.within_cap.max(other.within_cap);
        self.in_outage = self.in_outage.max(other.in_outage);
        self.before = self.before.min(other.before);
        self.after = self.after.min(other.after);
        self.back_after = self.back_after.max(other.back_after);
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} openings in it, {} within a cap of {CAP:?}; {} served per second before, {} from two \
             caps after, the first {:?} after",
            self.in_outage, self.within_cap, self.before, self.after, self.back_after
        )
    }
}

async fn live_through(
    sim: &Sim,
    outage: Duration,
    callers: usize,
    jitter: Jitter,
    most: usize,
) -> Seen {
    let backend = Backend::new(sim);
    backend.set_time(Hook::Open, MS * 20);
    let backoff = Backoff::exponential(MS * 100).cap(CAP).jitter(jitter);
    let pool = Pool::builder(FaultyResource::new(&backend))
        .max_closing_beside(0)
        .min_size(2)
        .max_size(MAX_SIZE)
        .acquire_timeout(SECOND * 10)
        .retry(Retry::new(backoff))
        .build(sim.clone())
        .expect("it makes sense");
    let ends_at = BEFORE + outage;
    let stop_at = ends_at + CAP * 2 + BEFORE;
    let served = Served::default();
    let callers: Vec<_> = (0..callers)
        .map(|number| {
            let calls = call_again_and_again(
                sim.clone(),
                pool.clone(),
                served.clone(),
                MS * 10,
                number % 2 == 0,
                stop_at,
            );
            sim.task(format!("caller {number}"), calls)
        })
        .collect();
    sim.sleep(BEFORE).await;
    backend.set_faults(Faults::none().outage(BEFORE..ends_at));
    backend.break_all();
    for caller in callers {
        caller.await;
    }

    let in_outage = openings(&backend, BEFORE..ends_at);
    let grown = BEFORE + GROWN;
    let steady: Vec<_> = { in_outage.iter().copied() }
        .filter(|at| *at >= grown)
        .collect();
    let within_cap = most_within(&steady, CAP);
    assert!(within_cap <= most, "{jitter:?}: {within_cap} within a cap");
    // Each of the values is opened once more as the outage begins, before anybody knows of it.
    let budget = MAX_SIZE + 7 + most * (outage.div_duration_f64(CAP).ceil() as usize + 1);
    assert!(in_outage.len() <= budget, "{} openings", in_outage.len());

    let a_while = BEFORE / 2;
    let before = served.per_second(BEFORE - a_while..BEFORE);
    let recovered = ends_at + CAP * 2;
    let after = served.per_second(recovered..recovered + a_while);
    // Two parts in a hundred for where the windows cut.
    assert!(
        after * 100 >= before * 98,
        "{after} a second after, {before} before"
    );
    assert_eq!(served.per_second(BEFORE + SECOND..ends_at), 0);
    let first = served.first_from(ends_at);
    assert!(first <= ends_at + CAP + MS * 30, "{first:?}");
    // It is as it was: no more openings than values.
    let late = openings(&backend, recovered..stop_at);
    assert_eq!(late.len(), 0);
    assert!(backend.most_live() <= MAX_SIZE);
    pool_ends_well(&pool, &backend).await;

    Seen {
        within_cap,
        in_outage: in_outage.len(),
        before,
        after,
        back_after: first - ends_at,
    }
}

/// A thousand processes, each with a pool of its own of one or two values, before one backend: in an outage they
/// open as often as their backoffs say, and when it is over they do not come all at once.
#[test]
fn a_thousand_clients_do_not_stampede_when_the_backend_is_back() {
    const CLIENTS: usize = 1_000;
    for jitter in [Jitter::Equal, Jitter::Full] {
        let told = std::sync::Mutex::new(Vec::new());
        explore(0..2, |sim| {
            let told = &told;
            async move {
                let numbers = stampede(&sim, CLIENTS, jitter).await;
                told.lock().expect("nobody panicked").push(numbers);
            }
        });
        for numbers in told.into_inner().expect("nobody panicked") {
            tell(format_args!(
                "metastability: {CLIENTS} clients, {jitter:?}: {numbers}"
            ));
        }
    }
}

async fn stampede(sim: &Sim, clients: usize, jitter: Jitter) -> String {
    const OUTAGE: Duration = Duration::from_secs(60);
    let backend = Backend::new(sim);
    let ends_at = BEFORE + OUTAGE;
    let stop_at = ends_at + CAP * 2 + SECOND * 5;
    let served = Served::default();
    let mut pools = Vec::new();
    let mut callers = Vec::new();
    for number in 0..clients {
        let backoff = Backoff::exponential(MS * 100).cap(CAP).jitter(jitter);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_closing_beside(0)
            .min_size(1)
            .max_size(2)
            .acquire_timeout(SECOND * 10)
            .retry(Retry::new(backoff))
            .build(sim.clone())
            .expect("it makes sense");
        for caller in 0..2 {
            let calls = call_again_and_again(
                sim.clone(),
                pool.clone(),
                served.clone(),
                SECOND / 2,
                caller == 0,
                stop_at,
            );
            callers.push(sim.task(format!("caller {caller} of client {number}"), calls));
        }
        pools.push(pool);
    }
    sim.sleep(BEFORE).await;
    backend.set_faults(Faults::none().outage(BEFORE..ends_at));
    backend.break_all();
    for caller in callers {
        caller.await;
    }

    let steady = openings(&backend, BEFORE + GROWN..ends_at);
    let per_cap = most_within(&steady, CAP);
    let per_second = most_within(&steady, SECOND);
    let (mean, bound) = match jitter {
        // Three quarters of the cap from one to the next in the mean.
        Jitter::Equal => (4.0 / 3.0, clients * MOST_WITH_EQUAL),
        // Half the cap in the mean, and the sum of so many does not stray far from that.
        _ => (2.0, clients * 5 / 2),
    };
    assert!(per_cap <= bound, "{per_cap} within a cap");
    // All began at one instant, and are still a little in step.
    let a_second = clients as f64 * mean / CAP.as_secs_f64();
    assert!(
        per_second as f64 <= a_second * 2.0,
        "{per_second} in a second"
    );

    // The first after the outage succeed, and their pools open the second value too, for who waits beside.
    let back = openings(&backend, ends_at..ends_at + CAP + SECOND);
    let at_once = { back.iter() }
        .filter(|at| **at < ends_at + MS * 100)
        .count();
    let stampede = most_within(&back, MS * 100);
    assert!(at_once <= clients / 6, "{at_once} as it is back");
    assert!(
        stampede <= clients / 6,
        "{stampede} within a tenth of a second"
    );
    let recovered = ends_at + CAP * 2;
    let before = served.per_second(BEFORE - SECOND * 5..BEFORE);
    let after = served.per_second(recovered..recovered + SECOND * 5);
    assert!(
        after * 100 >= before * 98,
        "{after} a second after, {before} before"
    );
    for pool in &pools {
        pool.close().await;
        assert!(pool.audit().is_balanced() && pool.audit().live() == 0);
    }
    backend.assert_accounted();
    format!(
        "within an outage of {OUTAGE:?} {per_cap} openings per cap of {CAP:?} at most, {per_second} per second; \
         {at_once} in the first tenth of a second after it, {stampede} in any; \
         {before} served per second before, {after} from two caps after"
    )
}

/// When somebody was served.
#[derive(Clone, Debug, Default)]
struct Served(Rc<RefCell<Vec<Duration>>>);

impl Served {
    fn per_second(&self, within: std::ops::Range<Duration>) -> u64 {
        let count = self
            .0
            .borrow()
            .iter()
            .filter(|at| within.contains(at))
            .count();
        count as u64 / (within.end - within.start).as_secs()
    }

    fn first_from(&self, start: Duration) -> Duration {
        let served = self.0.borrow();
        let first = served.iter().find(|at| **at >= start);
        *first.expect("it serves again")
    }
}

/// Acquires, uses, gives back; and after an error asks again, at once or a little later.
async fn call_again_and_again(
    sim: Sim,
    pool: Pool<FaultyResource, Sim>,
    served: Served,
    use_time: Duration,
    at_once: bool,
    stop_at: Duration,
) {
    while elapsed(&sim) < stop_at {
        match pool.acquire().await {
            Ok(lease) => {
                if lease.ask().is_ok() {
                    served.0.borrow_mut().push(elapsed(&sim));
                }
                sim.sleep(use_time).await;
            }
            Err(_) if at_once => {}
            Err(_) => sim.sleep(MS * (1 + sim.below(50) as u32)).await,
        }
    }
}

fn openings(backend: &Backend, within: std::ops::Range<Duration>) -> Vec<Duration> {
    let since_start = backend.openings().into_iter().map(|at| at - Instant::EPOCH);
    since_start.filter(|at| within.contains(at)).collect()
}

/// The most of these instants within any stretch of this length, both ends included.
fn most_within(instants: &[Duration], stretch: Duration) -> usize {
    let within = |first: usize| {
        let rest = &instants[first..];
        rest.partition_point(|at| *at - instants[first] <= stretch)
    };
    (0..instants.len()).map(within).max().unwrap_or(0)
}

/// A thousand pools of two, with default settings, before a server that manages 200 handshakes per second: after an
/// outage of a minute all are served within half a minute, and never do more than a third of them come at once. It
/// makes no difference whether the server notices that a client has gone before its handshake was done.
#[test]
fn a_fleet_with_default_settings_recovers_through_a_slow_server() {
    const POOLS: usize = 1_000;
    for notices_leavers in [true, false] {
        run(7, |sim| async move {
            let server = SlowServer::new(&sim, notices_leavers);
            let served = Rc::new(RefCell::new(vec![None; POOLS]));
            let mut callers = Vec::new();
            let (began_at, back_at) = (SECOND * 10, SECOND * 70);
            let stop_at = back_at + SECOND * 35;
            for number in 0..POOLS {
                let pool = Pool::builder(Client(server.clone()))
                    .max_size(2)
                    .build_local(sim.clone())
                    .expect("it makes sense");
                for caller in 0..2 {
                    let (sim, pool, served) = (sim.clone(), pool.clone(), served.clone());
                    callers.push(sim.clone().task(format!("{number}.{caller}"), async move {
                        while elapsed(&sim) < stop_at {
                            if let Ok(session) = pool.acquire().await {
                                let now = elapsed(&sim);
                                if session.is_well() && now >= back_at {
                                    served.borrow_mut()[number].get_or_insert(now);
                                }
                                sim.sleep(SECOND / 2).await;
                            } else {
                                sim.sleep(MS * (1 + sim.below(200) as u32)).await;
                            }
                        }
                    }));
                }
            }
            sim.sleep(began_at).await;
            server.goes_down();
            sim.sleep(back_at - began_at).await;
            server.comes_back();
            for caller in callers {
                caller.await;
            }
            let served = served.take();
            let last = served.iter().copied().max().flatten();
            let unserved = served.iter().filter(|at| at.is_none()).count();
            let begun = server.begun();
            let back: Vec<_> = { begun.iter().copied() }
                .filter(|at| *at >= back_at)
                .collect();
            let stampede = most_within(&back, MS * 100);
            tell(format_args!(
                "metastability: {POOLS} pools, {} served {:?} after the outage at the latest; {stampede} openings \
                 within a tenth of a second; the server notices leavers: {notices_leavers}",
                POOLS - unserved,
                last.map(|last| last - back_at)
            ));
            assert_eq!(unserved, 0, "never served");
            assert!(last.is_some_and(|last| last <= back_at + SECOND * 30));
            assert!(stampede <= POOLS / 3, "{stampede}");
        });
    }
}

/// A server that makes one handshake after the other, 200 per second, first come, first served.
#[derive(Clone)]
struct SlowServer {
    sim: Sim,
    state: Rc<RefCell<Slow>>,
    notices_leavers: bool,
}

struct Slow {
    is_up: bool,
    /// Which life of the server it is.
    life: u64,
    queue: VecDeque<Weak<Handshake>>,
    begun: Vec<Duration>,
    works: bool,
}

impl SlowServer {
    fn new(sim: &Sim, notices_leavers: bool) -> Self {
        let state = Slow {
            is_up: true,
            life: 0,
            queue: VecDeque::new(),
            begun: Vec::new(),
            works: false,
        };
        Self {
            sim: sim.clone(),
            state: Rc::new(RefCell::new(state)),
            notices_leavers,
        }
    }

    fn goes_down(&self) {
        let mut state = self.state.borrow_mut();
        state.is_up = false;
        state.life += 1;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        for handshake in queue.into_iter().filter_map(|one| one.upgrade()) {
            handshake.ends(false);
        }
    }

    fn comes_back(&self) {
        self.state.borrow_mut().is_up = true;
    }

    fn begun(&self) -> Vec<Duration> {
        self.state.borrow().begun.clone()
    }

    /// Works for as long as clients queue.
    async fn work(self) {
        loop {
            let next = self.state.borrow_mut().queue.pop_front();
            let Some(next) = next else {
                self.state.borrow_mut().works = false;
                return;
            };
            if self.notices_leavers && next.strong_count() == 0 {
                continue;
            }
            self.sim.sleep(SECOND / 200).await;
            if let Some(done) = next.upgrade() {
                done.ends(true);
            }
        }
    }
}

/// A handshake, and how it ended.
#[derive(Default)]
struct Handshake {
    done: Cell<Option<bool>>,
    waker: RefCell<Option<Waker>>,
}

impl Handshake {
    fn ends(&self, well: bool) {
        self.done.set(Some(well));
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A client of it.
struct Client(SlowServer);

struct SlowSession {
    server: SlowServer,
    life: u64,
}

impl SlowSession {
    fn is_well(&self) -> bool {
        let state = self.server.state.borrow();
        state.is_up && state.life == self.life
    }
}

impl LocalResource for Client {
    type Value = SlowSession;
    type Error = BoxError;

    async fn open(&self) -> Result<SlowSession, BoxError> {
        let server = &self.0;
        let done = Rc::new(Handshake::default());
        let (life, begins_work) = {
            let mut state = server.state.borrow_mut();
            state.begun.push(elapsed(&server.sim));
            if !state.is_up {
                return Err("refused".into());
            }
            state.queue.push_back(Rc::downgrade(&done));
            (state.life, !std::mem::replace(&mut state.works, true))
        };
        if begins_work {
            drop(server.sim.task("server", server.clone().work()));
        }
        let went_well = poll_fn(|cx| match done.done.get() {
            Some(went_well) => Poll::Ready(went_well),
            None => {
                done.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        });
        if !went_well.await {
            return Err("reset".into());
        }
        let server = server.clone();
        Ok(SlowSession { server, life })
    }

    fn is_broken(&self, session: &mut SlowSession) -> bool {
        !session.is_well()
    }
}
