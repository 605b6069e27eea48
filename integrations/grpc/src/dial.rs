//! Connecting once.

use std::future::{Future, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::HttpConnector;
use tenure_core::BoxError;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::Endpoint;

use crate::error::Lost;
use crate::signals::Signals;
use crate::wire::{Wire, WireIo};

/// What tonic's channel connects by. It connects once: tonic would connect again by itself, unpaced and unseen, where
/// here the one who holds the channel opens a new one.
#[derive(Debug)]
pub(crate) struct Dial {
    http: HttpConnector,
    wire: Option<Arc<Wire>>,
    signals: Option<Signals>,
}

impl Dial {
    pub(crate) fn new(
        endpoint: &Endpoint,
        local_address: Option<IpAddr>,
        wire: Arc<Wire>,
        signals: Option<Signals>,
    ) -> Self {
        // As tonic's own connector is made.
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(endpoint.get_tcp_nodelay());
        http.set_keepalive(endpoint.get_tcp_keepalive());
        http.set_keepalive_interval(endpoint.get_tcp_keepalive_interval());
        http.set_keepalive_retries(endpoint.get_tcp_keepalive_retries());
        http.set_connect_timeout(endpoint.get_connect_timeout());
        http.set_local_address(local_address);
        Self {
            http,
            wire: Some(wire),
            signals,
        }
    }
}

impl Service<Uri> for Dial {
    type Response = WireIo;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<WireIo, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Some(wire) = self.wire.take() else {
            return Box::pin(ready(Err(Lost.into())));
        };
        let signals = self.signals.clone();
        let connecting = self.http.call(uri);
        Box::pin(async move { Ok(WireIo::new(connecting.await?, wire, signals)) })
    }
}
