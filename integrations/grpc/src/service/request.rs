//! One call, and how it differs from the others.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tenure_core::SharedBudget;
use tenure_core::connection::{CallAttempt, WhenDown};
use tenure_core::{CallOptions, ErrorClass, Failure, Retry, Text};
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::GrpcService;
use crate::error::{ChannelError, GrpcError};
use crate::transport::{GrpcTransport, Sends};
use crate::verdict::{self, Origin};

/// A call that is about to be made. See [`GrpcService::request`].
///
/// ```
#[doc = include_str!("../doc_setting.txt")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = GrpcService::new(&connect().await, HealthClient::new);
/// use std::time::Duration;
/// let answer = service
///     .request("check")
///     .timeout(Duration::from_secs(2))
///     .max_retries(1)
///     .idempotent()
///     .run(|mut client| async move { client.check(HealthCheckRequest::default()).await })
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is called until `run` or `unary`"]
pub struct GrpcRequest<'a, S> {
    service: &'a GrpcService<S>,
    options: CallOptions,
    when_down: Option<WhenDown>,
    metadata: Option<Arc<HeaderMap>>,
    is_idempotent: bool,
}

impl<'a, S> GrpcRequest<'a, S> {
    pub(super) fn new(service: &'a GrpcService<S>, name: Text) -> Self {
        Self {
            service,
            options: CallOptions::named(name),
            when_down: None,
            metadata: None,
            is_idempotent: false,
        }
    }

    /// The deadline: how long all attempts and the delays between them may take together. Each attempt tells the server
    /// what is left of it, as `grpc-timeout`.
    ///
    /// What a call streams after its first answer is not cut off here, but the server may do so.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let request = request.timeout(std::time::Duration::from_secs(2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options = self.options.deadline(limit);
        self
    }

    /// How long each attempt may take, the wait for a connection included. One that is cut off may have run: it is
    /// followed by another only if the call is [idempotent](GrpcRequest::idempotent).
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let request = request.attempt_timeout(std::time::Duration::from_millis(500)).idempotent();
    /// # Ok(())
    /// # }
    /// ```
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.options = self.options.attempt_timeout(limit);
        self
    }

    /// Another policy than the channel's.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let request = request.retry(tenure_core::Retry::USER_FACING);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, policy: Retry) -> Self {
        self.options = self.options.retry(policy);
        self
    }

    /// Another number of retries, the first attempt not counted.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let once = request.max_retries(0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options = self.options.max_retries(retries);
        self
    }

    /// A budget that pays for this call's retries, shared with whoever else holds it.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let budget = std::sync::Arc::new(tenure_core::retry::Budget::standard());
    /// # let request = service.request("check");
    /// let request = request.budget(budget.clone());
    /// # Ok(())
    /// # }
    /// ```
    pub fn budget(mut self, budget: impl Into<SharedBudget>) -> Self {
        self.options = self.options.budget(budget);
        self
    }

    /// What this call does while there is no connection, if it differs from the others.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let request = request.when_down(tenure_core::connection::WhenDown::FailAtOnce);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = Some(when_down);
        self
    }

    /// Metadata that every attempt sends, beside what the client itself does.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// use tonic::metadata::MetadataMap;
    /// let mut metadata = MetadataMap::new();
    /// metadata.insert("x-request-id", "7".parse()?);
    /// let request = request.metadata(metadata);
    /// # Ok(())
    /// # }
    /// ```
    pub fn metadata(mut self, metadata: MetadataMap) -> Self {
        self.metadata = Some(Arc::new(metadata.into_headers()));
        self
    }

    /// Says that the call may be made twice without harm, as one that only reads. Only then is it made again when it
    /// may have run already.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let request = request.idempotent();
    /// # Ok(())
    /// # }
    /// ```
    pub const fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// Sends one message and gives the one that answers it. Each attempt sends a clone.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let message = HealthCheckRequest::default();
    /// let answer = request.unary(message, |mut client, request| async move { client.check(request).await }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`GrpcService::call`].
    ///
    /// # Cancel safety
    /// As [`GrpcService::call`].
    pub async fn unary<M, O, F, U>(self, message: M, mut method: O) -> Result<U, GrpcError>
    where
        M: Clone,
        O: FnMut(S, Request<M>) -> F,
        F: Future<Output = Result<Response<U>, Status>>,
    {
        let answer = self.run(|client| method(client, Request::new(message.clone())));
        answer.await.map(Response::into_inner)
    }

    /// Makes the call, under the policy.
    ///
    /// ```
    #[doc = include_str!("../doc_setting.txt")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = GrpcService::new(&connect().await, HealthClient::new);
    /// # let request = service.request("check");
    /// let watch = |mut client: HealthClient<_>| async move { client.watch(HealthCheckRequest::default()).await };
    /// let pushes = request.run(watch).await?.into_inner();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`GrpcService::call`].
    ///
    /// # Cancel safety
    /// As [`GrpcService::call`].
    pub async fn run<O, F, U>(self, mut operation: O) -> Result<U, GrpcError>
    where
        O: FnMut(S) -> F,
        F: Future<Output = Result<U, Status>>,
    {
        let Self {
            service,
            options,
            when_down,
            metadata,
            is_idempotent,
        } = self;
        let calling = Calling {
            service,
            metadata,
            is_idempotent,
            seen: AtomicU32::new(0),
            is_unanswered: AtomicBool::new(false),
        };
        let patience = when_down.unwrap_or_else(|| service.channel.connection().when_down());
        let attempt = |transport: GrpcTransport, attempt: CallAttempt| {
            let serving = serving(&transport, patience, attempt.ends_at.is_some());
            let client = calling.begin(transport, attempt);
            Attempt {
                calling: &calling,
                serving,
                answer: client.map(&mut operation),
            }
        };
        let mut request = service.channel.connection().request(options);
        if let Some(when_down) = when_down {
            request = request.when_down(when_down);
        }
        let classify = |failure: Failure<'_, ChannelError>| match failure {
            Failure::Error(error) => calling.class(error),
            // It may have run, unless it still waited for the server to serve.
            Failure::TimedOut | Failure::Panicked if calling.may_be_repeated() => ErrorClass::Retry,
            Failure::TimedOut | Failure::Panicked => ErrorClass::GiveUp,
        };
        let result = request.classify(classify).run_attempts(attempt).await;
        result.map_err(GrpcError::from_call)
    }
}

