//! State that outlives a value comes back from every end of it.

use std::cell::Cell;
use std::time::Duration;

use tenure_core::fixed::{FixedPool, Parts, PartsGuard};
use tenure_core::{LocalResource, Why};
use tenure_sim::{Sim, cancel_everywhere};

/// How often it was opened with.
type Uart = u32;

struct Modem {
    uart: &'static Parts<Uart>,
    sim: Sim,
    fails: Cell<u32>,
}

struct Session {
    uart: PartsGuard<'static, Uart>,
}

impl LocalResource for Modem {
    type Value = Session;
    type Error = &'static str;
    const EXCLUSIVE: bool = true;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Session, &'static str> {
        let mut uart = self.uart.take().ok_or("the UART is in use")?;
        *uart += 1;
        self.sim.sleep(Duration::from_millis(10)).await;
        match self.fails.get() {
            0 => Ok(Session { uart }),
            fails => {
                self.fails.set(fails - 1);
                Err("no carrier")
            }
        }
    }

    async fn close(&self, session: Session, _: Why) -> Result<(), &'static str> {
        self.sim.sleep(Duration::from_millis(10)).await;
        drop(session);
        Ok(())
    }

    async fn check(&self, session: &mut Session) -> Result<(), &'static str> {
        self.sim.sleep(Duration::from_millis(10)).await;
        if session.uart.is_multiple_of(2) {
            Ok(())
        } else {
            Err("no answer")
        }
    }
}

type ModemPool = FixedPool<Modem, Sim, 1, 2>;

fn modem(sim: &Sim, fails: u32) -> (&'static Parts<Uart>, &'static ModemPool) {
    let uart: &'static _ = Box::leak(Box::new(Parts::new(0)));
    let modem = Modem {
        uart,
        sim: sim.clone(),
        fails: Cell::new(fails),
    };
    let pool: &'static _ = Box::leak(Box::new(ModemPool::new(modem, sim.clone())));
    (uart, pool)
}

#[test]
fn parts_come_back_wherever_a_session_is_cut_off() {
    for with_runner in [false, true] {
        for fails in [0, 1] {
            cancel_everywhere(
                0..1,
                async |sim| {
                    let (uart, pool) = modem(&sim, fails);
                    let runner =
                        with_runner.then(|| sim.task("runner", async move { pool.run().await }));
                    (sim, uart, pool, runner)
                },
                async |(sim, _, pool, _): &(Sim, _, &'static ModemPool, _)| {
                    let Ok(mut session) = pool.acquire().await else {
                        return;
                    };
                    session
                        .run(async |_| sim.sleep(Duration::from_millis(5)).await)
                        .await;
                    drop(session);
                    // Another opens it anew.
                    if let Ok(session) = pool.acquire().await {
                        session.discard();
                    }
                    drop(pool.acquire().await);
                },
                async |(_, uart, pool, runner): (
                    _,
                    &'static Parts<Uart>,
                    &'static ModemPool,
                    _,
                )| {
                    let session = pool.acquire().await.expect("it is served");
                    assert!(uart.take().is_none(), "the session has it");
                    drop(session);
                    assert!(pool.shutdown(Duration::from_secs(1)).await);
                    assert!(uart.take().is_some(), "it has come back");
                    drop(runner);
                },
            );
        }
    }
}
