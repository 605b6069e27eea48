//! Error types of all kinds, and bad configurations.

use std::error::Error;
use std::fmt;
use std::future::{Pending, pending};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::config::ConfigValue;
use tenure_core::managed::ManagedBuilder;
use tenure_core::{
    Backoff, BoxError, Budget, CallOptions, ConfigError, Instant, LocalResource, Managed, NoTimer,
    OpenError, Retry, StopReason, Timer,
};

use super::probe::{Hook, Probe, SendProbe};
use super::{ManagedWorld, Rig, every, soon};
use crate::worlds::World;

on_every_backend! {
    s05_errors_of_any_kind_serve,
    s04_bad_input_of_a_call_is_an_error_before_its_first_attempt,
}

/// A resource that never opens, with an error of whatever kind.
struct Refusing<E, F>(F, PhantomData<fn() -> E>);

impl<E: Into<BoxError> + 'static, F: Fn() -> E> LocalResource for Refusing<E, F> {
    type Value = ();
    type Error = E;

    async fn open(&self) -> Result<(), E> {
        Err((self.0)())
    }
}

/// As `anyhow::Error` is: not an error itself, but it becomes one.
struct Report(io::Error);

impl From<Report> for BoxError {
    fn from(report: Report) -> Self {
        Box::new(report.0)
    }
}

/// An error with a source.
#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no database")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn no_route() -> io::Error {
    io::Error::other("no route")
}

async fn s05_errors_of_any_kind_serve<W: World>(world: W) {
    let error = opening_error(&world, || String::from("no route")).await;
    assert_eq!(cause_of(&error).to_string(), "no route");
    let error = opening_error(&world, || "no route").await;
    assert_eq!(cause_of(&error).to_string(), "no route");
    let error = opening_error(&world, || BoxError::from(no_route())).await;
    assert_eq!(cause_of(&error).to_string(), "no route");
    assert!(cause_of(&error).is::<io::Error>());
    let error = opening_error(&world, || Report(no_route())).await;
    assert!(cause_of(&error).is::<io::Error>());
    let error = opening_error(&world, || Outer(no_route())).await;
    let cause = cause_of(&error);
    assert!(cause.is::<Outer>());
    let source = cause.source().expect("the chain is whole");
    assert_eq!(source.to_string(), "no route");
}

async fn opening_error<W, E, F>(world: &W, error: F) -> OpenError
where
    W: World,
    E: Into<BoxError> + 'static,
    F: Fn() -> E + 'static,
{
    let refusing = Refusing(error, PhantomData);
    let (managed, runner) = Managed::builder(refusing)
        .retry(every(world.tick()).max_retries(1))
        .build_with_runner(world.runtime())
        .expect("a valid configuration");
    world.background(runner.run());
    let error = soon(world, managed.open()).await;
    error.expect_err("it does not open")
}

fn cause_of(error: &OpenError) -> &(dyn Error + 'static) {
    error.source().expect("what the resource said")
}

async fn s04_bad_input_of_a_call_is_an_error_before_its_first_attempt<W: ManagedWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder);
    let upside_down = Backoff::exponential(Duration::from_secs(2)).cap(Duration::from_secs(1));
    for (options, field) in [
        (
            CallOptions::named("ask").attempt_timeout(Duration::ZERO),
            "retry.attempt_timeout",
        ),
        (
            CallOptions::named("ask").deadline(Duration::ZERO),
            "retry.deadline",
        ),
        (
            CallOptions::named("ask").retry(Retry::new(upside_down)),
            "backoff.cap",
        ),
        (
            CallOptions::named("ask").budget(Arc::new(Budget::new(0, 20))),
            "budget.reserve",
        ),
    ] {
        let error = rig
            .soon(rig.ask_with(options, Ok))
            .await
            .expect_err("it is not valid");
        assert_eq!(
            (error.attempts(), error.reason()),
            (0, StopReason::InvalidPolicy)
        );
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<ConfigError>());
        assert_eq!(source.expect("what is wrong").field(), field);
        assert!(error.to_string().contains("not attempted"), "{error}");
    }
    assert_eq!(rig.probe.begun(Hook::Open), 0, "nothing was opened for it");
    rig.ends_well().await;
}

type Builder = ManagedBuilder<SendProbe<Unused>>;

/// The timer of a probe that never opens.
#[derive(Clone)]
struct Unused;

impl Timer for Unused {
    type Sleep = Pending<()>;

    fn now(&self) -> Instant {
        Instant::EPOCH
    }

    fn sleep_until(&self, _: Instant) -> Pending<()> {
        pending()
    }
}

fn mistake(configure: impl FnOnce(Builder) -> Builder) -> ConfigError {
    let build = || configure(Managed::builder(SendProbe(Probe::default(), Unused)));
    build()
        .build_with_runner(NoTimer)
        .map(drop)
        .expect_err("it is not valid")
}

#[test]
fn s04_bad_input_of_zero_is_an_error() {
    let zero = Duration::ZERO;
    let policy = Retry::DEFAULT;
    for (error, field, text) in [
        (
            mistake(|b| b.check_every(zero)),
            "check_every",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.check_timeout(zero)),
            "check_timeout",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.open_timeout(zero)),
            "open_timeout",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.close_timeout(zero)),
            "close_timeout",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.fail_after(0)),
            "fail_after",
            "(0) must be at least 1",
        ),
        (
            mistake(|b| b.recover_after(0)),
            "recover_after",
            "(0) must be at least 1",
        ),
        (
            mistake(|b| b.retry(policy.deadline(zero))),
            "retry.deadline",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.retry(policy.attempt_timeout(zero))),
            "retry.attempt_timeout",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.retry(policy.backoff(Backoff::exponential(zero)))),
            "backoff.base",
            "(0ns) must be above zero",
        ),
        (
            mistake(|b| b.budget(Arc::new(Budget::new(0, 20)))),
            "budget.reserve",
            "(0) must be at least 1",
        ),
    ] {
        assert_eq!(error.field(), field);
        assert_eq!(error.limit(), None);
        assert_eq!(error.to_string(), format!("`{field}` {text}"));
    }
}

#[test]
fn s04_bad_input_names_both_fields_and_both_values() {
    let error = mistake(|builder| builder.fail_after(5).reopen_after(4));
    assert_eq!(
        (error.field(), error.value()),
        ("reopen_after", ConfigValue::Count(4))
    );
    assert_eq!(error.limit(), Some(("fail_after", ConfigValue::Count(5))));
    assert_eq!(
        error.to_string(),
        "`reopen_after` (4) is below `fail_after` (5)"
    );

    let backoff = Backoff::exponential(Duration::from_secs(2)).cap(Duration::from_secs(1));
    let error = mistake(|builder| builder.retry(Retry::new(backoff)));
    assert_eq!(
        error.to_string(),
        "`backoff.cap` (1s) is below `backoff.base` (2s)"
    );

    let factor = Backoff::constant(Duration::from_secs(1)).factor(3);
    let error = mistake(|builder| builder.retry(Retry::new(factor)));
    assert_eq!(
        error.to_string(),
        "`backoff.factor` (3) applies only to an exponential backoff"
    );
}

#[test]
fn s04_no_limit_at_all_is_no_mistake() {
    let built = Managed::builder(SendProbe(Probe::default(), Unused))
        .check_every(None)
        .check_timeout(None)
        .open_timeout(None)
        .close_timeout(None)
        .reopen_after(None)
        .initial_delay(Duration::ZERO)
        .build_with_runner(NoTimer);
    assert!(built.is_ok());
}
