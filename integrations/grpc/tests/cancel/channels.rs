//! What is done with a channel as a whole.

use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn s15_every_operation_of_a_channel_dropped_everywhere_leaves_nothing_behind() {
    let mut drops = 0;
    for health in [Health::Check, Health::Watch] {
        let scene = Scene::new(health).await;
        let open = async |greeter: &Greeter| greeter.channel().open().await.expect("it opens");
        drops += scene
            .drops_unopened(&format!("an opening, {health:?}"), open)
            .await;
        let check = async |greeter: &Greeter| greeter.channel().check().await.expect("it is well");
        drops += scene
            .drops_on_channel(&format!("a check, {health:?}"), check)
            .await;
        let reconnect = async |greeter: &Greeter| {
            let connection = greeter.channel().connection();
            connection.reconnect().await.expect("it opens");
        };
        drops += scene
            .drops_on_channel(&format!("a reconnect, {health:?}"), reconnect)
            .await;
    }
    println!("{drops} drops of operations of a channel");
    assert!(drops >= 72, "{drops} drops");
}

#[tokio::test]
async fn s15_every_end_of_a_channel_dropped_everywhere_can_be_gone_on_with() {
    let scene = Scene::new(Health::Watch).await;
    // One that was opened, and one whose connection before that still carries a stream.
    let opened = async || {
        let greeter = scene.greeter();
        assert_eq!(greet(&greeter).await, "Hello you");
        (greeter, None)
    };
    let replaced = async || {
        let greeter = scene.greeter();
        let sibling = Sibling::begin(&greeter).await;
        let connection = greeter.channel().connection();
        connection.reconnect().await.expect("it opens");
        (greeter, Some(sibling))
    };
    let end = async |(greeter, _): &(Greeter, Option<Sibling>)| {
        let report = greeter.channel().shutdown(PATIENCE).await;
        assert!(report.is_clean(), "{report}");
    };
    let close = async |(greeter, _): &(Greeter, Option<Sibling>)| {
        let report = greeter.channel().connection().close().await;
        assert!(report.is_clean(), "{report}");
    };
    let aftermath = async |(greeter, sibling): (Greeter, Option<Sibling>), _| {
        ends_well(greeter.channel()).await;
        if let Some(mut sibling) = sibling {
            within(sibling.greetings.message())
                .await
                .expect_err("it is cut");
        }
    };
    let mut drops = 0;
    drops += scene
        .drops_everywhere("a shutdown", opened, end, aftermath)
        .await;
    drops += scene
        .drops_everywhere("a shutdown with an old stream", replaced, end, aftermath)
        .await;
    drops += scene
        .drops_everywhere("a close", opened, close, aftermath)
        .await;
    drops += scene
        .drops_everywhere("a close with an old stream", replaced, close, aftermath)
        .await;
    println!("{drops} drops of ends of a channel");
    assert!(drops >= 48, "{drops} drops");
}
