//! Faults of retries.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::{
    AcquireError, Backoff, ErrorClass, Failure, Jitter, LocalResource, Managed, OpenError, Pool,
    Retry, SpawnLocal, State, StopReason, retry,
};
use tenure_sim::{Backend, Fault, FaultyError, Hook, SharedFaultyResource, explore, run};

use super::{DAY, SECOND, SEEDS, always, elapsed, managed_ends_well};

/// A port is handed a lambda, calls it, and returns the coroutine that it got: nothing has run yet, and
/// nothing that fails later is retried.
#[test]
fn fault_08_retried_operation_runs_to_its_end() {
    run(0, |sim| async move {
        let ended = Cell::new(0);
        let policy = Retry::new(Backoff::constant(SECOND)).max_retries(2);
        let answer = retry(&sim, policy, || async {
            sim.sleep(SECOND * 2).await;
            ended.set(ended.get() + 1);
            if ended.get() < 3 {
                Err("not yet")
            } else {
                Ok(ended.get())
            }
        });
        assert_eq!(answer.await.ok(), Some(3));
        assert_eq!(elapsed(&sim), SECOND * 8);
    });
}

/// The same of a call: a port counts it as a success before it has begun.
#[test]
fn fault_08_call_runs_to_its_end() {
    run(0, |sim| async move {
        let backend = Backend::new(&sim);
        let policy = Retry::new(Backoff::constant(SECOND)).max_retries(2);
        let builder = Managed::builder(SharedFaultyResource::new(&backend))
            .retry(policy)
            .open_retry(policy);
        let managed = builder.build(sim.clone()).expect("it makes sense");
        let ended = Cell::new(0);
        let (world, counted) = (&sim, &ended);
        let answer = managed.call("ask", |value| async move {
            world.sleep(SECOND * 2).await;
            counted.set(counted.get() + 1);
            value.ask()?;
            if counted.get() < 3 {
                Err(FaultyError::Outage { hook: Hook::Check })
            } else {
                Ok(value.id())
            }
        });
        assert_eq!(answer.await.expect("the third attempt succeeds"), 1);
        assert_eq!((ended.get(), elapsed(&sim)), (3, SECOND * 8));
        managed_ends_well(&managed, &backend).await;
    });
}

/// A port retries whatever is raised, a rejected password as well, and so locks the account.
#[test]
fn fault_09_permanent_error_of_a_call_is_not_retried() {
    run(0, |sim| async move {
        let door = Door::open();
        let (managed, runner) = Managed::builder(door.clone())
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        sim.spawn_local(runner.run());
        let calls = Cell::new(0);
        let call = managed.call("enter", |()| {
            calls.set(calls.get() + 1);
            async { Err::<(), _>(Forbidden) }
        });
        let error = call.await.expect_err("it is forbidden");
        assert_eq!(error.reason(), StopReason::GivenUp);
        assert_eq!((calls.get(), elapsed(&sim)), (1, Duration::ZERO));
        assert_eq!((managed.state(), door.knocks()), (State::Ready, 1));
    });
}

/// The same of an opening, which a port tries four times before it tells; in the background it must not
/// go on either, however long nobody asks.
#[test]
fn fault_09_permanent_error_of_an_opening_is_not_retried() {
    run(0, |sim| async move {
        let door = Door::shut();
        let (managed, runner) = Managed::builder(door.clone())
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        sim.spawn_local(runner.run());
        let Err(OpenError::Failed { failure, .. }) = managed.open().await else {
            panic!("it is forbidden");
        };
        assert_eq!(failure.stopped, Some(StopReason::GivenUp));
        assert_eq!((failure.attempts, elapsed(&sim)), (1, Duration::ZERO));
        sim.sleep(DAY).await;
        assert_eq!((managed.state(), door.knocks()), (State::Error, 1));
    });
    run(0, |sim| async move {
        let door = Door::shut();
        let (pool, runner) = Pool::builder(door.clone())
            .max_closing_beside(0)
            .build_with_runner(sim.clone())
            .expect("it makes sense");
        sim.spawn_local(runner.run());
        let Err(AcquireError::BackendDown { failure, .. }) = pool.acquire().await else {
            panic!("it is forbidden");
        };
        assert_eq!(failure.stopped, Some(StopReason::GivenUp));
        assert_eq!((failure.attempts, elapsed(&sim)), (1, Duration::ZERO));
        sim.sleep(DAY).await;
        assert_eq!(door.knocks(), 1);
    });
}

