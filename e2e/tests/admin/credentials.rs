//! Who may administer (`configuration.md`, "admin"), and who may not (S11).

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::stage::{
    READ_KEY, SESSIONS, Stage, WRITE_KEY, administered, another_sign_in, answer, standing, stranger, with_key,
};

#[tokio::test]
async fn nobody_administers_without_a_credential() {
    let stage = administered().await;
    let alice = stage.tokens.access_token.clone();
    let attempts = [
        stranger(&stage).get(SESSIONS),
        stranger(&stage).get(SESSIONS).bearer("nobody's"),
        stranger(&stage).get(SESSIONS).header("x-api-key", "not a key of this gateway at all, but long"),
        // A plain user's bearer, and a wrong key beside it.
        stranger(&stage).get(SESSIONS).bearer(&alice),
        stranger(&stage).get(SESSIONS).bearer(&alice).header("x-api-key", ""),
        stranger(&stage).request(Method::DELETE, &format!("{SESSIONS}?user=alice")).bearer(&alice),
        stranger(&stage).post(&format!("{SESSIONS}/revoke_all")).bearer(&alice),
    ];
    let count = attempts.len();
    for attempt in attempts {
        let (status, said) = answer(attempt).await;
        assert_eq!((status, &said["error"]["type"]), (401, &json!("authentication_error")));
        assert_eq!(said["error"]["message"], "missing or invalid admin credentials");
        assert!(said["request_id"].as_str().unwrap().starts_with("req_"));
    }
    let denied = stage.gateway.wait_for_audit("admin.denied", count).await.unwrap();
    assert!(denied.iter().all(|event| event["reason"] == "no_credential"));
    assert_eq!(standing(&stage.client, &alice).await.0, 200, "nothing changed");
}

#[tokio::test]
async fn a_read_key_reads_and_changes_nothing() {
    let stage = administered().await;
    assert_eq!(answer(with_key(&stage, Method::GET, SESSIONS, READ_KEY)).await.0, 200);
    let all = format!("{SESSIONS}/revoke_all");
    let alices = format!("{SESSIONS}?user=alice");
    for (method, target) in [(Method::DELETE, &alices), (Method::POST, &all)] {
        let (status, said) = answer(with_key(&stage, method, target, READ_KEY)).await;
        assert_eq!((status, &said["error"]["type"]), (403, &json!("permission_error")));
    }
    assert_eq!(standing(&stage.client, &stage.tokens.access_token).await.0, 200);
    let denied = stage.gateway.wait_for_audit("admin.denied", 2).await.unwrap();
    assert_eq!(denied[0]["actor"], "admin-key:dashboard");
}

#[tokio::test]
async fn a_member_of_an_administrators_group_administers_with_a_bearer() {
    let stage = administered().await;
    let bob = another_sign_in(&stage, "bob").await;
    let alices = stranger(&stage).request(Method::DELETE, &format!("{SESSIONS}?user=alice")).bearer(&bob.access_token);
    assert_eq!(answer(alices).await.0, 200);
    assert_eq!(stage.gateway.wait_for_audit("session.revoke", 1).await.unwrap()[0]["actor"], "oidc:bob");
}

#[tokio::test]
async fn without_an_admin_section_there_is_no_such_endpoint() {
    let stage = Stage::new().await;
    let (status, _) = answer(with_key(&stage, Method::GET, SESSIONS, WRITE_KEY)).await;
    assert_eq!(status, 401, "an unknown path is told to people who are signed in");
    assert_eq!(answer(stage.client.get(SESSIONS)).await.0, 404);
}

#[tokio::test]
async fn changed_keys_are_taken_without_a_restart() {
    const NEXT: &str = "the-key-of-the-next-quarter-0123456789";
    let mut stage = administered().await;
    stage.gateway.rewrite(|file| file["admin"]["write_keys"][0]["key"] = json!(NEXT)).unwrap();
    let since = Instant::now();
    while answer(with_key(&stage, Method::GET, SESSIONS, NEXT)).await.0 != 200 {
        assert!(since.elapsed() < Duration::from_secs(30), "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(answer(with_key(&stage, Method::GET, SESSIONS, WRITE_KEY)).await.0, 401, "the old one is over");
}

#[tokio::test]
async fn keys_are_over_with_their_section() {
    let mut stage = administered().await;
    stage.gateway.rewrite(|file| drop(file.as_object_mut().unwrap().remove("admin"))).unwrap();
    let since = Instant::now();
    while answer(with_key(&stage, Method::GET, SESSIONS, WRITE_KEY)).await.0 != 401 {
        assert!(since.elapsed() < Duration::from_secs(30), "the key is still taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
