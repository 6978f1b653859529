//! When something is read again, and when it is not.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::*;
use crate::gateway::{
    fixtures::{minimal, object},
    server::Server,
};

const PATH: &str = "/api/v1/namespaces/team/secrets/claude";

fn secret(version: &str, labels: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {
        "namespace": "team", "name": "claude", "uid": "u", "resourceVersion": version, "labels": labels,
    } })
}

fn permitted(version: &str) -> Value {
    secret(version, json!({ PERMITTED_USE.0: PERMITTED_USE.1 }))
}

fn meta(secret: &Value) -> ObjectMeta {
    serde_json::from_value(secret["metadata"].clone()).unwrap()
}

/// The version that is seen, and how often the server was asked for it.
async fn look_at(server: &Server, sights: &Sights, gateway: &ClaudeGateway, now: Instant) -> (Option<String>, usize) {
    let client = server.client();
    let sight = sights.of(&client, gateway, now);
    let secret: Option<Secret> = sight.get(Watched::Permitted, "claude").await.unwrap();
    (secret.and_then(|secret| secret.metadata.resource_version), server.calls().len())
}

fn listening() -> (Server, Sights, ClaudeGateway, Instant) {
    let sights = Sights::default();
    sights.listens(Watched::Permitted, &Scope::Namespace("team".to_owned()));
    (Server::default(), sights, object(minimal()), Instant::now())
}

#[tokio::test]
async fn c10_what_has_not_changed_is_read_once() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, permitted("1"));
    assert_eq!(look_at(&server, &sights, &gateway, now).await, (Some("1".to_owned()), 1));
    assert!(!sights.heard(Watched::Permitted, &meta(&permitted("1")), false), "that is known");
    assert_eq!(look_at(&server, &sights, &gateway, now).await, (Some("1".to_owned()), 0));
    server.put(PATH, permitted("2"));
    assert!(sights.heard(Watched::Permitted, &meta(&permitted("2")), false));
    assert_eq!(look_at(&server, &sights, &gateway, now).await, (Some("2".to_owned()), 1));
}

#[tokio::test]
async fn c2_that_an_object_is_gone_or_came_is_heard() {
    let (server, sights, gateway, now) = listening();
    sights.listens(Watched::ConfigMaps, &Scope::Cluster);
    let client = server.client();
    let look = async || {
        let sight = sights.of(&client, &gateway, now);
        let found: Option<DynamicObject> = sight.get(Watched::ConfigMaps, "ca").await.unwrap();
        (found.is_some(), server.calls().len())
    };
    assert_eq!(look().await, (false, 1));
    assert_eq!(look().await, (false, 0));
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "namespace": "team", "name": "ca", "resourceVersion": "1",
    } });
    server.put("/api/v1/namespaces/team/configmaps/ca", map.clone());
    assert!(sights.heard(Watched::ConfigMaps, &meta(&map), false));
    assert_eq!(look().await, (true, 1));
    assert!(sights.heard(Watched::ConfigMaps, &meta(&map), true));
    assert_eq!(look().await, (true, 1));
}

/// A watch for those that carry the label says nothing of one that has come without it.
#[tokio::test]
async fn b3_a_secret_that_is_missing_is_asked_for_each_time() {
    let (server, sights, gateway, now) = listening();
    for _ in 0..2 {
        assert_eq!(look_at(&server, &sights, &gateway, now).await, (None, 1));
    }
}

#[tokio::test]
async fn what_is_large_is_not_kept() {
    let (server, sights, gateway, now) = listening();
    let mut large = permitted("1");
    large["data"] = json!({ "key": "a".repeat(LARGEST) });
    server.put(PATH, large);
    for _ in 0..2 {
        assert_eq!(look_at(&server, &sights, &gateway, now).await.1, 1);
    }
}

