//! Operations that are cut off: what they leave behind reaches no other user.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::{Instant, LocalResource, Pool, Timer, with_timeout};
use tenure_sim::{Backend, Fault, Faults, FaultyResource, Hook, Sim, run};

/// A connection whose protocol has no numbers for its answers: whoever asks gets the next that comes.
#[derive(Default)]
struct Wire {
    answers: RefCell<Vec<u32>>,
}

struct Wires;

impl LocalResource for Wires {
    type Value = Wire;
    type Error = Infallible;

    async fn open(&self) -> Result<Wire, Infallible> {
        Ok(Wire::default())
    }
}

async fn query(sim: &Sim, wire: &mut Wire, question: u32) -> u32 {
    wire.answers.borrow_mut().push(question);
    sim.sleep(SECOND * 2).await;
    wire.answers.borrow_mut().remove(0)
}

#[test]
fn a_cancelled_query_leaves_no_answer_for_the_next_user() {
    for form in ["run", "begin", "begin of an owned lease"] {
        run(0, |sim| async move {
            let pool = Pool::builder(Wires).max_size(1);
            let pool = pool.build_local(sim.clone()).expect("it makes sense");
            let cut_off = async {
                if form == "run" {
                    let mut lease = pool.acquire().await.expect("a wire");
                    lease.run(async |wire| query(&sim, wire, 1).await).await;
                } else if form == "begin" {
                    let mut lease = pool.acquire().await.expect("a wire");
                    let mut operation = lease.begin();
                    query(&sim, &mut operation, 1).await;
                    operation.complete();
                } else {
                    let mut lease = pool.acquire_owned().await.expect("a wire");
                    let mut operation = lease.begin();
                    query(&sim, &mut operation, 1).await;
                    operation.complete();
                }
            };
            let timed_out = with_timeout(&sim, SECOND, "query", cut_off).await;
            timed_out.expect_err("it takes longer");
            let mut lease = pool.acquire().await.expect("another");
            let answer = lease.run(async |wire| query(&sim, wire, 2).await).await;
            assert_eq!(answer, 2, "the answer to the question of somebody else");
            drop(lease);
            assert_eq!(
                pool.status().idle,
                1,
                "what has ended leaves nothing behind"
            );
            pool.close().await;
            assert!(pool.audit().is_balanced());
        });
    }
}

#[test]
fn an_operation_that_was_cut_off_is_not_made_good_by_one_that_ends() {
    run(0, |sim| async move {
        let pool = Pool::builder(Wires).max_size(1);
        let pool = pool.build_local(sim.clone()).expect("it makes sense");
        let mut lease = pool.acquire().await.expect("a wire");
        drop(lease.begin());
        lease.run(async |_| ()).await;
        lease.begin().complete();
        drop(lease);
        assert_eq!(pool.status().idle, 0);
        pool.close().await;
    });
}

#[test]
fn an_operation_that_panics_leaves_its_value_suspect() {
    run(0, |sim| async move {
        let pool = Pool::builder(Wires).max_size(1);
        let pool = pool.build_local(sim.clone()).expect("it makes sense");
        let mut lease = pool.acquire().await.expect("a wire");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _operation = lease.begin();
            panic!("the operation panics");
        }));
        assert!(panicked.is_err());
        drop(lease);
        assert_eq!((pool.status().idle, pool.status().closing), (0, 1));
        pool.close().await;
    });
}

/// With a check it is kept, if it answers; nobody gets it before, and who waits is served once it has.
#[test]
fn a_suspect_value_is_checked_before_it_is_lent_again() {
    for background in [true, false] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            backend.set_time(Hook::Check, MILLI * 10);
            let builder = Pool::builder(FaultyResource::new(&backend)).max_size(1);
            let (pool, runner) = builder
                .build_with_runner(sim.clone())
                .expect("it makes sense");
            let mut runner = Some(runner);
            if background {
                drop(sim.task("runner", runner.take().expect("it is there").run()));
            }
            let mut lease = pool.acquire().await.expect("the backend is well");
            drop(lease.begin());
            drop(lease);
            assert!(pool.try_acquire().is_none());
            let began = sim.now();
            let lease = pool.acquire().await.expect("the same");
            assert_eq!((sim.now() - began, backend.opened()), (MILLI * 10, 1));
            assert_eq!(backend.calls(Hook::Check), 1);
            drop(lease);
            assert!(pool.try_acquire().is_some(), "it has been cleared");
            ends_well(&pool, &backend).await;
        });
    }
}

