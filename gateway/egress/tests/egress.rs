//! The way out against real sockets: what is refused, what is pinned, what goes through a proxy.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod stage;

use std::time::Duration;

use bytes::Bytes;
use gateway_egress::{Client, ClientError, Egress, EgressError, EgressSettings, Limits, Route, client_tls};
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use stage::{ForwardProxy, Names, Origin};

fn on_loopback() -> EgressSettings {
    EgressSettings { allow_loopback: true, ..EgressSettings::default() }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn client(settings: EgressSettings, limits: Limits) -> Client {
    Client::new(Egress::new(settings), client_tls(None, &[]).unwrap(), Route::ByEnvironment, limits)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn s9_odd_spellings_of_forbidden_addresses_are_refused() {
    let egress = Egress::new(EgressSettings::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
    ] {
        for scheme in ["http", "https"] {
            let refused = egress.connect(&url(&format!("{scheme}://{host}/latest/")), Route::Direct).await;
            assert!(matches!(refused, Err(EgressError::Forbidden { .. })), "{scheme}://{host}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn s9_a_name_of_this_machine_is_refused_by_its_address() {
    let origin = Origin::start().await;
    let egress = Egress::new(EgressSettings::default());
    let refused = egress.connect(&url(&format!("http://localhost:{}/", origin.port())), Route::Direct).await;
    assert!(matches!(refused, Err(EgressError::Forbidden { reason: "loopback", .. })), "{refused:?}");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn only_http_and_https_lead_out() {
    let egress = Egress::new(on_loopback());
    for text in
        ["ftp://127.0.0.1/", "file:///etc/passwd", "ws://127.0.0.1/", "gopher://127.0.0.1:70/", "http://127.0.0.1:0/"]
    {
        let refused = egress.connect(&url(text), Route::Direct).await;
        assert!(matches!(refused, Err(EgressError::BadUrl { .. })), "{text}: {refused:?}");
    }
}

#[tokio::test]
async fn s9_one_forbidden_address_refuses_the_whole_name() {
    let origin = Origin::start().await;
    let names = Names::new([vec![origin.address(), "169.254.169.254:80".parse().unwrap()]]);
    let egress = Egress::with_resolver(on_loopback(), names.clone());
    let refused = egress.connect(&url("http://mixed.test/"), Route::Direct).await;
    assert!(matches!(refused, Err(EgressError::Forbidden { .. })), "{refused:?}");
    assert_eq!(origin.connections(), 0, "not even the address that is open was dialled");
}

#[tokio::test]
async fn s9_a_rebinding_name_is_resolved_once_and_pinned() {
    let origin = Origin::start().await;
    let names = Names::new([vec![origin.address()], vec!["169.254.169.254:80".parse().unwrap()]]);
    let egress = Egress::with_resolver(on_loopback(), names.clone());
    let target = url("http://rebinding.test/");

    let stream = egress.connect(&target, Route::Direct).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), origin.address(), "connected to what was checked");
    assert_eq!(names.asked(), 1, "nobody asked between the check and the connection");

    let second = egress.connect(&target, Route::Direct).await;
    assert!(matches!(second, Err(EgressError::Forbidden { .. })), "the new answer is checked anew: {second:?}");
    assert_eq!(names.asked(), 2);
}

#[tokio::test]
async fn s9_a_redirect_to_metadata_is_an_answer_and_not_followed() {
    let elsewhere = Origin::start().await;
    for location in ["http://169.254.169.254/latest/meta-data/".to_owned(), elsewhere.url("/")] {
        let origin = Origin::answering(move |_| {
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
        })
        .await;
        let answer = client(on_loopback(), Limits::default()).send(get(&origin.url("/"))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert_eq!(origin.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_dead_first_address_does_not_lose_the_living_second() {
    let origin = Origin::start().await;
    let names = Names::new([vec![stage::closed_port().await, origin.address()]]);
    let egress = Egress::with_resolver(on_loopback(), names);
    let stream = egress.connect(&url("http://two.test/"), Route::Direct).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), origin.address());
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn a_name_without_addresses_is_unresolved_and_a_closed_port_unconnected() {
    let names = Names::new([vec![], vec![stage::closed_port().await]]);
    let egress = Egress::with_resolver(on_loopback(), names);
    let none = egress.connect(&url("http://nowhere.test/"), Route::Direct).await;
    assert!(matches!(none, Err(EgressError::Resolve { .. })), "{none:?}");
    let closed = egress.connect(&url("http://closed.test/"), Route::Direct).await;
    assert!(matches!(closed, Err(EgressError::Connect { .. })), "{closed:?}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_checked_address_with_its_credentials() {
    let proxy = ForwardProxy::start().await;
    let names = Names::new([vec!["10.1.2.3:443".parse().unwrap()]]);
    let mut proxy_url = proxy.url();
    proxy_url.set_username("us%20er").unwrap();
    proxy_url.set_password(Some("p@ss:word")).unwrap();
    let settings = EgressSettings { https_proxy: Some(proxy_url), ..EgressSettings::default() };
    let debugged = format!("{settings:?}");
    let egress = Egress::with_resolver(settings, names.for_this_machine_too());

    let mut stream = egress.connect(&url("https://api.test/v1"), Route::ByEnvironment).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut echoed = [0; 4];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"ping", "the tunnel carries what follows");

    let head = proxy.heads().remove(0);
    assert!(head.starts_with("CONNECT 10.1.2.3:443 HTTP/1.1\r\n"), "{head}");
    // "us er:p@ss:word"
    assert!(head.contains("Proxy-Authorization: Basic dXMgZXI6cEBzczp3b3Jk\r\n"), "{head}");
    assert!(!debugged.contains("word") && !format!("{egress:?}").contains("word"), "a password was printed");
}

#[tokio::test]
async fn s9_a_forbidden_name_is_refused_before_the_proxy_is_asked() {
    let proxy = ForwardProxy::start().await;
    let names = Names::new([vec!["169.254.169.254:443".parse().unwrap()]]);
    let settings = EgressSettings { https_proxy: Some(proxy.url()), ..EgressSettings::default() };
    let refused =
        Egress::with_resolver(settings, names).connect(&url("https://metadata.test/"), Route::ByEnvironment).await;
    assert!(matches!(refused, Err(EgressError::Forbidden { .. })), "{refused:?}");
    assert_eq!(proxy.heads().len(), 0);
}

#[tokio::test]
async fn a_boundary_proxy_gets_the_name_unresolved() {
    let proxy = ForwardProxy::start().await;
    let names = Names::new([]).for_this_machine_too();
    let settings =
        EgressSettings { http_proxy: Some(proxy.url()), proxy_is_boundary: true, ..EgressSettings::default() };
    let egress = Egress::with_resolver(settings, names.clone());
    assert!(egress.proxy_is_boundary());
    egress.connect(&url("https://only.the.proxy.knows/"), Route::ByEnvironment).await.unwrap();
    assert!(proxy.heads()[0].starts_with("CONNECT only.the.proxy.knows:443 HTTP/1.1\r\n"));
    assert_eq!(names.asked(), 0);

    for forbidden in ["https://localhost/", "https://a.localhost./", "https://169.254.169.254/"] {
        let refused = egress.connect(&url(forbidden), Route::ByEnvironment).await;
        assert!(matches!(refused, Err(EgressError::BadUrl { .. } | EgressError::Forbidden { .. })), "{forbidden}");
    }
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn a_boundary_needs_a_proxy_no_exceptions_and_no_loopback() {
    let boundary = EgressSettings {
        https_proxy: Some(url("http://proxy.test:3128")),
        proxy_is_boundary: true,
        ..EgressSettings::default()
    };
    assert_eq!(boundary.boundary_obstacle(), None);
    for obstructed in [
        EgressSettings { https_proxy: None, ..boundary.clone() },
        EgressSettings { no_proxy: "example.com".to_owned(), ..boundary.clone() },
        EgressSettings { allow_loopback: true, ..boundary },
    ] {
        assert!(obstructed.boundary_obstacle().is_some());
        assert!(!Egress::new(obstructed).proxy_is_boundary());
    }
}

#[tokio::test]
async fn no_proxy_the_direct_route_and_loopback_go_past_the_proxy() {
    let proxy = ForwardProxy::start().await;
    let origin = Origin::start().await;
    let through = |no_proxy: &str| EgressSettings {
        allow_loopback: true,
        http_proxy: Some(proxy.url()),
        no_proxy: no_proxy.to_owned(),
        ..EgressSettings::default()
    };
    let names = Names::new([vec![origin.address()], vec![origin.address()]]);
    let egress = Egress::with_resolver(through(".svc,internal.test"), names);
    egress.connect(&url("http://idp.internal.test/"), Route::ByEnvironment).await.unwrap();
    egress.connect(&url("http://other.test/"), Route::Direct).await.unwrap();
    Egress::new(through("")).connect(&url(&origin.url("/")), Route::ByEnvironment).await.unwrap();
    assert_eq!(origin.connections(), 3);
    assert_eq!(proxy.heads().len(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_hangs_up_or_babbles_is_an_error() {
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 3\r\n\r\nno\n",
        "HTTP/1.1 200 OK\r\n\r\nunasked",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "",
    ] {
        let proxy = ForwardProxy::saying(answer).await;
        let names = Names::new([vec!["10.1.2.3:443".parse().unwrap()]]).for_this_machine_too();
        let settings = EgressSettings { https_proxy: Some(proxy.url()), ..EgressSettings::default() };
        let refused =
            Egress::with_resolver(settings, names).connect(&url("https://api.test/"), Route::ByEnvironment).await;
        assert!(matches!(refused, Err(EgressError::Proxy { .. })), "{answer:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_proxy_spoken_to_over_tls_is_refused_clearly() {
    let names = Names::new([vec!["10.1.2.3:443".parse().unwrap()]]);
    let settings = EgressSettings { https_proxy: Some(url("https://proxy.test:3129")), ..EgressSettings::default() };
    let refused = Egress::with_resolver(settings, names).connect(&url("https://api.test/"), Route::ByEnvironment).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("only http:// proxies"), "{message}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut() {
    let chunked = Origin::answering(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..64 {
            answer.extend_from_slice(b"400\r\n");
            answer.extend_from_slice(&[b'x'; 0x400]);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\n\r\n");
        answer
    })
    .await;
    let declared = Origin::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nxx".to_vec()).await;
    let limits = Limits { max_body: 10_000, ..Limits::default() };
    for origin in [chunked, declared] {
        let refused = client(on_loopback(), limits).send(get(&origin.url("/"))).await;
        assert!(matches!(refused, Err(ClientError::TooLarge { limit: 10_000, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let silent = Origin::answering(|_| Vec::new()).await;
    let limits = Limits { timeout: Duration::from_millis(200), ..Limits::default() };
    let refused = client(on_loopback(), limits).send(get(&silent.url("/"))).await;
    assert!(matches!(refused, Err(ClientError::Deadline { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_request_arrives_in_origin_form_with_its_body() {
    let origin = Origin::start().await;
    let request = Request::post(origin.url("/token?a=b")).header("x-own", "1").body(Bytes::from("hello")).unwrap();
    let answer = client(on_loopback(), Limits::default()).send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.body(), "ok");
    let seen = origin.requests().remove(0);
    assert!(seen.starts_with("POST /token?a=b HTTP/1.1\r\n"), "{seen}");
    for part in [
        format!("host: 127.0.0.1:{}\r\n", origin.port()).as_str(),
        "x-own: 1\r\n",
        "content-length: 5\r\n",
        "user-agent: claude-gateway/",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");
}

#[tokio::test]
async fn tls_trusts_the_given_ca_and_nothing_else() {
    let (origin, ca) = Origin::with_tls().await;
    let target = format!("https://localhost:{}/", origin.port());
    let sent = |ca: Option<String>| {
        let tls = client_tls(ca.as_deref(), &[]).unwrap();
        let client = Client::new(Egress::new(on_loopback()), tls, Route::Direct, Limits::default());
        let request = get(&target);
        async move { client.send(request).await }
    };
    assert_eq!(sent(Some(ca)).await.unwrap().body(), "ok");
    for stranger in [None, Some(stage::another_ca())] {
        let refused = sent(stranger).await;
        assert!(matches!(refused, Err(ClientError::Tls { .. })), "{refused:?}");
    }
}