#[tokio::test]
async fn whoever_is_told_from_memory_knows_it_and_can_begin_anew() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, permitted("1"));
    let client = server.client();
    let look = async |sight: &Sight<'_>| sight.get::<Secret>(Watched::Permitted, "claude").await.unwrap();
    let first = sights.of(&client, &gateway, now);
    look(&first).await;
    look(&first).await;
    assert!(!first.has_remembered(), "it was read at this look");
    let second = sights.of(&client, &gateway, now);
    look(&second).await;
    assert!(second.has_remembered());
    server.calls();
    second.begin_anew();
    look(&second).await;
    assert_eq!((second.has_remembered(), server.calls().len()), (false, 1));
}

#[tokio::test]
async fn a_gateway_that_was_looked_at_once_more_when_it_went_is_forgotten_with_time() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, permitted("1"));
    sights.forget(&gateway.uid().unwrap());
    look_at(&server, &sights, &gateway, now).await;
    let mut other = gateway.clone();
    other.metadata.uid = Some("another".to_owned());
    look_at(&server, &sights, &other, now + STANDS_FOR).await;
    assert_eq!(sights.state().gateways.keys().collect::<Vec<_>>(), ["another"]);
}

#[tokio::test]
async fn d2_nothing_is_remembered_of_a_secret_that_no_watch_selects() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, secret("1", json!({})));
    for _ in 0..2 {
        assert_eq!(look_at(&server, &sights, &gateway, now).await.1, 1);
    }
}

#[tokio::test]
async fn c13_while_no_watch_listens_everything_is_read() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, permitted("1"));
    look_at(&server, &sights, &gateway, now).await;
    sights.lists(Watched::Permitted, &Scope::Namespace("team".to_owned()));
    for _ in 0..2 {
        assert_eq!(look_at(&server, &sights, &gateway, now).await.1, 1);
    }
    sights.listens(Watched::Permitted, &Scope::Namespace("team".to_owned()));
    assert_eq!(look_at(&server, &sights, &gateway, now).await.1, 1, "what was there before the list is not trusted");
    assert_eq!(look_at(&server, &sights, &gateway, now).await.1, 0);
}

#[tokio::test]
async fn a_gateway_that_is_another_and_one_that_was_read_long_ago_is_read_afresh() {
    let (server, sights, gateway, now) = listening();
    server.put(PATH, permitted("1"));
    look_at(&server, &sights, &gateway, now).await;
    let mut other = gateway.clone();
    other.metadata.generation = Some(2);
    assert_eq!(look_at(&server, &sights, &other, now).await.1, 1);
    assert_eq!(look_at(&server, &sights, &other, now + STANDS_FOR - Duration::from_millis(1)).await.1, 0);
    assert_eq!(look_at(&server, &sights, &other, now + STANDS_FOR).await.1, 1);
    sights.forget(&other.uid().unwrap());
    assert_eq!(look_at(&server, &sights, &other, now + STANDS_FOR).await.1, 1);
}

#[tokio::test]
async fn an_answer_that_the_watch_has_overtaken_is_not_remembered() {
    let (server, sights, gateway, now) = listening();
    let client = server.client();
    let sight = sights.of(&client, &gateway, now);
    let answer: DynamicObject = serde_json::from_value(permitted("1")).unwrap();
    for (heard, is_remembered) in [("2", false), ("1", true)] {
        let asked = sight.asks(Watched::Permitted, "claude");
        sights.heard(Watched::Permitted, &meta(&permitted(heard)), false);
        sight.answered(Watched::Permitted, "claude", asked, Some(&answer));
        assert_eq!(sight.remembered(Watched::Permitted, "claude").is_some(), is_remembered, "{heard}");
    }
    let asked = sight.asks(Watched::Permitted, "claude");
    sights.listens(Watched::Permitted, &Scope::Cluster);
    sight.answered(Watched::Permitted, "claude", asked, Some(&answer));
    assert!(sight.remembered(Watched::Permitted, "claude").is_none(), "it may be older than the list");
}
