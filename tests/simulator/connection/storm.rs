//! Many callers, and a peer that is dead, or answers and then hangs up.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::connection::WhenDown;
use tenure_core::{Backoff, CallOptions, Connection, Jitter, LocalResource, Why};
use tenure_sim::{Backend, Faults, Hook, SharedFaultyResource, Sim, run};

use crate::tell::tell;

const SECOND: Duration = Duration::from_secs(1);
const CALLERS: usize = 1_000;

fn connection(sim: &Sim, backend: &Backend) -> Connection<SharedFaultyResource, Sim> {
    let backoff = Backoff::exponential(SECOND)
        .cap(SECOND * 30)
        .jitter(Jitter::None);
    Connection::builder("peer:1", SharedFaultyResource::new(backend))
        .check_every(None)
        .proven_after(None)
        .open_pace(backoff)
        .build(sim.clone())
        .expect("it makes sense")
}

/// For ten minutes a thousand callers ask again and again, in every way there is, of a peer that is dead for the first
/// nine of them.
async fn storm(
    sim: &Sim,
    backend: &Backend,
    connection: &Connection<SharedFaultyResource, Sim>,
) -> u64 {
    let until = sim.time_passed() + SECOND * 600;
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (sim, connection) = (sim.clone(), connection.clone());
            sim.clone().task(format!("caller {number}"), async move {
                let ways = [
                    WhenDown::FailAtOnce,
                    WhenDown::WaitToDeadline,
                    WhenDown::Wait,
                ];
                let when_down = ways[number % ways.len()];
                let mut answers = 0;
                while sim.time_passed() < until {
                    let options = CallOptions::named("ask")
                        .max_retries(0)
                        .deadline(SECOND * 20);
                    let request = connection.request(options).when_down(when_down);
                    let asked = request.run(|value| async move { value.ask() }).await;
                    answers += u64::from(asked.is_ok());
                    sim.sleep(SECOND + Duration::from_millis(sim.below(1_000)))
                        .await;
                }
                answers
            })
        })
        .collect();
    let mut answers = 0;
    for caller in callers {
        answers += caller.await;
    }
    let stats = connection.stats();
    assert!(stats.is_balanced(), "{stats}");
    assert_eq!(stats.calls.in_flight, 0);
    backend.set_faults(Faults::none());
    answers
}

#[test]
fn n04_a_thousand_callers_of_a_dead_peer_make_one_attempt_for_each_step_of_the_backoff() {
    run(1, |sim| async move {
        let backend = Backend::new(&sim);
        backend.set_time(Hook::Open, Duration::from_millis(20));
        backend.set_faults(Faults::none().outage(Duration::ZERO..SECOND * 540));
        let connection = connection(&sim, &backend);
        let answers = storm(&sim, &backend, &connection).await;
        let attempts = backend.openings();
        // 1, 2, 4, 8 and 16 s, and from then on every 30 s.
        for (step, pair) in attempts.windows(2).enumerate() {
            let least = SECOND * (1 << step.min(5)).min(30);
            assert!(
                pair[1] - pair[0] >= least,
                "step {step}: {:?}",
                pair[1] - pair[0]
            );
        }
        let most = 6 + 540 / 30 + 1;
        assert!(attempts.len() <= most, "{} attempts", attempts.len());
        // Back within one cap, all are served.
        assert!(answers >= CALLERS as u64 * 10, "{answers} answers");
        tell(format_args!(
            "connection: {CALLERS} callers, an outage of 540 s: {} attempts, {answers} answers in the minute after",
            attempts.len()
        ));
        assert!(connection.close().await.is_clean());
        backend.assert_accounted();
    });
}

#[test]
fn n04_a_peer_that_accepts_and_hangs_up_is_asked_no_more_often_than_a_dead_one() {
    run(2, |sim| async move {
        let backend = Backend::new(&sim);
        let connection = connection(&sim, &backend);
        let breaker = {
            let (sim, backend) = (sim.clone(), backend.clone());
            sim.clone().task("breaker", async move {
                while sim.time_passed() < SECOND * 540 {
                    backend.break_all();
                    sim.sleep(Duration::from_millis(1)).await;
                }
            })
        };
        let until = SECOND * 540;
        while sim.time_passed() < until {
            let options = CallOptions::named("ask")
                .max_retries(0)
                .deadline(SECOND * 5);
            let request = connection.request(options);
            let sim = &sim;
            let asked = request.run(|value| async move {
                sim.sleep(Duration::from_millis(5)).await;
                value.ask()
            });
            let _ = asked.await;
            sim.sleep(Duration::from_millis(10)).await;
        }
        breaker.await;
        let attempts = backend.openings().len();
        assert!(attempts <= 6 + 540 / 30 + 1, "{attempts} attempts");
        tell(format_args!(
            "connection: a peer that hangs up for 540 s: {attempts} attempts"
        ));
        assert!(connection.close().await.is_clean());
        backend.assert_accounted();
    });
}

/// Whatever a check does, it does not wait for itself: not even when it reconnects.
#[test]
fn fault_13_a_reconnect_from_a_check_does_not_wait_for_itself() {
    run(3, |sim| async move {
        let backend = Backend::new(&sim);
        let resource = Anxious::new(&backend);
        let slot = resource.connection.clone();
        let connection = Connection::builder("peer:1", resource)
            .check_every(SECOND)
            .build_local(sim.clone())
            .expect("it makes sense");
        slot.replace(Some(connection.clone()));
        connection.open().await.expect("the backend is well");
        sim.sleep(SECOND * 10).await;
        let stats = connection.stats();
        assert!(stats.connects.reconnects >= 2, "{stats}");
        slot.take();
        assert!(connection.close().await.is_clean());
        backend.assert_accounted();
    });
}

type Slot = Rc<RefCell<Option<Connection<Anxious, Sim>>>>;

/// A resource whose check reconnects.
struct Anxious {
    resource: SharedFaultyResource,
    connection: Slot,
}

impl Anxious {
    fn new(backend: &Backend) -> Self {
        Self {
            resource: SharedFaultyResource::new(backend),
            connection: Slot::default(),
        }
    }
}

impl LocalResource for Anxious {
    type Value = <SharedFaultyResource as LocalResource>::Value;
    type Error = <SharedFaultyResource as LocalResource>::Error;
    const CHECKED: bool = true;

    async fn open(&self) -> Result<Self::Value, Self::Error> {
        self.resource.open().await
    }

    async fn close(&self, value: Self::Value, why: Why) -> Result<(), Self::Error> {
        self.resource.close(value, why).await
    }

    /// In a box, since a connection's own futures hold this one.
    fn check(&self, _: &mut Self::Value) -> impl Future<Output = Result<(), Self::Error>> {
        let connection = self.connection.borrow().clone();
        let reconnects: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            if let Some(connection) = connection {
                let _ = connection.reconnect().await;
            }
        });
        async move {
            reconnects.await;
            Ok(())
        }
    }
}
