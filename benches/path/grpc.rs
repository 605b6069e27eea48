//! A unary call by tonic's client, with Tenure around it and without. The server is on the same thread, and
//! counts in both alike.

#[path = "../grpc/contenders.rs"]
mod contenders;
#[path = "../grpc/server.rs"]
mod server;

use contenders::{Bare, Caller, Held};

pub(crate) fn call_bare_client(count: u64) {
    beside_a_server(async |address| {
        call(&Bare::connect(&address).await, count).await;
    });
}

pub(crate) fn call_service(count: u64) {
    beside_a_server(async |address| {
        let held = Held::connect(&address).await;
        call(&held, count).await;
        held.close().await;
    });
}

async fn call(caller: &impl Caller, count: u64) {
    for _ in 0..count {
        caller.call().await;
    }
}

fn beside_a_server(client: impl AsyncFnOnce(String)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let (listener, address) = server::listen().await;
        tokio::spawn(server::serve(listener));
        client(address).await;
    });
}
