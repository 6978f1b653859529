//! S17: limits by address are not evaded by another spelling of the address, the path or a header.

use std::time::Duration;

use e2e::cast::{provider::Provider, stage::Stage};
use serde_json::json;

const MOST: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// Behind a load balancer on loopback; few sign-ins a network.
async fn behind_a_proxy() -> Stage {
    Stage::with(vec![Provider::start().unwrap()], |config| {
        config
            .set("/listen/trusted_proxies", json!(["127.0.0.1"]))
            .set("/rate_limits/device_authorization", json!({"max": MOST, "window_seconds": 3600}))
    })
    .await
}

async fn begin(stage: &Stage, path: &str, header: &str, from: &str) -> u16 {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: gateway\r\n{header}: {from}\r\nContent-Length: 0\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    );
    let mut raw = stage.raw().await;
    raw.send(request).await.unwrap();
    raw.head(PATIENCE).await.unwrap().0
}

const PATH: &str = "/oauth/device_authorization";
const HEADER: &str = "X-Forwarded-For";

#[tokio::test]
async fn a_network_is_one_address_whichever_of_its_addresses_asks() {
    let stage = behind_a_proxy().await;
    for n in 0..MOST {
        assert_eq!(begin(&stage, PATH, HEADER, &format!("2001:db8:1:2::{n:x}")).await, 200);
    }
    for address in
        ["2001:db8:1:2::ffff", "2001:DB8:1:2:aaaa:bbbb:cccc:dddd", "[2001:db8:1:2::1]:4711", "[2001:db8:1:2::7]"]
    {
        assert_eq!(begin(&stage, PATH, HEADER, address).await, 429, "{address}");
    }
    assert_eq!(begin(&stage, PATH, HEADER, "2001:db8:1:3::1").await, 200, "the neighbours are not meant");
}

#[tokio::test]
async fn an_ipv4_address_in_ipv6_clothes_is_the_same_address() {
    let stage = behind_a_proxy().await;
    for address in ["198.51.100.7", "::ffff:198.51.100.7", "198.51.100.7:4711"] {
        assert_eq!(begin(&stage, PATH, HEADER, address).await, 200, "{address}");
    }
    for address in ["198.51.100.7", "::ffff:c633:6407", "[::ffff:198.51.100.7]:1", " 198.51.100.7 "] {
        assert_eq!(begin(&stage, PATH, HEADER, address).await, 429, "{address}");
    }
}

#[tokio::test]
async fn neither_a_header_nor_a_path_is_spelt_around_a_limit() {
    let stage = behind_a_proxy().await;
    for header in ["X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR"] {
        assert_eq!(begin(&stage, PATH, header, "198.51.100.9").await, 200);
    }
    assert_eq!(begin(&stage, PATH, "x-FoRwArDeD-fOr", "198.51.100.9").await, 429);
    // What the client wrote itself stands left of what the load balancer saw.
    assert_eq!(begin(&stage, PATH, HEADER, "192.0.2.77, 198.51.100.9").await, 429);
    assert_eq!(begin(&stage, PATH, "X-Forwarded-For: 192.0.2.78\r\nX-Forwarded-For", "198.51.100.9").await, 429);
    for path in [
        "//oauth/device_authorization",
        "/oauth//device_authorization",
        "/oauth/device_authorization/",
        "/oauth/./device_authorization",
        "/v1/../oauth/device_authorization",
        "/oauth/%64evice_authorization",
        "/oauth%2fdevice_authorization",
        "/OAuth/Device_Authorization",
        "/oauth/device_authorization;a=b",
        "/oauth/device_authorization?x=1",
        "http://elsewhere.test/oauth/device_authorization",
    ] {
        let status = begin(&stage, path, HEADER, "198.51.100.9").await;
        // 401 is what a stranger is told about paths that do not exist.
        assert!([401, 404, 429].contains(&status), "{path}: {status}");
    }
    let overridden = "X-HTTP-Method-Override: GET\r\nX-Original-URL: /healthz\r\nX-Forwarded-For";
    assert_eq!(begin(&stage, PATH, overridden, "198.51.100.9").await, 429);
    assert_eq!(begin(&stage, PATH, HEADER, "198.51.100.10").await, 200, "somebody else is not meant");
}

/// Inference, too, is behind one spelling only: whatever is not exactly that path is nobody's.
#[tokio::test]
async fn a_path_that_only_resembles_the_messages_endpoint_leads_nowhere() {
    let stage = Stage::new().await;
    for path in ["//v1/messages", "/v1//messages", "/v1/messages/", "/v1%2fmessages", "/V1/messages", "/v1/./messages"]
    {
        let body = Stage::prompt(false).to_string();
        let head = stage.head(&format!("content-length: {}", body.len())).replace("/v1/messages", path);
        let mut raw = stage.raw().await;
        raw.send(format!("{head}\r\n{body}")).await.unwrap();
        assert_eq!(raw.head(PATIENCE).await.unwrap().0, 404, "{path}");
    }
    assert!(stage.provider().requests().is_empty());
}
