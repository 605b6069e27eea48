//! A client of the server, which keeps its connection.

use std::io;
use std::sync::Arc;

use tenure::tokio::Managed;
use tenure::{BoxError, CallOptions, ErrorClass, Failure, Resource, Why};

use crate::connection::Connection;
use crate::http::Message;
use crate::server::Server;

pub(crate) struct HttpClient {
    server: Arc<Server>,
}

impl Resource for HttpClient {
    type Value = Connection;
    type Error = io::Error;
    const CHECKED: bool = true;

    async fn open(&self) -> io::Result<Connection> {
        let address = self
            .server
            .address()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Connection::open(&address.to_string()).await
    }

    async fn close(&self, connection: Connection, _: Why) -> io::Result<()> {
        connection.close().await;
        Ok(())
    }

    /// A connection in use is not asked, for the request that is on the way may itself be the one that asks how
    /// all members are, and would wait for itself.
    async fn check(&self, connection: &mut Connection) -> io::Result<()> {
        if connection.is_in_use() {
            return Ok(());
        }
        exchange(connection, &Message::request("GET", "/alive", ""))
            .await
            .map(drop)
    }

    /// Whatever went wrong, on this connection nothing more is to be expected.
    fn classify(&self, _: Failure<'_, io::Error>) -> ErrorClass {
        ErrorClass::Reconnect
    }
}

impl HttpClient {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }
}

/// What a program writes around it, to ask in words of its own.
pub(crate) struct Client(Managed<HttpClient>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(managed: Managed<HttpClient>) -> Self {
        Self(managed)
    }

    /// Asked again on a new connection, if that is lost.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, BoxError> {
        let name = CallOptions::named(format!("GET {path}"));
        self.send(name, Message::request("GET", path, "")).await
    }

    /// Sent once: if the answer is lost, nobody knows whether it was done.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Result<Answer, BoxError> {
        let once = CallOptions::named(format!("POST {path}")).max_retries(0);
        self.send(once, Message::request("POST", path, body)).await
    }

    async fn send(&self, options: CallOptions, request: Message) -> Result<Answer, BoxError> {
        let request = Arc::new(request);
        let response = self.0.call_with(options, |connection| {
            let request = request.clone();
            async move { exchange(&connection, &request).await }
        });
        let response = response.await?;
        let status = response.first_line.split(' ').nth(1);
        let status = status.and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.ok_or("the server's answer has no status")?,
            body: response.body,
        })
    }
}

async fn exchange(connection: &Connection, request: &Message) -> io::Result<Message> {
    let mut exchange = connection.begin().await?;
    request.write(&mut exchange.stream).await?;
    let response = Message::read(&mut exchange.stream).await?;
    let response = response.ok_or(io::ErrorKind::UnexpectedEof)?;
    exchange.done();
    Ok(response)
}
