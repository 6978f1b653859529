//! The ways out: what may be reached, by which road, and what is made of an answer that points elsewhere.

use std::net::SocketAddr;

use e2e::cast::{
    browser::Browser,
    forward_proxy::ForwardProxy,
    gateway::Config,
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::{Provider, Reply},
    signin::Device,
    stage::{MODEL, Stage},
};
use serde_json::{Value, json};

/// Addresses for documentation: nobody is there, and only the proxy knows better.
const IDENTITY: &str = "http://192.0.2.20";
const PLAIN: &str = "192.0.2.30";
const SECURE: &str = "192.0.2.40";

fn pair() -> Vec<Provider> {
    (0..2).map(|_| Provider::start().unwrap()).collect()
}

fn proxied(config: Config, proxy: &ForwardProxy) -> Config {
    config.environment("HTTP_PROXY", &proxy.url()).environment("HTTPS_PROXY", &proxy.url())
}

/// Each once: how many connections there are is the pools' business.
fn asked_for(proxy: &ForwardProxy) -> Vec<String> {
    let mut targets = proxy.targets();
    targets.sort();
    targets.dedup();
    targets
}

/// S9: without the operator's word for it, loopback is out of reach, for the identity provider and for upstreams.
#[tokio::test]
async fn loopback_is_refused_unless_it_is_allowed() {
    let identity = OpenIdProvider::start_as(Behaviour::default(), IDENTITY).await;
    let providers = pair();
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let proxy = ForwardProxy::start([("192.0.2.20:80", identity.address()), ("192.0.2.30:80", providers[1].address())])
        .await
        .unwrap();
    let config = Stage::config(&identity, &database, &providers).unwrap();
    let config = proxied(config, &proxy)
        .without_environment("CLAUDE_GATEWAY_ALLOW_LOOPBACK")
        .set("/oidc/use_proxy", json!(true))
        .set("/upstreams/1/base_url", json!(format!("http://{PLAIN}")));
    let gateway = config.start().await.unwrap();
    let client = gateway.client().unwrap();
    let device = Device::ask(&client).await.unwrap();
    let mut browser = Browser::new().finding(IDENTITY, identity.address());
    device.approve(&mut browser, "alice").await.unwrap();
    let tokens = device.collect(&client).await.unwrap();
    let ask = client.post("/v1/messages").bearer(&tokens.access_token).header("anthropic-version", "2023-06-01");
    let answer = ask.json(&json!({"model": MODEL, "max_tokens": 1, "messages": []})).send().await.unwrap();
    assert_eq!(answer.status, 200, "the upstream behind the proxy answers");
    let audited = gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_eq!((&audited[0]["upstream"], &audited[0]["attempts"]), (&"two".into(), &2.into()));
    let line = gateway.wait_for_line("the egress guard refuses").await.unwrap();
    assert!(line.contains("loopback") && line.contains("one"), "{line}");
    assert_eq!(providers[0].connections(), 0);
    let targets = proxy.targets();
    assert!(targets.iter().all(|target| !target.starts_with("127.")), "{targets:?}");
}

/// S9
#[tokio::test]
async fn an_identity_provider_on_loopback_stops_a_boot_that_does_not_allow_it() {
    let identity = OpenIdProvider::start(Behaviour::default()).await;
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let config = Stage::config(&identity, &database, &pair()).unwrap();
    let ended = config.without_environment("CLAUDE_GATEWAY_ALLOW_LOOPBACK").end().await.unwrap();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("oidc.issuer") && ended.stderr.contains("the egress guard refuses"), "{ended:?}");
    assert!(identity.requests().is_empty());
}

/// S9: allowing loopback allows nothing else.
#[tokio::test]
async fn a_metadata_service_is_out_of_reach_and_its_address_is_not_told_to_clients() {
    for address in ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
            config.set("/upstreams/0/base_url", json!(format!("http://{address}")))
        })
        .await;
        let refused = stage.ask(&Stage::prompt(false)).send().await.unwrap();
        assert_eq!(refused.status, 502, "{address}");
        let message = refused.text().await.unwrap();
        assert!(message.contains("all upstreams failed") && !message.contains(address), "{message}");
        stage.gateway.wait_for_line("the egress guard refuses").await.unwrap();
    }
}

#[tokio::test]
async fn upstreams_are_reached_through_the_operators_proxy_save_those_that_are_exempt() {
    let secure = Provider::builder().tls_for(SECURE).start().unwrap();
    let providers = vec![Provider::start().unwrap(), secure, Provider::start().unwrap()];
    let known: [(&str, SocketAddr); 3] = [
        ("192.0.2.30:8080", providers[0].address()),
        ("192.0.2.40:443", providers[1].address()),
        ("192.0.2.50:80", providers[2].address()),
    ];
    let proxy = ForwardProxy::start(known).await.unwrap();
    let stage = Stage::with(providers, |config| {
        proxied(config, &proxy)
            .environment("NO_PROXY", "192.0.2.50,localhost")
            .set("/upstreams/0/base_url", json!(format!("http://{PLAIN}:8080")))
            .set("/upstreams/1/base_url", json!(format!("https://{SECURE}")))
            .set("/upstreams/2/base_url", json!("http://192.0.2.50"))
    })
    .await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert_eq!(asked_for(&proxy), ["192.0.2.30:8080"]);
    stage.providers[0].then_503();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert_eq!(asked_for(&proxy), ["192.0.2.30:8080", "192.0.2.40:443"]);
    assert_eq!(stage.providers[1].requests()[0].header("host"), Some(SECURE));
    stage.providers[0].then_503();
    stage.providers[1].then_503();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 502, "nobody answers at 192.0.2.50");
    assert_eq!(asked_for(&proxy).len(), 2, "it was not asked for");
    let headers: Vec<_> =
        stage.providers.iter().flat_map(Provider::requests).flat_map(|request| request.headers).collect();
    assert!(headers.iter().all(|(name, _)| !name.starts_with("proxy-") && name != "via"), "{headers:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failed_upstream() {
    let proxy = ForwardProxy::start([]).await.unwrap();
    let stage = Stage::with(pair(), |config| {
        proxied(config, &proxy).set("/upstreams/0/base_url", json!(format!("http://{PLAIN}")))
    })
    .await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let line = stage.gateway.wait_for_line("did not open a tunnel").await.unwrap();
    assert!(line.contains("403"), "{line}");
    assert_eq!(stage.providers[1].requests().len(), 1);
}

/// S9: a redirect leads nowhere, neither us nor the client.
#[tokio::test]
async fn a_redirect_of_an_upstream_is_its_failure() {
    let elsewhere = Provider::start().unwrap();
    let stage = Stage::with(pair(), |config| config).await;
    let redirect = |status| {
        Reply::json(status, &json!({"see": elsewhere.url()}))
            .header("location", &format!("{}/v1/messages", elsewhere.url()))
    };
    for status in [301, 302, 303, 307, 308] {
        stage.providers[0].then(redirect(status));
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200, "after {status}");
        stage.providers[0].then(redirect(status));
        stage.providers[1].then(redirect(status));
        let refused = stage.ask(&Stage::prompt(false)).send().await.unwrap();
        assert_eq!((refused.status, refused.header("location")), (502, None), "{status}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["message"], "all upstreams failed (2 attempted)");
    }
    assert!(elsewhere.requests().is_empty());
}
