//! The pool beside a model of it: a list of values and a queue of waiters.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use tenure_core::pool::CheckOnAcquire;
use tenure_core::{AcquireError, OwnedLease, Pool, Start};
use tenure_sim::{Backend, FaultyResource, Sim, Task, run};

proptest! {
    #![proptest_config(super::cases(2_000))]

    #[test]
    fn the_pool_does_what_its_model_does(
        max_size in 1..4_usize,
        commands in prop::collection::vec(command(), 1..60),
    ) {
        run(0, |sim| async move {
            let mut real = Real::new(&sim, max_size);
            let mut model = Model::new(max_size);
            for command in commands {
                real.perform(command).await;
                model.perform(command);
                assert_eq!(real.view(), model.view(), "after {command:?}");
            }
            real.end().await;
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Acquire,
    /// Gives back one of the leases; which, as a fraction of them.
    Release(u8),
    /// Has one of those who wait leave.
    Cancel(u8),
    /// Gives back one of the leases, broken.
    Break(u8),
    /// Gives one of the values away.
    Detach(u8),
    /// Lets all that lies idle lie for too long.
    Expire,
    Shutdown,
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        20 => Just(Command::Acquire),
        12 => any::<u8>().prop_map(Command::Release),
        6 => any::<u8>().prop_map(Command::Cancel),
        4 => any::<u8>().prop_map(Command::Break),
        2 => any::<u8>().prop_map(Command::Detach),
        2 => Just(Command::Expire),
        1 => Just(Command::Shutdown),
    ]
}

/// One of so many, for a drawn number.
fn pick(drawn: u8, of: usize) -> Option<usize> {
    (of > 0).then(|| usize::from(drawn) * of / 256)
}

/// Those who are woken together may come to see it in any order.
fn sorted(mut callers: Vec<usize>) -> Vec<usize> {
    callers.sort_unstable();
    callers
}

/// What can be seen of a pool: callers go by the order in which they came, values by their numbers.
#[derive(Debug, PartialEq, Eq)]
struct View {
    /// Which caller has which value, by the order in which they were served.
    lent: Vec<(usize, u64)>,
    waiting: Vec<usize>,
    refused: Vec<usize>,
    idle: usize,
    live: Vec<u64>,
}

struct Model {
    max_size: usize,
    closed: bool,
    callers: usize,
    opened: u64,
    /// The value that was used last is used first.
    idle: Vec<u64>,
    lent: Vec<(usize, u64)>,
    waiting: VecDeque<usize>,
    refused: Vec<usize>,
}

impl Model {
    fn new(max_size: usize) -> Self {
        Self {
            max_size,
            closed: false,
            callers: 0,
            opened: 0,
            idle: Vec::new(),
            lent: Vec::new(),
            waiting: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Acquire => {
                let caller = self.callers;
                self.callers += 1;
                self.waiting.push_back(caller);
            }
            Command::Release(drawn) => {
                if let Some(index) = pick(drawn, self.lent.len()) {
                    let (_, value) = self.lent.remove(index);
                    self.idle.push(value);
                }
            }
            Command::Cancel(drawn) => {
                if let Some(index) = pick(drawn, self.waiting.len()) {
                    self.waiting.remove(index);
                }
            }
            Command::Break(drawn) | Command::Detach(drawn) => {
                if let Some(index) = pick(drawn, self.lent.len()) {
                    self.lent.remove(index);
                }
            }
            Command::Expire => self.idle.clear(),
            Command::Shutdown => self.closed = true,
        }
        self.serve();
    }

    fn serve(&mut self) {
        if self.closed {
            self.idle.clear();
            self.refused.extend(self.waiting.drain(..));
            return;
        }
        while !self.waiting.is_empty() {
            let value = match self.idle.pop() {
                Some(value) => value,
                None if self.lent.len() < self.max_size => {
                    self.opened += 1;
                    self.opened
                }
                None => return,
            };
            self.lent
                .extend(self.waiting.pop_front().map(|caller| (caller, value)));
        }
    }

    fn view(&self) -> View {
        let mut live: Vec<_> = self.lent.iter().map(|(_, value)| *value).collect();
        live.extend(&self.idle);
        live.sort_unstable();
        View {
            lent: self.lent.clone(),
            waiting: self.waiting.iter().copied().collect(),
            refused: sorted(self.refused.clone()),
            idle: self.idle.len(),
            live,
        }
    }
}

struct Real {
    sim: Sim,
    backend: Backend,
    pool: Pool<FaultyResource, Sim>,
    callers: usize,
    served: Rc<RefCell<Served>>,
    /// Those who wait, each with its task.
    waiting: Vec<(usize, Task<()>)>,
    shutdown: Option<Task<()>>,
}

#[derive(Default)]
struct Served {
    lent: Vec<(usize, OwnedLease<FaultyResource, Sim>)>,
    refused: Vec<usize>,
}

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

impl Real {
    fn new(sim: &Sim, max_size: usize) -> Self {
        let backend = Backend::new(sim);
        let pool = Pool::builder(FaultyResource::new(&backend))
            .max_size(max_size)
            .idle_timeout(IDLE_TIMEOUT)
            .check_every(None)
            .check_on_acquire(CheckOnAcquire::Never)
            .acquire_timeout(None)
            .start(Start::Lazily)
            .build(sim.clone())
            .expect("a configuration that makes sense");
        Self {
            sim: sim.clone(),
            backend,
            pool,
            callers: 0,
            served: Rc::default(),
            waiting: Vec::new(),
            shutdown: None,
        }
    }

    async fn perform(&mut self, command: Command) {
        let lent = self.served.borrow().lent.len();
        match command {
            Command::Acquire => self.acquire(),
            Command::Release(drawn) => drop(self.take_lease(pick(drawn, lent))),
            Command::Break(drawn) => {
                if let Some(lease) = self.take_lease(pick(drawn, lent)) {
                    self.backend.break_value(lease.id());
                }
            }
            Command::Detach(drawn) => {
                if let Some(lease) = self.take_lease(pick(drawn, lent)) {
                    lease.detach().end();
                }
            }
            Command::Cancel(drawn) => {
                if let Some(index) = pick(drawn, self.waiting.len()) {
                    self.waiting.remove(index).1.cancel();
                }
            }
            // Idle times are looked at four times within the limit.
            Command::Expire => self.sim.sleep(IDLE_TIMEOUT * 2).await,
            Command::Shutdown => {
                let pool = self.pool.clone();
                let close = async move { drop(pool.close().await) };
                self.shutdown = Some(self.sim.task("shutdown", close));
            }
        }
        // Time passes only when nobody has anything left to do.
        self.sim.sleep(Duration::from_nanos(1)).await;
        self.waiting.retain(|(_, task)| !task.is_over());
    }

    fn acquire(&mut self) {
        let caller = self.callers;
        self.callers += 1;
        let (pool, served) = (self.pool.clone(), self.served.clone());
        let task = self.sim.task(format!("caller {caller}"), async move {
            let acquired = pool.acquire_owned().await;
            let mut served = served.borrow_mut();
            match acquired {
                Ok(lease) => served.lent.push((caller, lease)),
                Err(AcquireError::Closed { .. }) => served.refused.push(caller),
                Err(error) => panic!("{error}"),
            }
        });
        self.waiting.push((caller, task));
    }

    fn take_lease(&self, index: Option<usize>) -> Option<OwnedLease<FaultyResource, Sim>> {
        let mut served = self.served.borrow_mut();
        index.map(|index| served.lent.remove(index).1)
    }

    fn view(&self) -> View {
        assert!(self.pool.audit().is_balanced(), "{}", self.pool.audit());
        let served = self.served.borrow();
        View {
            lent: served
                .lent
                .iter()
                .map(|(caller, lease)| (*caller, lease.id()))
                .collect(),
            waiting: self.waiting.iter().map(|(caller, _)| *caller).collect(),
            refused: sorted(served.refused.clone()),
            idle: self.pool.status().idle,
            live: self.backend.live(),
        }
    }

    async fn end(self) {
        let served = self.served.take();
        drop(served);
        for (_, task) in &self.waiting {
            task.cancel();
        }
        self.pool.close().await;
        if let Some(shutdown) = self.shutdown {
            shutdown.await;
        }
        self.backend.assert_accounted();
    }
}
