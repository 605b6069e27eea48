//! A server of tonic's that answers as a test tells it to, and can be killed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::server::HealthReporter;

use crate::greeter::greeter_server::{Greeter, GreeterServer};
use crate::greeter::{HelloReply, HelloRequest};

/// What the server does with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Greet,
    /// A status, with `grpc-retry-pushback-ms`.
    Refuse(Code, Option<&'static str>),
    /// Nothing, ever.
    Hang,
}

/// What the server saw of one request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) metadata: MetadataMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let value = self.metadata.get(name)?;
        Some(value.to_str().expect("text").to_owned())
    }
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    async fn play(&self, request: &Request<HelloRequest>) -> Result<(), Status> {
        let metadata = request.metadata().clone();
        self.seen.lock().expect("a lock").push(Seen { metadata });
        let answer = self.answers.lock().expect("a lock").pop_front();
        match answer.unwrap_or(Answer::Greet) {
            Answer::Greet => Ok(()),
            Answer::Hang => std::future::pending().await,
            Answer::Refuse(code, pushback) => {
                let mut status = Status::with_details(code, "as told", "details".into());
                if let Some(pushback) = pushback {
                    let value = pushback.parse().expect("a value");
                    status
                        .metadata_mut()
                        .insert("grpc-retry-pushback-ms", value);
                }
                Err(status)
            }
        }
    }
}

fn greeting(name: &str) -> HelloReply {
    HelloReply {
        message: format!("Hello {name}"),
    }
}

#[tonic::async_trait]
impl Greeter for Script {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.play(&request).await?;
        Ok(Response::new(greeting(&request.into_inner().name)))
    }

    type SayHellosStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::SayHellosStream>, Status> {
        self.play(&request).await?;
        let HelloRequest { name, times } = request.into_inner();
        let greetings = (0..times).map(move |_| Ok(greeting(&name)));
        // It stays open after the last, for as long as the client likes.
        let stream = tokio_stream::iter(greetings).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(stream)))
    }

    type IntroduceStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn introduce(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Self::IntroduceStream>, Status> {
        let named = request.into_inner();
        let stream = named.map(|named| named.map(|named| greeting(&named.name)));
        Ok(Response::new(Box::pin(stream)))
    }
}

/// How a server is started.
#[derive(Default)]
pub(crate) struct ServerBuilder {
    health: bool,
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
            script: Script::default(),
            reporter: HealthReporter::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
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

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("a lock").clone()
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
