//! A server has restarted, and of the connections to it some know that and some do not: the first that is found
//! broken has the others checked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::pool::{CheckOnAcquire, PoolBuilder};
use tenure_core::{LocalResource, Pool};
use tenure_sim::{Sim, run};

const MS: Duration = Duration::from_millis(1);

#[test]
fn none_that_lay_idle_is_lent_unchecked_once_one_was_found_broken() {
    for asked_by_try in [false, true] {
        run(0, |sim| async move {
            let (server, pool) = server_and_pool(&sim, |pool| pool);
            let leases = pool.acquire_many(4).await.expect("four");
            let last = leases.last().map(|session| session.id).expect("the last");
            drop(leases);
            server.restart();
            server.notices(last);
            if asked_by_try {
                drop(pool.try_acquire());
            }
            // The one that knows comes first, since it was used last.
            let mut leases = Vec::new();
            for _ in 0..4 {
                leases.push(pool.acquire().await.expect("another"));
            }
            assert!(leases.iter().all(|session| server.is_new(session)));
        });
    }
}

/// What is handed on at once lies idle in between for no time at all.
#[test]
fn none_is_handed_on_unchecked_once_one_was_found_broken() {
    run(0, |sim| async move {
        let (server, pool) = server_and_pool(&sim, |pool| pool.max_size(2));
        let (one, other) = (pool.acquire().await, pool.acquire().await);
        let (one, other) = (one.expect("one"), other.expect("another"));
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let (pool, server) = (pool.clone(), server.clone());
                sim.task(format!("waiter {number}"), async move {
                    let session = pool.acquire().await.expect("another");
                    server.is_new(&session)
                })
            })
            .collect();
        sim.sleep(MS).await;
        server.restart();
        server.notices(one.id);
        drop(one);
        drop(other);
        for waits in waiting {
            assert!(waits.await, "a connection from before the restart");
        }
    });
}

/// A value that was checked, or opened, since is not doubted again for the same.
#[test]
fn values_that_break_often_do_not_have_the_others_checked_each_time() {
    run(0, |sim| async move {
        let (server, pool) = server_and_pool(&sim, |pool| pool.check_every(None));
        drop(pool.acquire_many(4).await.expect("four"));
        for _ in 0..100 {
            let breaks = pool.acquire().await.expect("one");
            drop(pool.acquire_many(3).await.expect("the others"));
            server.notices(breaks.id);
            drop(breaks);
            sim.sleep(MS * 100).await;
        }
        let checks = server.checks.get();
        // Ten times three others, and the one that took the broken one's place.
        assert!((20..=44).contains(&checks), "{checks} checks");
    });
}

#[test]
fn a_pool_that_never_checks_before_a_loan_does_not_do_so_then() {
    run(0, |sim| async move {
        let never = |pool: PoolBuilder<Server>| pool.check_on_acquire(CheckOnAcquire::Never);
        let (server, pool) = server_and_pool(&sim, never);
        let leases = pool.acquire_many(4).await.expect("four");
        server.notices(leases[3].id);
        drop(leases);
        drop(pool.acquire_many(4).await.expect("four"));
        assert_eq!(server.checks.get(), 0);
    });
}

/// A server that can restart.
#[derive(Clone, Default)]
struct Server {
    opened: Rc<Cell<u64>>,
    /// Connections up to this one are of before the restart.
    before: Rc<Cell<u64>>,
    /// Those that know that they are lost.
    noticed: Rc<RefCell<BTreeSet<u64>>>,
    checks: Rc<Cell<u64>>,
}

struct Session {
    id: u64,
}

impl Server {
    fn restart(&self) {
        self.before.set(self.opened.get());
    }

    fn notices(&self, id: u64) {
        self.noticed.borrow_mut().insert(id);
    }

    fn is_new(&self, session: &Session) -> bool {
        session.id > self.before.get()
    }
}

impl LocalResource for Server {
    type Value = Session;
    type Error = std::io::Error;
    const CHECKED: bool = true;

    async fn open(&self) -> std::io::Result<Session> {
        self.opened.set(self.opened.get() + 1);
        Ok(Session {
            id: self.opened.get(),
        })
    }

    async fn check(&self, session: &mut Session) -> std::io::Result<()> {
        self.checks.set(self.checks.get() + 1);
        if self.is_new(session) {
            Ok(())
        } else {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }

    fn is_broken(&self, session: &mut Session) -> bool {
        self.noticed.borrow().contains(&session.id)
    }
}

/// A pool of four, some time after the start of the world.
fn server_and_pool(
    sim: &Sim,
    setting: impl FnOnce(PoolBuilder<Server>) -> PoolBuilder<Server>,
) -> (Server, Pool<Server, Sim>) {
    let server = Server::default();
    let builder = setting(Pool::builder(server.clone()).max_size(4));
    let pool = builder.build_local(sim.clone()).expect("it makes sense");
    (server, pool)
}
