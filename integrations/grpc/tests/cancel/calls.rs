//! Calls, and the streams that they begin.

use tonic::Code;

use super::*;

async fn read_a_stream(greeter: &Greeter) {
    let three = HelloRequest {
        name: "all".into(),
        times: 3,
    };
    let begin = |mut client: Client| {
        let three = three.clone();
        async move { client.say_hellos(three).await }
    };
    let mut stream = greeter.call("SayHellos", begin).await.expect("a stream");
    for _ in 0..3 {
        let next = stream.get_mut().message().await;
        next.expect("it goes on").expect("another");
    }
}

async fn send_a_stream(greeter: &Greeter) {
    let begin = |mut client: Client| async move {
        let names = tokio_stream::iter(["a", "b", "c"].map(named));
        client.introduce(names).await
    };
    let mut stream = greeter.call("Introduce", begin).await.expect("a stream");
    while stream
        .get_mut()
        .message()
        .await
        .expect("it goes on")
        .is_some()
    {}
}

#[tokio::test]
async fn s15_every_call_dropped_everywhere_leaves_nothing_behind() {
    let scene = Scene::new(Health::Check).await;
    let mut drops = 0;
    let call = async |greeter: &Greeter| drop(greet(greeter).await);
    drops += scene.drops_unopened("a first call", call).await;
    drops += scene.drops_on_channel("a call", call).await;
    drops += scene
        .drops_on_channel("a stream of requests", send_a_stream)
        .await;
    drops += scene
        .drops_on_channel("a stream of answers", read_a_stream)
        .await;
    let again = async |greeter: &Greeter| {
        scene.server.forgets();
        scene
            .server
            .answers([Answer::Refuse(Code::Unavailable, None)]);
        let request = greeter.request("SayHello").idempotent();
        let reply = request.unary(named("you"), say_hello).await;
        assert_eq!(reply.expect("a greeting").message, "Hello you");
    };
    drops += scene
        .drops_on_channel("a call that is retried", again)
        .await;
    println!("{drops} drops of calls");
    assert!(drops >= 60, "{drops} drops");
}

#[tokio::test]
async fn s15_a_call_dropped_while_the_server_is_at_it_ends_there() {
    let scene = Scene::new(Health::Check).await;
    for _ in 0..50 {
        let greeter = scene.greeter();
        let mut sibling = Sibling::begin(&greeter).await;
        scene.server.answers([Answer::Hang]);
        let mut call = Box::pin(greeter.call_unary("SayHello", named("you"), say_hello));
        tokio::select! {
            _ = &mut call => panic!("it hangs"),
            () = until("it is there", || scene.server.under_way() == 2) => {}
        }
        drop(call);
        until("it is gone", || scene.server.under_way() == 1).await;
        assert_eq!(sibling.ask().await, "Hello sibling");
        scene.is_whole(&greeter).await;
        drop(sibling);
        ends_well(greeter.channel()).await;
    }
}
