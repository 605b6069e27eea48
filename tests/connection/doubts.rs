//! What failing calls say of a connection, though none of them is an error of the connection.

use futures::poll;

use super::*;

on_every_backend! {
    b04_so_many_failed_calls_in_a_row_degrade_and_one_success_recovers,
    b04_what_ends_late_on_a_lost_connection_says_nothing_of_the_next,
    calls_that_time_out_degrade_as_those_that_fail_do,
}

async fn calls_that_time_out_degrade_as_those_that_fail_do<W: ConnectionWorld>(world: W) {
    let rig = Rig::new(&world, |builder| builder.doubt_after(2));
    rig.open().await;
    for _ in 0..2 {
        assert_eq!(rig.connection.state(), State::Ready);
        let options = CallOptions::named("hang")
            .max_retries(0)
            .attempt_timeout(world.tick());
        let call = rig
            .connection
            .request(options)
            .run(|_| std::future::pending::<Result<(), _>>());
        soon(&world, call).await.expect_err("it never answers");
    }
    assert_eq!(rig.connection.state(), State::Degraded);
    assert_eq!(rig.ask().await.expect("it can be used"), 1);
    assert_eq!(rig.connection.state(), State::Ready);
    rig.ends_well().await;
}

async fn b04_so_many_failed_calls_in_a_row_degrade_and_one_success_recovers<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::new(&world, |builder| builder.doubt_after(3));
    rig.open().await;
    rig.refused(ErrorClass::GiveUp).await;
    rig.refused(ErrorClass::GiveUp).await;
    assert_eq!(rig.ask().await.expect("it answers"), 1);
    // A success in between begins the count anew.
    rig.refused(ErrorClass::GiveUp).await;
    rig.refused(ErrorClass::GiveUp).await;
    assert_eq!(rig.connection.state(), State::Ready);
    rig.refused(ErrorClass::GiveUp).await;
    assert_eq!(rig.connection.state(), State::Degraded);
    assert_eq!(
        rig.connection.connection_state(),
        ConnectionState::Connected
    );
    assert_eq!(rig.ask().await.expect("it can be used"), 1);
    assert_eq!(rig.connection.state(), State::Ready);
    rig.ends_well().await;
}

async fn b04_what_ends_late_on_a_lost_connection_says_nothing_of_the_next<W: ConnectionWorld>(
    world: W,
) {
    let rig = Rig::new(&world, |builder| builder.doubt_after(2));
    rig.open().await;
    let connection = rig.connection.clone();
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let answers = [
        Err(Refused(ErrorClass::GiveUp)),
        Err(Refused(ErrorClass::GiveUp)),
        Ok(()),
    ];
    let mut late: Vec<_> = { gates.iter().zip(answers) }
        .map(|(gate, answer)| {
            let mut held = Some((gate.passed(), answer));
            let call = connection.call("hold", move |_| {
                let (passed, answer) = held.take().expect("one attempt");
                async move {
                    passed.await;
                    answer
                }
            });
            Box::pin(call)
        })
        .collect();
    for call in &mut late {
        assert!(poll!(call.as_mut()).is_pending());
    }
    rig.refused(ErrorClass::Reconnect).await;
    assert_eq!(rig.ask().await.expect("there is a new one"), 2);
    for gate in &gates[..2] {
        gate.open();
        let ended = soon(&world, late.remove(0)).await;
        ended.expect_err("it is refused");
    }
    assert_eq!(connection.state(), State::Ready);
    // Nor does a late success answer for the next one.
    rig.refused(ErrorClass::GiveUp).await;
    gates[2].open();
    let ended = soon(&world, late.remove(0)).await;
    ended.expect("it ends on the old one");
    rig.refused(ErrorClass::GiveUp).await;
    assert_eq!(connection.state(), State::Degraded);
    rig.ends_well().await;
}
