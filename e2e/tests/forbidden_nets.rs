//! S9, told by the kernel: whatever URL is configured, answered or redirected to, no packet leaves for a forbidden net.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

use std::{
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use e2e::cast::{
    gateway::Config,
    length::short_or_full,
    name_server::NameServer,
    network::{NAME_SERVER, OPEN, OwnNetwork, Place},
    openid::{Behaviour, Misbehaviour, OpenIdProvider},
    postgres::Postgres,
    provider::{Message, Provider, Reply},
    signin::sign_in,
    stage::{MODEL, Stage},
};
use serde_json::json;

/// Every way to write where nobody may be sent.
const FORBIDDEN: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "127.0.0.1",
    "127.1",
    "localhost",
    "0.0.0.0",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "metadata.test",
    "metadata-too.test",
    "loopback.test",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn name_server() -> NameServer {
    let (metadata, loopback) = (ip("169.254.169.254"), ip("127.0.0.1"));
    let names: &[(&str, &[&[IpAddr]])] = &[
        ("metadata.test", &[&[metadata, ip("fd00:ec2::254")]]),
        ("metadata-too.test", &[&[OPEN, metadata]]),
        ("loopback.test", &[&[loopback, ip("::1")]]),
        // An open address first, and from the second question on another.
        ("rebinding.test", &[&[OPEN], &[metadata]]),
        ("open.test", &[&[OPEN]]),
    ];
    NameServer::start(SocketAddr::new(NAME_SERVER, 53), names).await.unwrap()
}

/// Loopback is not allowed here: providers are at an open address.
async fn config(identity: &OpenIdProvider, hosts: &[String]) -> Config {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let upstream = |(n, host): (usize, &String)| {
        json!({"name": format!("u{n}"), "provider": "anthropic", "base_url": format!("http://{host}"),
               "auth": {"api_key": e2e::cast::provider::API_KEY}})
    };
    let upstreams: Vec<_> = hosts.iter().enumerate().map(upstream).collect();
    let config = Stage::config(identity, &database, &[]).unwrap();
    config.set("/upstreams", json!(upstreams)).without_environment("CLAUDE_GATEWAY_ALLOW_LOOPBACK")
}

fn provider(port: u16) -> Provider {
    Provider::builder().at(SocketAddr::new(OPEN, port)).start().unwrap()
}

async fn identity(misbehaviour: Option<Misbehaviour>) -> OpenIdProvider {
    let behaviour = Behaviour { misbehaviour, ..Behaviour::default() };
    OpenIdProvider::start_on(behaviour, SocketAddr::new(OPEN, 0)).await
}

/// The counter counts, or the rest of this shows nothing.
fn control(network: &OwnNetwork) {
    assert_eq!(network.forbidden_packets().unwrap(), 0);
    let dialled = ["169.254.169.254:80", "127.0.0.1:80", "[fd00:ec2::254]:80", "[::1]:80"];
    for (n, address) in dialled.iter().enumerate() {
        // Nobody listens, and that is soon known.
        assert!(TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(1)).is_err());
        assert!(network.forbidden_packets().unwrap() > n as u64, "{address} is not counted");
    }
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", "224.0.0.251:5353").unwrap();
}

/// S9
#[tokio::test]
async fn no_packet_goes_to_a_forbidden_net() {
    let network = match OwnNetwork::enter("no_packet_goes_to_a_forbidden_net").unwrap() {
        Place::Inside(network) => network,
        Place::Held => return,
        Place::Unavailable(why) => return eprintln!("no_packet_goes_to_a_forbidden_net is skipped: {why}"),
    };
    control(&network);
    let before = network.forbidden_packets().unwrap();
    let packets = || network.forbidden_packets().unwrap() - before;
    let names = name_server().await;
    urls_of_the_operator(&names).await;
    assert_eq!(packets(), 0, "upstreams");
    a_rebinding_name(&names).await;
    assert_eq!(packets(), 0, "rebinding");
    redirects().await;
    assert_eq!(packets(), 0, "redirects");
    what_an_identity_provider_says().await;
    assert_eq!(packets(), 0, "the identity provider");
}

