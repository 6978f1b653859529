//! What is refused, with the reason and the remedy that a status shows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::gateway::fixtures::{IMAGE, complete, minimal, object, validated, world};

fn refused(spec: Value, change: impl FnOnce(&mut Dereferenced)) -> Finding {
    let gateway = object(spec);
    let mut world = world(&gateway);
    change(&mut world);
    validate(&gateway, &world, Some(IMAGE)).unwrap_err()
}

#[test]
fn b3_what_is_missing_or_not_permitted_is_named_with_what_to_do() {
    let missing = refused(minimal(), |world| drop(world.secrets.remove("claude")));
    assert_eq!(missing.reason, Reason::SecretMissing);
    assert!(missing.message().contains("claude") && missing.message().contains("Make it"), "{}", missing.message());
    let forbidden = refused(minimal(), |world| drop(world.secrets.insert("claude".to_owned(), Foreign::NotPermitted)));
    assert_eq!(forbidden.reason, Reason::SecretNotPermitted);
    assert!(forbidden.message().contains("claude-gateway.dev/use=gateway"), "{}", forbidden.message());
    let keyless =
        refused(minimal(), |world| drop(world.secrets.insert("claude".to_owned(), Foreign::Found(BTreeMap::new()))));
    assert_eq!(keyless.reason, Reason::SecretKeyMissing);
    let mapless =
        refused(complete(), |world| drop(world.config_maps.insert("company-ca".to_owned(), Foreign::Missing)));
    assert_eq!(mapless.reason, Reason::ConfigMapMissing);
}

#[test]
fn a_certificate_that_is_not_there_yet_stops_nothing() {
    let gateway = object(minimal());
    let validated = validate(&gateway, &world(&gateway), Some(IMAGE)).unwrap();
    assert_eq!((tls_secret(&validated).as_deref(), validated.leaf), (Some("claude-tls"), None));
}

#[test]
fn c8_an_api_that_the_cluster_lacks_is_named() {
    let without = |gone: Kind| refused(complete(), |world| world.served.retain(|kind| *kind != gone));
    for (kind, name) in [(Kind::HttpRoute, "HTTPRoute"), (Kind::Certificate, "Certificate")] {
        let finding = without(kind);
        assert_eq!(finding.reason.to_string(), "APIMissing");
        assert!(finding.message().contains(name), "{}", finding.message());
    }
    let gateway = object(complete());
    let mut world = world(&gateway);
    world.served.retain(|kind| *kind != Kind::ServiceMonitor);
    assert!(validate(&gateway, &world, Some(IMAGE)).is_ok(), "without a ServiceMonitor everything works");
}

#[test]
fn what_no_pod_would_start_with_is_refused_before_one_is_made() {
    let mut short = minimal();
    short["admin"] =
        json!({ "writeKeys": [{ "id": "a", "keySecretRef": { "name": "claude", "key": "client-secret" } }] });
    let finding = refused(short, |_| ());
    assert_eq!(finding.reason, Reason::ConfigurationInvalid);
    assert!(finding.message().contains("admin.write_keys") && !finding.message().contains("client-secret-value"));
}

#[test]
fn the_database_is_reached_as_its_owner_and_pods_are_told_no_user() {
    let smallest = validated(minimal()).unwrap();
    assert_eq!(smallest.database_url, "postgres://db.example.com:5432/claude?sslmode=require");
    let complete = validated(complete()).unwrap();
    assert_eq!(complete.database_url, "postgres://db.example.com:5432/claude?sslmode=verify-full");
    assert_eq!(complete.access.username.as_deref(), Some("owner"));
    let PodRole::Given { username, password_path } = complete.pod_role else { panic!() };
    assert_eq!(
        (username.as_str(), password_path.as_str()),
        ("gateway_pods", "/run/claude-gateway/secrets/pods/password")
    );
    let gateway = object(minimal());
    let mut world = world(&gateway);
    let Some(Foreign::Found(data)) = world.secrets.get_mut("claude") else { panic!() };
    data.insert("postgres-url".to_owned(), b"mysql://owner:hidden@db/claude".to_vec());
    let finding = validate(&gateway, &world, Some(IMAGE)).unwrap_err();
    assert_eq!(finding.reason, Reason::DatabaseUrlInvalid);
    assert!(!finding.message().contains("hidden"));
}

#[test]
fn an_image_is_what_the_object_says_of_it_and_the_operators_otherwise() {
    let image = |image: Value| {
        let mut spec = minimal();
        spec["image"] = image;
        validated(spec).unwrap().image
    };
    assert_eq!(validated(minimal()).unwrap().image, IMAGE);
    assert_eq!(image(json!({ "pullPolicy": "Always" })), IMAGE);
    assert_eq!(image(json!({ "tag": "2.0.0" })), "registry.example.com/claude-gateway:2.0.0");
    assert_eq!(image(json!({ "repository": "mirror/gateway" })), "mirror/gateway:1.2.3");
    let digest = format!("sha256:{}", "b".repeat(64));
    assert_eq!(image(json!({ "digest": digest })), format!("registry.example.com/claude-gateway@{digest}"));
    let gateway = object(minimal());
    assert_eq!(validate(&gateway, &world(&gateway), None).unwrap_err().reason, Reason::ImageMissing);
}

#[test]
fn a_name_that_no_service_can_have_is_refused() {
    let named = |name: &str| {
        let mut gateway = object(minimal());
        gateway.metadata.name = Some(name.to_owned());
        validate(&gateway, &world(&gateway), Some(IMAGE)).map(drop).map_err(|finding| finding.reason)
    };
    for name in ["a.b", "1a", &"a".repeat(57)] {
        assert_eq!(named(name), Err(Reason::NameInvalid), "{name}");
    }
    assert_eq!(named(&"a".repeat(56)), Ok(()));
}
