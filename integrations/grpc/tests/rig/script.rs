//! What a server answers, and what it saw.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::greeter::greeter_server::Greeter;
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

/// How much a server can do, and what it answers to more than that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// How many requests at once.
    pub(crate) requests: usize,
    /// How long one takes.
    pub(crate) time: Duration,
    pub(crate) refusal: Answer,
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
pub(super) struct Script {
    pub(super) answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    pub(super) under_way: Arc<AtomicUsize>,
    pub(super) capacity: Option<Capacity>,
}

/// A request that the server is at.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(script: &Script) -> Self {
        script.under_way.fetch_add(1, Ordering::SeqCst);
        Self(script.under_way.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Script {
    async fn play(&self, request: &Request<HelloRequest>) -> Result<(), Status> {
        let metadata = request.metadata().clone();
        self.seen.lock().expect("a lock").push(Seen { metadata });
        let told = self.answers.lock().expect("a lock").pop_front();
        let answer = match (told, self.capacity) {
            (Some(told), _) => told,
            (None, Some(most)) if self.under_way.load(Ordering::SeqCst) > most.requests => {
                most.refusal
            }
            (None, Some(most)) => {
                tokio::time::sleep(most.time).await;
                Answer::Greet
            }
            (None, None) => Answer::Greet,
        };
        match answer {
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
        let _under_way = UnderWay::begin(self);
        self.play(&request).await?;
        Ok(Response::new(greeting(&request.into_inner().name)))
    }

    type SayHellosStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::SayHellosStream>, Status> {
        let under_way = UnderWay::begin(self);
        self.play(&request).await?;
        let HelloRequest { name, times } = request.into_inner();
        let greetings = (0..times).map(move |_| Ok(greeting(&name)));
        // It stays open after the last, for as long as the client likes.
        let stream = tokio_stream::iter(greetings).chain(tokio_stream::pending());
        let stream = stream.map(move |greeting| {
            let _ = &under_way;
            greeting
        });
        Ok(Response::new(Box::pin(stream)))
    }

    type IntroduceStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn introduce(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Self::IntroduceStream>, Status> {
        let (under_way, named) = (UnderWay::begin(self), request.into_inner());
        let stream = named.map(move |named| {
            let _ = &under_way;
            named.map(|named| greeting(&named.name))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
