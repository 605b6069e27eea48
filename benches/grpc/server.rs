//! The one that answers.

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

/// Listens on loopback, and gives the address.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

/// Serves health until it is dropped.
pub(crate) async fn serve(listener: TcpListener) {
    let (_reporter, service) = tonic_health::server::health_reporter();
    Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .expect("it serves");
}
