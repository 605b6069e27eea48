//! That what callers do in a trouble does not make it worse, nor longer.
//!
//! The core shows it of a connection and of a pool in virtual time. Sockets know of none, so here it is requests and
//! connections that are counted, at the server and before it: a bound on those holds however slow a machine is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure_core::retry::Budget;
use tenure_core::{Backoff, Retry};
use tenure_grpc::GrpcService;
use tonic::Code;

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

/// What a budget holds, and what each call adds to it, in hundredths of a retry.
const RESERVE: u32 = 10;
const PERCENT: u32 = 20;

/// Within what the server can do, and far beyond it.
const FEW: usize = 4;
const MANY: usize = 40;
const CALLS: usize = 10;

/// How many of the calls succeed that so many callers make, one after the other.
async fn load(greeter: &Greeter, callers: usize, budget: Option<&Arc<Budget>>) -> usize {
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (greeter, budget) = (greeter.clone(), budget.cloned());
            tokio::spawn(async move {
                let mut succeeded = 0;
                for _ in 0..CALLS {
                    let mut request = greeter.request("SayHello").idempotent();
                    if let Some(budget) = &budget {
                        request = request.budget(budget.clone());
                    }
                    let reply = request.unary(named("you"), say_hello).await;
                    succeeded += usize::from(reply.is_ok());
                }
                succeeded
            })
        })
        .collect();
    let mut succeeded = 0;
    for caller in callers {
        succeeded += within(caller).await.expect("it ends");
    }
    succeeded
}

#[tokio::test]
async fn n04_an_overload_is_multiplied_by_no_more_than_the_budget_and_ends_with_its_cause() {
    for (code, pushback) in [
        (Code::ResourceExhausted, None),
        (Code::ResourceExhausted, Some("5")),
        (Code::Unavailable, Some("5")),
        (Code::Unavailable, None),
    ] {
        let server = Server::builder().capacity(Capacity {
            requests: FEW,
            time: Duration::from_millis(1),
            refusal: Answer::Refuse(code, pushback),
        });
        let server = server.start().await;
        let retry = Retry::new(Backoff::constant(Duration::from_millis(2))).max_retries(3);
        let channel = build(
            channel_to(endpoint(&server.address()))
                .retry(retry)
                .open_retry(retry),
        );
        let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
        let budget = Arc::new(Budget::new(RESERVE, PERCENT));
        let requests = async |callers: usize, budget: Option<&Arc<Budget>>| {
            server.forgets();
            let succeeded = load(&greeter, callers, budget).await;
            (server.seen().len(), succeeded)
        };
        let case = format!("{code:?}, pushback {pushback:?}");

        let offered = FEW * CALLS;
        let before = requests(FEW, Some(&budget)).await;
        assert_eq!(before, (offered, offered), "{case}: before");

        let calls = MANY * CALLS;
        let (within, served) = requests(MANY, Some(&budget)).await;
        let most = calls + RESERVE as usize + calls * PERCENT as usize / 100;
        assert!(within > calls, "{case}: {within} requests, none again");
        assert!(within <= most, "{case}: {within} requests of {calls} calls");

        // Nobody has told the server, the channel or the callers that it is over.
        let after = requests(FEW, Some(&budget)).await;
        assert_eq!(after, (offered, offered), "{case}: after");

        // What the budget is good for.
        let (without, _) = requests(MANY, None).await;
        assert!(without > most, "{case}: {without} requests, unbounded");
        println!(
            "overload, {case}: {calls} calls made {within} requests ({served} served), {without} without a budget; \
             before and after {offered} of {offered}"
        );
        ends_well(&channel).await;
    }
}

#[tokio::test]
async fn n04_many_callers_of_a_dead_server_connect_as_often_as_the_backoff_says() {
    const STEP: Duration = Duration::from_millis(40);
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let retry = Retry::new(Backoff::constant(STEP)).max_retries(20);
    let channel = build(
        channel_to(endpoint(&proxy.address()))
            .retry(retry)
            .open_retry(retry),
    );
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    assert_eq!(greet(&greeter).await, "Hello you");

    let begun = Instant::now();
    proxy.does(Fault::Reset);
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let greeter = greeter.clone();
            tokio::spawn(async move {
                let request = greeter.request("SayHello").idempotent();
                let request = request.timeout(Duration::from_secs(50));
                let reply = request.unary(named("you"), say_hello).await;
                reply.expect("within its time").message
            })
        })
        .collect();
    let stats = || channel.stats();
    until("it is down for a while", || stats().connects.refused >= 10).await;
    proxy.does(Fault::None);
    for caller in callers {
        assert_eq!(within(caller).await.expect("it ends"), "Hello you");
    }
    let (took, accepted) = (begun.elapsed(), proxy.accepted());
    // The first two came without a pause: the one that worked, and the one after it.
    let most = 2 + took.div_duration_f64(STEP) as usize;
    assert!(accepted <= most, "{accepted} connections in {took:?}");
    assert_eq!(stats().connects.begun, accepted as u64, "{}", stats());
    assert_eq!(stats().connects.reconnects, 1, "{}", stats());
    println!(
        "a dead server: 1,000 callers made {accepted} connections in {took:?}, {STEP:?} apart"
    );

    assert_eq!(load(&greeter, FEW, None).await, FEW * CALLS);
    assert_eq!(proxy.accepted(), accepted, "and no more since");
    ends_well(&channel).await;
}
