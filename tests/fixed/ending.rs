//! The end of a pool, and of what outlives its values.

use tenure_core::fixed::{FixedError, FixedPool, Parts, PartsGuard};
use tenure_core::{LocalResource, Why};

use super::device::{devices, wait};
use crate::managed::soon;
use crate::worlds::World;

on_every_backend! {
    a_shutdown_tells_who_waits_and_closes_what_comes_back,
    a_shutdown_that_runs_out_of_time_waits_for_no_close,
    what_is_idle_when_the_pool_is_dropped_is_abandoned,
    parts_come_back_from_every_end_of_a_value,
}

async fn a_shutdown_tells_who_waits_and_closes_what_comes_back<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    let lease = soon(&world, pool.acquire()).await.expect("it opens");
    let waiter = world.task({
        let pool = pool.clone();
        async move { pool.acquire().await.err() }
    });
    wait(&world, 1).await;
    let limit = world.tick() * 1_000;
    let end = world.task({
        let pool = pool.clone();
        async move { pool.shutdown(limit).await }
    });
    let refused = soon(&world, waiter).await;
    assert!(matches!(refused, Some(FixedError::Closed)), "{refused:?}");
    drop(lease);
    assert!(soon(&world, end).await);
    assert_eq!(*wishes.closed.borrow(), [Why::Shutdown]);
    let refused = pool.acquire().await.err();
    assert!(matches!(refused, Some(FixedError::Closed)), "{refused:?}");
}

async fn a_shutdown_that_runs_out_of_time_waits_for_no_close<W: World>(world: W) {
    let (wishes, pool) = devices::<W, true, 1>(&world);
    drop(soon(&world, pool.acquire()).await.expect("it opens"));
    wishes.hangs_closing.set(true);
    soon(&world, pool.shutdown(world.tick())).await;
    assert!(wishes.closed.borrow().is_empty());
    assert!(
        soon(&world, pool.shutdown(world.tick())).await,
        "nothing is left"
    );
}

async fn what_is_idle_when_the_pool_is_dropped_is_abandoned<W: World>(world: W) {
    let uart = Parts::new(0);
    let pool = FixedPool::<_, _, 1, 1>::new(Modem { uart: &uart }, world.runtime());
    drop(soon(&world, pool.acquire()).await.expect("it opens"));
    assert!(uart.take().is_none(), "the session has it");
    drop(pool);
    assert_eq!(uart.take().as_deref(), Some(&101));
}

async fn parts_come_back_from_every_end_of_a_value<W: World>(world: W) {
    let uart = Parts::new(0);
    let pool = FixedPool::<_, _, 1, 1>::new(Modem { uart: &uart }, world.runtime());
    for count in 1..=3 {
        let session = soon(&world, pool.acquire()).await.expect("it opens");
        assert_eq!(*session.uart, count);
        session.discard();
    }
    assert!(soon(&world, pool.shutdown(world.tick())).await);
    assert_eq!(uart.take().as_deref(), Some(&3));
}

/// Its values borrow, as it does.
struct Modem<'p> {
    uart: &'p Parts<u32>,
}

struct Session<'p> {
    uart: PartsGuard<'p, u32>,
}

impl<'p> LocalResource for Modem<'p> {
    type Value = Session<'p>;
    type Error = &'static str;
    const EXCLUSIVE: bool = true;

    async fn open(&self) -> Result<Session<'p>, &'static str> {
        let mut uart = self.uart.take().ok_or("it is in use")?;
        *uart += 1;
        Ok(Session { uart })
    }

    fn abandon(&self, mut session: Session<'p>, _: Why) {
        *session.uart += 100;
    }
}
