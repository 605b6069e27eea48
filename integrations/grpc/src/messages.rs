//! How messages are compressed, and how large they may be.

use tonic::codec::CompressionEncoding;

/// What [`GrpcEndpoint`](crate::GrpcEndpoint) says of messages, under the names of tonic's generated clients.
///
/// tonic keeps these settings in each client and not in the channel, so something has to carry them there:
/// [`client!`](crate::client) does, or a function of your own.
///
/// ```
/// use tenure_grpc::Messages;
/// assert_eq!(Messages::default().max_decoding_message_size, None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Messages {
    /// What answers may be compressed with.
    pub accept_compressed: Option<CompressionEncoding>,
    /// What requests are compressed with.
    pub send_compressed: Option<CompressionEncoding>,
    /// How large an answer may be. By default tonic's 4 MiB.
    pub max_decoding_message_size: Option<usize>,
    /// How large a request may be. By default without a limit.
    pub max_encoding_message_size: Option<usize>,
}

/// The function that makes a generated client, with the endpoint's settings for [messages](crate::Messages).
///
/// Where the endpoint has none, the client's own `new` serves as well.
///
/// ```
#[doc = include_str!("doc_setting.txt")]
/// use tenure_grpc::{GrpcChannel, GrpcEndpoint, GrpcService, client};
/// use tenure_tokio::Tokio;
/// use tonic_health::pb::health_client::HealthClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let address = serve().await;
/// let endpoint = GrpcEndpoint::new(address)?.max_decoding_message_size(64 << 20);
/// let channel = GrpcChannel::builder(endpoint).build(Tokio::current())?;
/// let health = GrpcService::new(&channel, client!(HealthClient));
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! client {
    ($($client:ident)::+) => {
        |transport: $crate::GrpcTransport| {
            let messages = transport.messages();
            let mut client = $($client)::+::new(transport);
            if let ::core::option::Option::Some(encoding) = messages.accept_compressed {
                client = client.accept_compressed(encoding);
            }
            if let ::core::option::Option::Some(encoding) = messages.send_compressed {
                client = client.send_compressed(encoding);
            }
            if let ::core::option::Option::Some(limit) = messages.max_decoding_message_size {
                client = client.max_decoding_message_size(limit);
            }
            if let ::core::option::Option::Some(limit) = messages.max_encoding_message_size {
                client = client.max_encoding_message_size(limit);
            }
            client
        }
    };
}
