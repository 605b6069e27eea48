//! TLS, and what is wrong with certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tenure_core::OpenError;
use tenure_grpc::{ChannelError, GrpcChannel, GrpcService};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::greeter::greeter_client::GreeterClient;
use crate::rig::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("a certificate")
}

fn identity(authority: &Authority, name: &str, expired: bool) -> Identity {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    if expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    Identity::from_pem(certificate.pem(), key.serialize_pem())
}

fn certificate(authority: &Authority) -> Certificate {
    Certificate::from_pem(authority.pem())
}

fn channel_by(server: &Server, tls: ClientTlsConfig) -> GrpcChannel {
    let address = format!("https://localhost:{}", server.port());
    let endpoint = endpoint(&address).configure(|endpoint| endpoint.tls_config(tls));
    build(channel_to(endpoint.expect("its certificates")))
}

async fn server_with(identity: Identity) -> Server {
    let tls = ServerTlsConfig::new().identity(identity);
    Server::builder().tls(tls).start().await
}

async fn handshake_error(channel: &GrpcChannel) -> String {
    let error = within(channel.open()).await.expect_err("it is not trusted");
    let OpenError::Failed { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.attempts, 1, "it would fail again: {failure}");
    let error = failure.cause.downcast_ref::<ChannelError>().expect("ours");
    assert!(matches!(error, ChannelError::Handshake(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn s15_tls_with_an_own_authority_and_a_certificate_of_the_clients() {
    let authority = authority();
    let tls = ServerTlsConfig::new()
        .identity(identity(&authority, "localhost", false))
        .client_ca_root(certificate(&authority));
    let server = Server::builder().tls(tls).start().await;
    let trusting = ClientTlsConfig::new().ca_certificate(certificate(&authority));
    let known = trusting
        .clone()
        .identity(identity(&authority, "client", false));
    let channel = channel_by(&server, known);
    let greeter: Greeter = GrpcService::new(&channel, GreeterClient::new);
    assert_eq!(greet(&greeter).await, "Hello you");
    ends_well(&channel).await;

    let once = soon_again().max_retries(0);
    let address = format!("https://localhost:{}", server.port());
    let unknown = endpoint(&address).configure(|endpoint| endpoint.tls_config(trusting));
    let channel = build(channel_to(unknown.expect("its certificates")).open_retry(once));
    // A server that closes its socket right behind the alert may take it back on the way: then the next attempt tells.
    for attempt in 1.. {
        assert!(attempt < 50, "no attempt tells of the certificate");
        let error = within(channel.open()).await;
        let error = error.expect_err("it has no certificate to show");
        let OpenError::Failed { failure, .. } = error else {
            panic!("{error}");
        };
        match failure.cause.downcast_ref::<ChannelError>() {
            Some(ChannelError::NotReady(_)) => {}
            Some(error @ ChannelError::Rejected(_)) => {
                assert!(error.to_string().contains("CertificateRequired"), "{error}");
                break;
            }
            error => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn https_needs_no_configuration_to_be_tls() {
    let server = server_with(identity(&authority(), "localhost", false)).await;
    let address = format!("https://localhost:{}", server.port());
    let error = handshake_error(&build(channel_to(endpoint(&address)))).await;
    // It is no authority that the system knows.
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_connection_is_made_from_the_address_that_was_set() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let from = std::net::IpAddr::from([127, 0, 0, 2]);
    let channel = build(channel_to(endpoint(&address).local_address(from)));
    let opening = tokio::spawn(async move { channel.open().await });
    let (_socket, peer) = within(listener.accept()).await.expect("a client");
    assert_eq!(peer.ip(), from);
    opening.abort();
}

#[tokio::test]
async fn s15_tls_by_another_name_than_the_addresss() {
    let authority = authority();
    let server = server_with(identity(&authority, "orders.internal", false)).await;
    let tls = ClientTlsConfig::new()
        .ca_certificate(certificate(&authority))
        .domain_name("orders.internal");
    let channel = channel_by(&server, tls);
    within(channel.open()).await.expect("it is that one");
    ends_well(&channel).await;
}

#[tokio::test]
async fn s15_tls_by_a_wrong_authority_is_a_clear_error() {
    let server = server_with(identity(&authority(), "localhost", false)).await;
    let tls = ClientTlsConfig::new().ca_certificate(certificate(&authority()));
    let error = handshake_error(&channel_by(&server, tls)).await;
    assert!(
        error.contains("UnknownIssuer") || error.contains("BadSignature"),
        "{error}"
    );
}

#[tokio::test]
async fn s15_tls_with_an_expired_certificate_is_a_clear_error() {
    let authority = authority();
    let server = server_with(identity(&authority, "localhost", true)).await;
    let tls = ClientTlsConfig::new().ca_certificate(certificate(&authority));
    let error = handshake_error(&channel_by(&server, tls)).await;
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn s15_tls_for_a_wrong_name_is_a_clear_error() {
    let authority = authority();
    let server = server_with(identity(&authority, "elsewhere.example", false)).await;
    let tls = ClientTlsConfig::new().ca_certificate(certificate(&authority));
    let error = handshake_error(&channel_by(&server, tls)).await;
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn s15_tls_to_a_server_without_it_is_a_clear_error() {
    let server = Server::start().await;
    let tls = ClientTlsConfig::new().ca_certificate(certificate(&authority()));
    let error = handshake_error(&channel_by(&server, tls)).await;
    assert!(error.contains("no agreement on TLS"), "{error}");
}
