//! Every setting at its extremes: what is built can be used, and what cannot be used is refused when it is built.

use std::time::Duration;

use tenure_core::{
    Backoff, Budget, CallOptions, ConfigError, Connection, Group, Jitter, Managed, Pool, Resource,
    Retry, Shared, SpawnLocal, retry, scope, with_timeout,
};
use tenure_sim::{Sim, run};

const TIMES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];
const COUNTS: [u32; 3] = [0, 1, u32::MAX];

#[derive(Clone)]
struct Plain {
    opens: bool,
}

impl Resource for Plain {
    type Value = u8;
    type Error = &'static str;

    const CHECKED: bool = true;

    async fn open(&self) -> Result<u8, &'static str> {
        match self.opens {
            true => Ok(7),
            false => Err("refused"),
        }
    }

    async fn check(&self, _: &mut u8) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Policies of which each has one setting at an extreme.
fn policies() -> Vec<Retry> {
    let mut policies = vec![Retry::DEFAULT, Retry::NEVER];
    for time in TIMES {
        for backoff in [
            Backoff::constant(time),
            Backoff::linear(time).cap(time),
            Backoff::exponential(time).cap(time).factor(u32::MAX),
            Backoff::fibonacci(time).cap(time),
            Backoff::exponential(Duration::from_nanos(1))
                .cap(time)
                .jitter(Jitter::Decorrelated),
        ] {
            policies.push(Retry::new(backoff).max_retries(1));
        }
        policies.push(Retry::DEFAULT.deadline(time));
        policies.push(Retry::DEFAULT.attempt_timeout(time));
    }
    policies
}

/// Whether it was built; a refusal shows as a sentence.
fn built<T>(built: Result<T, ConfigError>) -> Option<T> {
    match built {
        Ok(built) => Some(built),
        Err(error) => {
            assert!(error.to_string().starts_with('`'), "{error}");
            None
        }
    }
}

/// For as long as a caller has patience, in virtual time.
async fn patiently<T>(sim: &Sim, used: impl Future<Output = T>) {
    let _ = with_timeout(sim, Duration::from_secs(60), "use", used).await;
}

#[test]
fn every_time_and_count_of_a_managed_value_or_connection_can_be_extreme() {
    for opens in [true, false] {
        for time in TIMES {
            for count in COUNTS {
                run(0, |sim| async move {
                    let builder = Managed::builder(Plain { opens })
                        .check_every(time)
                        .initial_delay(time)
                        .check_timeout(time)
                        .open_timeout(time)
                        .close_timeout(time)
                        .fail_after(count)
                        .recover_after(count)
                        .reopen_after(count);
                    if let Some((managed, runner)) = built(builder.build_with_runner(sim.clone())) {
                        sim.spawn_local(runner.run());
                        let options = CallOptions::named("ask").max_retries(1).deadline(time);
                        patiently(
                            &sim,
                            managed.call_with(options, |value| async move { Ok(value) }),
                        )
                        .await;
                        patiently(&sim, managed.shutdown(time)).await;
                    }
                    let builder = Connection::builder("server:1", Plain { opens })
                        .check_every(time)
                        .check_timeout(time)
                        .open_timeout(time)
                        .close_timeout(time)
                        .proven_after(time);
                    if let Some((connection, runner)) =
                        built(builder.build_with_runner(sim.clone()))
                    {
                        sim.spawn_local(runner.run());
                        patiently(
                            &sim,
                            connection.call("ask", |value| async move { Ok(value) }),
                        )
                        .await;
                        patiently(&sim, connection.shutdown(time)).await;
                    }
                });
            }
        }
    }
}

#[test]
fn every_time_and_count_of_a_pool_or_shared_value_can_be_extreme() {
    for opens in [true, false] {
        for time in TIMES {
            for size in [0, 1, usize::MAX] {
                run(0, |sim| async move {
                    let builder = Pool::builder(Plain { opens })
                        .max_size(size)
                        .idle_timeout(time)
                        .max_lifetime(time)
                        .check_every(time)
                        .check_timeout(time)
                        .open_timeout(time)
                        .close_timeout(time)
                        .hook_timeout(time)
                        .leak_after(time)
                        .acquire_timeout(time);
                    if let Some((pool, runner)) = built(builder.build_with_runner(sim.clone())) {
                        sim.spawn_local(runner.run());
                        patiently(&sim, async { drop(pool.acquire().await) }).await;
                        patiently(&sim, async { drop(pool.acquire_timeout(time).await) }).await;
                        sim.sleep(Duration::from_millis(100)).await;
                        patiently(&sim, pool.shutdown(time)).await;
                    }
                    let builder = Shared::builder(Plain { opens })
                        .idle_timeout(time)
                        .open_timeout(time)
                        .close_timeout(time);
                    if let Some((shared, runner)) = built(builder.build_with_runner(sim.clone())) {
                        sim.spawn_local(runner.run());
                        patiently(&sim, async { drop(shared.acquire().await) }).await;
                        patiently(&sim, shared.shutdown(time)).await;
                    }
                });
            }
        }
    }
}

#[test]
fn every_policy_at_an_extreme_can_be_used_by_every_holder() {
    for policy in policies() {
        run(0, |sim| async move {
            let failing = retry(&sim, policy, || async { Err::<(), _>("refused") });
            patiently(&sim, failing).await;
            static BUDGET: Budget = Budget::new(u32::MAX, u32::MAX);
            let failing = retry(&sim, policy, || async { Err::<(), _>("refused") });
            patiently(&sim, failing.budget(&BUDGET)).await;
            for opens in [true, false] {
                let builder = Pool::builder(Plain { opens }).retry(policy);
                if let Some((pool, runner)) = built(builder.build_with_runner(sim.clone())) {
                    sim.spawn_local(runner.run());
                    patiently(&sim, async { drop(pool.acquire().await) }).await;
                    pool.close().await;
                }
                let builder = Connection::builder("server:1", Plain { opens }).retry(policy);
                if let Some((connection, runner)) = built(builder.build_with_runner(sim.clone())) {
                    sim.spawn_local(runner.run());
                    patiently(
                        &sim,
                        connection.call("ask", |value| async move { Ok(value) }),
                    )
                    .await;
                    connection.close().await;
                }
            }
        });
    }
}

#[test]
fn every_time_of_a_group_or_scope_can_be_extreme() {
    for time in TIMES {
        run(0, |sim| async move {
            let managed = Managed::builder(Plain { opens: true }).build(sim.clone());
            let group = Group::builder("service")
                .add("db", managed.expect("the settings make sense"))
                .start_timeout(time)
                .stop_timeout(time);
            if let Ok(group) = group.build(sim.clone()) {
                patiently(&sim, group.start()).await;
                let supervisor = group
                    .supervisor()
                    .check_every(time)
                    .intensity(usize::MAX, time);
                patiently(&sim, supervisor.run()).await;
                patiently(&sim, group.shutdown(time)).await;
            }
            patiently(&sim, scope(&sim, |_| async { Ok::<_, &str>(()) })).await;
            let _ = with_timeout(&sim, time, "ready", async {}).await;
        });
    }
}
