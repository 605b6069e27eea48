//! A connection.

use tenure_core::{Connection, Retry};
use tenure_sim::run;

use super::MOMENT;
use super::lookout::{Lookout, TOLD_AND_WOKEN, poll_once};
use super::nosy::{Nosy, ask};

#[test]
fn no_lock_of_a_connection_is_held_over_user_code() {
    run(0, |sim| async move {
        let lookout = Lookout::default();
        let connection = Connection::builder("db:5432", Nosy::<false>(lookout.clone()))
            .check_every(MOMENT * 4)
            .reopen_after(2)
            .doubt_after(2)
            .retry(Retry::new(lookout.backoff()))
            .events(lookout.sink())
            .build(sim.clone())
            .expect("a valid configuration");
        lookout.looks_at({
            let connection = connection.clone();
            move || {
                drop((
                    connection.state(),
                    connection.stats(),
                    connection.connection_state(),
                    connection.audit(),
                    connection.downgrade().upgrade(),
                ));
                poll_once(connection.watch().changed());
            }
        });
        for broken in [false, true, true, false] {
            let call = connection.call("ask", |value| ask(lookout.clone(), value, broken));
            drop(lookout.clone().wakes(call).await);
            sim.sleep(MOMENT * 10).await;
        }
        connection.close().await;
        lookout.saw_nothing_locked(&TOLD_AND_WOKEN);
        lookout.saw_nothing_locked(&[
            "open",
            "backoff",
            "close",
            "check",
            "classify",
            "drop of a value",
            "clone",
            "call",
        ]);
    });
}
