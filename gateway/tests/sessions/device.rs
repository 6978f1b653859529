//! Discovery and the device's first request (`protocol.md` 1 and 2).

use std::collections::HashSet;

use axum::{body::Body, http::Request};
use serde_json::json;

use crate::stage::{DEVICE_CODE_GRANT, HOME, ORIGIN, Stage, post, text};

#[tokio::test]
async fn discovery_names_every_endpoint_on_the_public_url() {
    let pod = Stage::usual().await.deaf_pod().await;
    let answer = pod.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.status.as_u16(), 200);
    let expected = json!({
        "issuer": ORIGIN,
        "device_authorization_endpoint": format!("{ORIGIN}/oauth/device_authorization"),
        "token_endpoint": format!("{ORIGIN}/oauth/token"),
        "revocation_endpoint": format!("{ORIGIN}/oauth/revoke"),
        "grant_types_supported": [DEVICE_CODE_GRANT, "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "profile", "email"],
        "gateway_protocol_version": 1,
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_device_gets_its_codes_and_where_to_show_them() {
    let pod =
        Stage::usual().await.scripted(|script| script.lifetimes.poll_interval = std::time::Duration::from_secs(5));
    let pod = pod.deaf_pod().await;
    let answer = pod.post("/oauth/device_authorization", &[("surface", "claude_code")]).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    let body = answer.json();
    let user_code = text(&body, "user_code");
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");
    assert_eq!(text(&body, "device_code").len(), 43, "256 bits");
    assert_eq!(body["verification_uri"], format!("{ORIGIN}/device"));
    assert_eq!(body["verification_uri_complete"], format!("{ORIGIN}/device?user_code={user_code}"));
    assert_eq!((&body["expires_in"], &body["interval"]), (&json!(600), &json!(5)));
    assert!(body.get("login_notice").is_none());
}

#[tokio::test]
async fn whatever_else_a_device_sends_is_ignored() {
    let pod = Stage::usual().await.deaf_pod().await;
    let bodies = ["", "surface=claude_code&surface=twice&later=1&%ff=%00", "{\"not\": \"a form\"}", "\0\0"];
    for content_type in ["application/x-www-form-urlencoded", "application/json", "text/plain"] {
        for body in bodies {
            let request = Request::post("/oauth/device_authorization").header("content-type", content_type);
            let answer = pod.call(HOME, request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status.as_u16(), 200, "{content_type}: {body}");
        }
    }
    let bare = Request::post("/oauth/device_authorization").body(Body::empty()).unwrap();
    assert_eq!(pod.call(HOME, bare).await.status.as_u16(), 200);
}

#[tokio::test]
async fn no_two_devices_get_the_same_codes() {
    let pod = Stage::usual().await.deaf_pod().await;
    let mut codes = HashSet::new();
    for _ in 0..50 {
        let (device_code, user_code) = pod.start().await;
        assert!(codes.insert(device_code) && codes.insert(user_code));
    }
}

#[tokio::test]
async fn a_login_notice_is_shown_and_cut_at_500_characters() {
    let stage = Stage::usual().await.scripted(|script| script.login_notice = Some("é".repeat(501)));
    let answer = stage.deaf_pod().await.post("/oauth/device_authorization", &[]).await;
    assert_eq!(answer.json()["login_notice"], "é".repeat(500));
}

#[tokio::test]
async fn a_request_is_audited_with_where_it_came_from() {
    let pod = Stage::usual().await.deaf_pod().await;
    pod.call("2001:db8::9", post("/oauth/device_authorization", &[])).await;
    let lines = pod.audited("device.authorize");
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["address"], &lines[0]["client"]), (&json!("2001:db8::9"), &json!("claude-code/2.1.330")));
    assert_eq!(lines[0]["request_id"], "req_5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
}