#[test]
fn a_suspect_value_that_does_not_answer_soon_is_replaced() {
    for fault in [Fault::Hang, Fault::Fail, Fault::Panic] {
        run(0, |sim| async move {
            let backend = Backend::new(&sim);
            backend.set_faults(Faults::none().nth(Hook::Check, 1, fault));
            let builder = Pool::builder(FaultyResource::new(&backend)).max_size(1);
            let pool = builder.build(sim.clone()).expect("it makes sense");
            let mut lease = pool.acquire().await.expect("the backend is well");
            drop(lease.begin());
            drop(lease);
            let began = sim.now();
            drop(pool.acquire().await.expect("another"));
            assert!(sim.now() - began <= MILLI * 250, "{fault:?}");
            assert_eq!(backend.opened(), 2, "{fault:?}");
            ends_well(&pool, &backend).await;
        });
    }
}

/// A server whose connections can fall silent: nothing fails, and nothing answers.
#[derive(Clone)]
struct Server {
    sim: Sim,
    opened: Rc<Cell<u64>>,
    silent: Rc<Cell<u64>>,
}

struct Session {
    server: Server,
    number: u64,
}

impl Session {
    async fn ask(&mut self) {
        if self.number <= self.server.silent.get() {
            pending::<()>().await;
        }
        self.server.sim.sleep(MILLI * 5).await;
    }
}

impl LocalResource for Server {
    type Value = Session;
    type Error = Infallible;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Session, Infallible> {
        self.sim.sleep(MILLI * 20).await;
        self.opened.set(self.opened.get() + 1);
        Ok(Session {
            server: self.clone(),
            number: self.opened.get(),
        })
    }

    async fn check(&self, session: &mut Session) -> Result<(), Infallible> {
        session.ask().await;
        Ok(())
    }
}

/// All connections fall silent at once, callers give up after two seconds, and new connections are well: with default
/// settings, callers are served within two and a half seconds, whether one or many of them ask.
#[test]
fn a_pool_recovers_from_a_black_hole_of_which_its_callers_know_only_by_their_own_timeouts() {
    for callers in [1, 3, 10, 40] {
        for pause in [0, 100, 1_000] {
            run(0, |sim| async move {
                let server = Server {
                    sim: sim.clone(),
                    opened: Rc::default(),
                    silent: Rc::default(),
                };
                let pool = Pool::builder(server.clone());
                let pool = pool.build_local(sim.clone()).expect("it makes sense");
                drop(pool.acquire_many(10).await.expect("the server is well"));
                let served_at = Rc::new(Cell::new(Instant::EPOCH));
                let users: Vec<_> = (0..callers)
                    .map(|number| {
                        let user = asks(sim.clone(), pool.clone(), pause, served_at.clone());
                        sim.task(format!("user {number}"), user)
                    })
                    .collect();
                sim.sleep(SECOND * 3).await;
                server.silent.set(server.opened.get());
                let fell_silent = sim.now();
                served_at.set(Instant::EPOCH);
                sim.sleep(MILLI * 2_500 + MILLI * pause).await;
                let served = served_at.get();
                assert!(
                    served > fell_silent,
                    "{callers} callers, {pause} ms apart: nobody is served"
                );
                for user in users {
                    user.cancel();
                }
                pool.shutdown(SECOND * 10).await;
                assert!(pool.audit().is_balanced());
            });
        }
    }
}

async fn asks(sim: Sim, pool: Pool<Server, Sim>, pause: u32, served_at: Rc<Cell<Instant>>) {
    loop {
        let answer = with_timeout(&sim, SECOND * 2, "ask", async {
            let mut lease = pool.acquire().await.ok()?;
            lease.run(async |session| session.ask().await).await;
            Some(())
        });
        if let Ok(Some(())) = answer.await {
            served_at.set(sim.now());
        }
        sim.sleep(MILLI * pause).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

async fn ends_well(pool: &Pool<FaultyResource, Sim>, backend: &Backend) {
    pool.close().await;
    assert!(pool.audit().is_balanced(), "{}", pool.audit());
    backend.assert_accounted();
}
