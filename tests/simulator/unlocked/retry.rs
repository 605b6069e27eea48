//! A retry, and the budget that it shares.

use std::ops::Deref;
use std::sync::Arc;

use tenure_core::retry::Attempt;
use tenure_core::{Budget, CallOptions, Connection, ErrorClass, Failure, Retry, retry};
use tenure_sim::run;

use super::lookout::Lookout;
use super::nosy::{Nosy, Refused};

/// Asks a budget, and changes nothing in the end.
fn asks(budget: &Arc<Budget>) -> impl Fn() + Send + Sync + 'static {
    let budget = budget.clone();
    move || {
        if budget.withdraw() {
            budget.deposit();
        }
        let _ = budget.available();
    }
}

/// A budget that looks whenever it is reached.
struct NosyBudget(Lookout, Arc<Budget>);

impl Deref for NosyBudget {
    type Target = Budget;

    fn deref(&self) -> &Budget {
        self.0.look("deref of a budget");
        &self.1
    }
}

#[test]
fn no_lock_of_a_budget_is_held_over_the_closures_of_a_retry() {
    run(0, |sim| async move {
        let (lookout, budget) = (Lookout::default(), Arc::new(Budget::new(100, 100)));
        lookout.looks_at(asks(&budget));
        let policy = Retry::new(lookout.backoff()).max_retries(8);
        let operation = async || {
            if lookout.look("operation") < 4 {
                return Err(Refused::new(&lookout, ErrorClass::Retry));
            }
            Ok(lookout.look("result"))
        };
        let retrying = retry(&sim, policy, operation)
            .classify(|failure: Failure<'_, Refused>| {
                lookout.look("classifier");
                failure.error().map_or(ErrorClass::Retry, Refused::class)
            })
            .until(|results: &usize| {
                lookout.look("until");
                *results > 2
            })
            .on_attempt(|_: &Attempt<'_, _, _>| {
                lookout.look("on_attempt");
            })
            .budget(NosyBudget(lookout.clone(), budget));
        let results = lookout.clone().wakes(retrying).await;
        assert!(matches!(results, Ok(3)));
        lookout.saw_nothing_locked(&[
            "operation",
            "classifier",
            "until",
            "on_attempt",
            "deref of a budget",
            "backoff",
            "drop of an error",
            "clone of a waker",
        ]);
    });
}

#[test]
fn no_lock_of_a_connection_is_held_over_the_classifier_of_a_call() {
    run(0, |sim| async move {
        let (lookout, budget) = (Lookout::default(), Arc::new(Budget::new(100, 100)));
        let connection = Connection::builder("db:5432", Nosy::<false>(lookout.clone()))
            .retry(Retry::new(lookout.backoff()).max_retries(8))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let (asks, connection) = (asks(&budget), connection.clone());
            move || {
                asks();
                drop((connection.state(), connection.stats(), connection.audit()));
            }
        });
        for class in [ErrorClass::Retry, ErrorClass::Reconnect, ErrorClass::GiveUp] {
            let options = CallOptions::named("ask").budget(budget.clone());
            let request = connection
                .request(options)
                .classify(|failure: Failure<'_, Refused>| {
                    lookout.look("classifier");
                    failure.error().map_or(ErrorClass::Retry, Refused::class)
                });
            let answer = request.run(|value| {
                let lookout = lookout.clone();
                async move {
                    drop(value);
                    if lookout.look("operation").is_multiple_of(3) {
                        Ok(())
                    } else {
                        Err(Refused::new(&lookout, class))
                    }
                }
            });
            if let Err(error) = lookout.clone().wakes(answer).await {
                drop((error.to_string(), format!("{error:?}")));
            }
        }
        connection.close().await;
        lookout.saw_nothing_locked(&[
            "operation",
            "classifier",
            "backoff",
            "conversion of an error",
            "display of an error",
            "debug of an error",
            "source of an error",
            "drop of an error",
            "clone of a waker",
        ]);
    });
}