/// A port draws its jitter from the clock, which says the same to all who failed at the same instant.
#[test]
fn fault_10_clients_that_fail_together_come_back_apart() {
    const CLIENTS: usize = 20;
    explore(SEEDS, |sim| async move {
        let jitter = [Jitter::Full, Jitter::Equal, Jitter::Decorrelated][sim.below(3) as usize];
        let backend = Backend::new(&sim);
        backend.set_faults(always(Hook::Open, Fault::Fail));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let policy = Retry::new(Backoff::exponential(SECOND).jitter(jitter));
                let (client, _without_runner) =
                    Managed::builder(SharedFaultyResource::new(&backend))
                        .retry(policy.max_retries(3))
                        .open_retry(policy.max_retries(3))
                        .build_with_runner(sim.clone())
                        .expect("it makes sense");
                let opens = async move { client.open().await };
                sim.task(format!("client {number}"), opens)
            })
            .collect();
        for client in clients {
            assert!(client.await.is_err());
        }
        let openings = backend.openings();
        let (together, apart) = openings.split_at(CLIENTS);
        assert!(together.iter().all(|at| *at == together[0]));
        let instants: HashSet<_> = apart.iter().collect();
        assert_eq!((apart.len(), instants.len()), (3 * CLIENTS, 3 * CLIENTS));
    });
}

/// A port that draws before it caps waits exactly the cap from some retry on, as everybody does; one
/// that caps before it draws waits longer.
#[test]
fn fault_10_jitter_keeps_within_the_cap_and_is_drawn_below_it() {
    explore(SEEDS, |sim| async move {
        let cap = SECOND * 4;
        let jitter = [Jitter::Full, Jitter::Equal, Jitter::Decorrelated][sim.below(3) as usize];
        let policy = Retry::new(Backoff::exponential(SECOND).cap(cap).jitter(jitter));
        let attempts = RefCell::new(Vec::new());
        let failing = retry(&sim, policy.max_retries(30), || async {
            attempts.borrow_mut().push(elapsed(&sim));
            Err::<(), _>("down")
        });
        assert!(failing.await.is_err());
        let attempts = attempts.take();
        let delays: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(delays.len(), 30);
        assert!(delays.iter().all(|delay| *delay <= cap), "{delays:?}");
        let (_, grown) = delays.split_at(10);
        let instants: HashSet<_> = grown.iter().collect();
        assert_eq!(instants.len(), grown.len(), "{delays:?}");
    });
}

/// What is forbidden once is forbidden for ever.
#[derive(Clone, Debug)]
struct Door {
    is_open: bool,
    knocks: Rc<Cell<u32>>,
}

#[derive(Debug)]
struct Forbidden;

impl Door {
    fn open() -> Self {
        Self {
            is_open: true,
            knocks: Rc::default(),
        }
    }

    fn shut() -> Self {
        Self {
            is_open: false,
            ..Self::open()
        }
    }

    fn knocks(&self) -> u32 {
        self.knocks.get()
    }
}

impl LocalResource for Door {
    type Value = ();
    type Error = Forbidden;

    async fn open(&self) -> Result<(), Forbidden> {
        self.knocks.set(self.knocks.get() + 1);
        if self.is_open { Ok(()) } else { Err(Forbidden) }
    }

    fn classify(&self, _: Failure<'_, Forbidden>) -> ErrorClass {
        ErrorClass::GiveUp
    }
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("forbidden")
    }
}

impl std::error::Error for Forbidden {}