/// A call under way: what its attempts have to know of each other.
struct Calling<'a, S> {
    service: &'a GrpcService<S>,
    metadata: Option<Arc<HeaderMap>>,
    is_idempotent: bool,
    /// How many attempts a server may have seen.
    seen: AtomicU32,
    /// Whether an attempt was begun and never came to its end: it was cut off.
    is_unanswered: AtomicBool,
}

impl<S> Calling<'_, S> {
    /// The client for an attempt, unless one before it was cut off that must not run twice.
    fn begin(&self, transport: GrpcTransport, attempt: CallAttempt) -> Option<S> {
        if !self.may_be_repeated() {
            return None;
        }
        Some((self.service.client)(transport.sending(Sends {
            ends_at: attempt.ends_at,
            previous_attempts: self.seen.fetch_add(1, Ordering::Relaxed),
            metadata: self.metadata.clone(),
            has_stream: None,
        })))
    }

    fn may_be_repeated(&self) -> bool {
        self.is_idempotent || !self.is_unanswered.load(Ordering::Relaxed)
    }

    /// The answer is waited for from now on.
    fn is_sent(&self) {
        self.is_unanswered.store(true, Ordering::Relaxed);
    }

    /// It ended before it was sent.
    fn is_unsent(&self) {
        self.seen.fetch_sub(1, Ordering::Relaxed);
    }

    fn ended<U>(&self, result: Result<U, Status>) -> Result<U, ChannelError> {
        self.is_unanswered.store(false, Ordering::Relaxed);
        result.map_err(|status| {
            if Origin::of(&status).is_unsent() {
                self.is_unsent();
            }
            ChannelError::Call(status)
        })
    }

    fn class(&self, error: &ChannelError) -> ErrorClass {
        let endpoint = self.service.channel.connection().resource();
        match error {
            // It waited for the server to serve, for as long as it should.
            ChannelError::Unhealthy(_) => ErrorClass::GiveUp,
            ChannelError::Lost => ErrorClass::NotRun { reconnect: true },
            ChannelError::Call(status) if Origin::of(status) == Origin::Server => {
                let reconnects = endpoint.reconnects_on(status);
                if !reconnects && verdict::is_suspicious(status) {
                    endpoint.suspect();
                }
                verdict::class(status, self.is_idempotent, reconnects)
            }
            error => error.class(self.is_idempotent),
        }
    }
}

/// Waits until the server says that it serves.
type Serving = Pin<Box<dyn Future<Output = Result<(), ChannelError>> + Send>>;

/// How long a call waits for a server that says that it does not serve, if neither a deadline nor
/// [`WhenDown`] says.
const SERVING_PATIENCE: Duration = Duration::from_secs(3);

/// What an attempt waits for before it is made. Nothing, if the server has not pushed that it does not serve.
fn serving(transport: &GrpcTransport, when_down: WhenDown, is_limited: bool) -> Option<Serving> {
    let refusal = transport.pushes().refusal()?;
    if when_down == WhenDown::FailAtOnce {
        return Some(Box::pin(ready(Err(refusal))));
    }
    let (pushes, wire) = (transport.pushes().clone(), transport.wire().clone());
    Some(Box::pin(async move {
        let serves = pushes.until_serving(&wire);
        if is_limited || when_down == WhenDown::Wait {
            return serves.await;
        }
        let waited = tokio::time::timeout(SERVING_PATIENCE, serves).await;
        waited.unwrap_or_else(|_| pushes.refusal().map_or(Ok(()), Err))
    }))
}

pin_project! {
    /// By hand: in an `async fn` the answer's future would be there three times, as it comes, as it is taken apart and
    /// as it is awaited, and each call moves all of it.
    struct Attempt<'a, S, F> {
        calling: &'a Calling<'a, S>,
        serving: Option<Serving>,
        // Nothing, if the call must not be made again.
        #[pin]
        answer: Option<F>,
    }
}

impl<S, F, U> Future for Attempt<'_, S, F>
where
    F: Future<Output = Result<U, Status>>,
{
    type Output = Result<U, ChannelError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(answer) = this.answer.as_pin_mut() else {
            return Poll::Ready(Err(ChannelError::NotRepeated));
        };
        if let Some(serving) = this.serving {
            let serves = ready!(serving.as_mut().poll(cx));
            *this.serving = None;
            if let Err(error) = serves {
                this.calling.is_unsent();
                return Poll::Ready(Err(error));
            }
        }
        this.calling.is_sent();
        answer.poll(cx).map(|result| this.calling.ended(result))
    }
}

impl<S> fmt::Debug for GrpcRequest<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcRequest")
            .field("options", &self.options)
            .field("is_idempotent", &self.is_idempotent)
            .finish_non_exhaustive()
    }
}