/// All of them are tried, one after another, and the last is an open one that answers.
async fn urls_of_the_operator(names: &NameServer) {
    let people = identity(None).await;
    let open = provider(0);
    let mut hosts: Vec<String> = FORBIDDEN.iter().map(|host| (*host).to_owned()).collect();
    hosts.push(format!("open.test:{}", open.address().port()));
    let gateway = config(&people, &hosts).await.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    let ask = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&Stage::prompt(false));
    assert_eq!(ask.send().await.unwrap().status, 200);
    let audited = gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_eq!(audited[0]["attempts"], hosts.len(), "every one of them was tried: {:#?}", gateway.stderr());
    let refused = gateway.stderr().iter().filter(|line| line.contains("the egress guard refuses")).count();
    assert_eq!(refused, FORBIDDEN.len());
    assert!(names.asked("metadata.test") > 0 && names.asked("open.test") > 0, "names were resolved");
}

/// The name is resolved once for each connection, and dialled at what was checked.
async fn a_rebinding_name(names: &NameServer) {
    let people = identity(None).await;
    let open = provider(0);
    let host = format!("rebinding.test:{}", open.address().port());
    let gateway = config(&people, &[host]).await.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    let ask = || client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&Stage::prompt(false));
    assert_eq!(names.asked("rebinding.test"), 0);
    // It closes the connection behind its answer, so that every request needs a new one.
    let body = Message::new(MODEL).text("hello").json().to_string();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    open.then(Reply::raw(format!("{head}content-type: application/json\r\n\r\n{body}")));
    assert_eq!(ask().send().await.unwrap().status, 200, "while it was an open address");
    assert_eq!(names.asked("rebinding.test"), 1);
    for _ in 0..5 {
        assert_eq!(ask().send().await.unwrap().status, 502);
    }
    assert!(names.asked("rebinding.test") > 1, "it was asked for again");
    assert_eq!(open.connections(), 1);
}

async fn redirects() {
    let people = identity(None).await;
    let open = provider(0);
    let gateway = config(&people, &[open.address().to_string()]).await.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    for host in FORBIDDEN {
        open.then(Reply::json(307, &json!({})).header("location", &format!("http://{host}/latest/")));
        let ask = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&Stage::prompt(false));
        assert_eq!(ask.send().await.unwrap().status, 502, "{host}");
    }
    assert_eq!(open.requests().len(), FORBIDDEN.len());
}

async fn what_an_identity_provider_says() {
    for host in FORBIDDEN.iter().step_by(short_or_full(5, 1)) {
        let elsewhere = format!("http://{host}/latest/");
        for misbehaviour in [
            Misbehaviour::DiscoveryRedirectsTo(elsewhere.clone()),
            Misbehaviour::KeySetRedirectsTo(elsewhere.clone()),
            Misbehaviour::EndpointsAt(elsewhere.clone()),
        ] {
            let people = identity(Some(misbehaviour.clone())).await;
            let ended = config(&people, &[OPEN.to_string()]).await.end().await.unwrap();
            assert!(!ended.status.success() && ended.stderr.contains("oidc.issuer"), "{misbehaviour:?}: {ended:?}");
            assert!(!people.requests().is_empty(), "it was asked");
        }
        let people = identity(None).await;
        let config = config(&people, &[OPEN.to_string()]).await.set("/oidc/issuer", json!(format!("http://{host}")));
        let ended = config.end().await.unwrap();
        assert!(!ended.status.success(), "{host}: {ended:?}");
    }
    let people = identity(None).await;
    let gateway = config(&people, &[OPEN.to_string()]).await.start().await.unwrap();
    people.misbehave(Misbehaviour::TokenEndpointRedirectsTo("http://metadata.test/latest/".to_owned()));
    assert!(sign_in(&gateway, "alice").await.is_err());
    assert_eq!(people.requests_to("/token").len(), 1);
}
