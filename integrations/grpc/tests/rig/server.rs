//! A server of tonic's that answers as a test tells it to, and can be killed.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::server::HealthReporter;

use super::script::Script;
use super::{Answer, Capacity, Seen};
use crate::greeter::greeter_server::GreeterServer;

/// How a server is started.
#[derive(Default)]
pub(crate) struct ServerBuilder {
    /// 0 is any.
    port: u16,
    health: bool,
    capacity: Option<Capacity>,
    max_streams: Option<u32>,
    #[cfg(feature = "gzip")]
    gzip: bool,
    #[cfg(feature = "tls")]
    tls: Option<tonic::transport::ServerTlsConfig>,
}

impl ServerBuilder {
    /// With a health service, which says that all is well.
    pub(crate) fn health(mut self) -> Self {
        self.health = true;
        self
    }

    pub(crate) fn capacity(mut self, capacity: Capacity) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// So many on each connection.
    pub(crate) fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = Some(streams);
        self
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn at(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    #[cfg(feature = "gzip")]
    pub(crate) fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(mut self, tls: tonic::transport::ServerTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) async fn start(self) -> Server {
        let mut server = Server {
            script: Script {
                capacity: self.capacity,
                ..Script::default()
            },
            reporter: HealthReporter::new(),
            address: SocketAddr::from(([127, 0, 0, 1], self.port)),
            builder: self,
            runtime: None,
            replaced: Vec::new(),
            serving: None,
        };
        server.restart().await;
        server
    }
}

/// It runs in a runtime of its own, which takes all connections along when it is killed.
pub(crate) struct Server {
    script: Script,
    pub(crate) reporter: HealthReporter,
    address: SocketAddr,
    builder: ServerBuilder,
    runtime: Option<Runtime>,
    /// Those in whose place it came.
    replaced: Vec<Runtime>,
    /// Dropped to have it finish what is under way and take no more.
    serving: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(crate) fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it answers to the next requests, before it greets again.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.answers.lock().expect("a lock").extend(answers);
    }

    /// What it was told to answer, and what it saw.
    pub(crate) fn forgets(&self) {
        self.script.answers.lock().expect("a lock").clear();
        self.script.seen.lock().expect("a lock").clear();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("a lock").clone()
    }

    /// How many requests it is at, streams included.
    pub(crate) fn under_way(&self) -> usize {
        self.script.under_way.load(Ordering::SeqCst)
    }

    /// Ends it, its port and all its connections, as the end of its process would.
    pub(crate) async fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let ended = move || runtime.shutdown_timeout(Duration::from_secs(10));
            tokio::task::spawn_blocking(ended).await.expect("it ends");
        }
    }

    /// Starts it, on the port that it had.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let wanted = self.address;
        let bound = runtime.spawn(async move { tokio::net::TcpListener::bind(wanted).await });
        let listener = bound.await.expect("it runs").expect("the port is free");
        self.address = listener.local_addr().expect("an address");
        let router = self.router();
        let (serving, retired) = oneshot::channel();
        let incoming = TcpListenerStream::new(listener);
        let retired = async { drop(retired.await) };
        runtime.spawn(router.serve_with_incoming_shutdown(incoming, retired));
        self.runtime = Some(runtime);
        self.serving = Some(serving);
    }

    /// Another takes its place, while it finishes what is under way: as in an update.
    pub(crate) async fn replace(&mut self) {
        self.serving = None;
        let address = self.address;
        // Its port is free once it has stopped to listen.
        while tokio::net::TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if let Some(old) = self.runtime.take() {
            self.replaced.push(old);
        }
        self.restart().await;
    }

    fn router(&self) -> tonic::transport::server::Router {
        let mut builder = tonic::transport::Server::builder();
        builder = builder.max_concurrent_streams(self.builder.max_streams);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.builder.tls {
            builder = builder.tls_config(tls.clone()).expect("its certificates");
        }
        let health =
            tonic_health::server::HealthService::from_health_reporter(self.reporter.clone());
        let health = tonic_health::pb::health_server::HealthServer::new(health);
        let greeter = GreeterServer::new(self.script.clone());
        #[cfg(feature = "gzip")]
        let greeter = if self.builder.gzip {
            let gzip = tonic::codec::CompressionEncoding::Gzip;
            greeter.accept_compressed(gzip).send_compressed(gzip)
        } else {
            greeter
        };
        builder
            .add_service(greeter)
            .add_optional_service(self.builder.health.then_some(health))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for runtime in self
            .runtime
            .take()
            .into_iter()
            .chain(self.replaced.drain(..))
        {
            runtime.shutdown_background();
        }
    }
}
