//! Boot: what the provider publishes, and where the gateway goes for it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use e2e::cast::{
    certificate::Authority,
    openid::{AuthMethod, Behaviour, Misbehaviour},
};
use gateway::identity::{RelyingParty, SignInError};
use gateway_egress::{Answer, Egress, EgressSettings, Resolver};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use url::Url;

use crate::stage::{REDIRECT_URI, Stage, untrustworthy};

async fn refused_at_boot(misbehaviour: Misbehaviour, because: &str) {
    let stage = Stage::set(Behaviour::default().misbehaving(misbehaviour)).await;
    untrustworthy(stage.try_discover().await, because);
}

#[tokio::test]
async fn s3_discovery_for_another_issuer_is_refused() {
    refused_at_boot(Misbehaviour::DiscoveryForAnotherIssuer, "for the issuer \"http://another.example.com\"").await;
}

#[tokio::test]
async fn s3_a_redirected_discovery_is_refused_and_not_followed() {
    let elsewhere = Stage::usual().await;
    let location = format!("{}/.well-known/openid-configuration", elsewhere.provider.issuer());
    refused_at_boot(Misbehaviour::DiscoveryRedirectsTo(location), "redirects are not followed").await;
    assert_eq!(elsewhere.provider.requests().len(), 0);
}

#[tokio::test]
async fn s3_a_redirected_key_set_is_refused() {
    let metadata = "http://169.254.169.254/latest/".to_owned();
    refused_at_boot(Misbehaviour::KeySetRedirectsTo(metadata), "redirects are not followed").await;
}

#[tokio::test]
async fn s3_a_huge_key_set_is_refused() {
    refused_at_boot(Misbehaviour::HugeKeySet, "more than 1048576 bytes").await;
}

#[tokio::test]
async fn s9_a_provider_on_loopback_needs_the_operators_word() {
    let stage = Stage::usual().await;
    let egress = Egress::new(EgressSettings::default());
    let refused = RelyingParty::discover(&stage.config, REDIRECT_URI, egress, stage.clock()).await;
    assert!(matches!(refused, Err(SignInError::Unavailable { reason }) if reason.contains("loopback")));
    assert_eq!(stage.provider.requests().len(), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_is_unavailable() {
    let stage = Stage::usual().await;
    stage.provider.go_away().await;
    assert!(matches!(stage.try_discover().await, Err(SignInError::Unavailable { .. })));
    stage.provider.come_back().await;
    assert!(stage.try_discover().await.is_ok());
}

#[tokio::test]
async fn a_provider_that_takes_no_secret_is_refused_at_boot() {
    let behaviour = Behaviour { auth_methods: vec![AuthMethod::PrivateKeyJwt], ..Behaviour::default() };
    let stage = Stage::set(behaviour).await;
    untrustworthy(stage.try_discover().await, "accepts no client secret, only private_key_jwt");
}

#[tokio::test]
async fn the_authorization_origin_is_the_providers() {
    let stage = Stage::usual().await;
    assert_eq!(stage.party().await.authorization_origin(), stage.provider.issuer());
}

/// Every name is one address.
#[derive(Debug)]
struct OneAddress(SocketAddr);

impl Resolver for OneAddress {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move {
            Ok(vec![if host == "127.0.0.1" { SocketAddr::from(([127, 0, 0, 1], port)) } else { self.0 }])
        })
    }
}

/// Tunnels to one place whatever it is asked for, and remembers what that was.
async fn proxy_to(destination: String) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            record.lock().unwrap().push(String::from_utf8(head).unwrap());
            let mut origin = TcpStream::connect(&destination).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut origin).await });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn use_proxy_and_discovery_url_decide_where_discovery_is_read() {
    let stage = Stage::usual().await.configured(|config| {
        config.discovery_url = Some(Url::parse("http://idp.test/.well-known/openid-configuration").unwrap());
    });
    let destination = stage.provider.issuer().replace("http://", "");
    let (proxy, asked) = proxy_to(destination.clone()).await;
    let discover = async |use_proxy, resolved: &str| {
        let settings =
            EgressSettings { allow_loopback: true, http_proxy: Some(proxy.clone()), ..EgressSettings::default() };
        let egress = Egress::with_resolver(settings, Arc::new(OneAddress(resolved.parse().unwrap())));
        let config = gateway_config::Oidc { use_proxy, ..stage.config.clone() };
        RelyingParty::discover(&config, REDIRECT_URI, egress, stage.clock()).await
    };

    discover(false, &destination).await.unwrap();
    assert!(asked.lock().unwrap().is_empty(), "direct, with a proxy in the environment");
    assert_eq!(stage.provider.requests()[0].header("host"), Some("idp.test"));

    discover(true, "10.1.2.3:80").await.unwrap();
    assert!(asked.lock().unwrap()[0].starts_with("CONNECT 10.1.2.3:80 HTTP/1.1\r\n"));
}

/// TLS for `localhost` in front of a plain address, and the authority that vouches for it.
async fn tls_before(destination: String) -> (u16, String) {
    let authority = Authority::new().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.loopback_leaf().unwrap().server_config().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(mut client) = acceptor.accept(client).await else { continue };
            let mut origin = TcpStream::connect(&destination).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut origin).await });
        }
    });
    (port, authority.pem().to_owned())
}

#[tokio::test]
async fn a_private_ca_is_trusted_for_the_provider_and_no_other_is() {
    let stage = Stage::usual().await;
    let (port, ca) = tls_before(stage.provider.issuer().replace("http://", "")).await;
    let discovery = Url::parse(&format!("https://localhost:{port}/.well-known/openid-configuration")).unwrap();
    let stage = stage.configured(|config| config.discovery_url = Some(discovery));
    assert!(matches!(stage.try_discover().await, Err(SignInError::Unavailable { reason }) if reason.contains("TLS")));
    let stage = stage.configured(|config| config.ca_cert_pem = Some(ca));
    assert!(stage.try_discover().await.is_ok());
}
