//! F2: the schema is closed and knows what the file explains, neither more nor less.

use std::{collections::BTreeSet, fs};

use e2e::chart::{folder, values};
use serde_json::{Map, Value, json};

use crate::stage::{refusal, render};

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("values.schema.json")).unwrap()).unwrap()
}

/// `value` at `path`, as a file of values.
fn at(path: &[String], value: Value) -> String {
    let tree = path.iter().rev().fold(value, |below, key| Value::Object(Map::from_iter([(key.clone(), below)])));
    tree.to_string()
}

/// The paths of a schema's properties, down to those that have none of their own.
fn described(schema: &Value, above: &mut Vec<String>, found: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        found.insert(above.join("."));
        return;
    };
    for (key, below) in properties {
        above.push(key.clone());
        described(below, above, found);
        above.pop();
    }
}

#[test]
fn what_the_schema_takes_is_what_the_file_explains() {
    let mut known = BTreeSet::new();
    described(&schema(), &mut Vec::new(), &mut known);
    // Helm's own, which nobody sets; and parts of a default that a pod's spec explains.
    known.retain(|path| path != "global" && !path.ends_with("ephemeral-storage"));
    known.retain(|path| path != "resources.limits.cpu" && !path.starts_with("affinity."));
    let mut explained: BTreeSet<_> = values::documented().unwrap().iter().map(values::Documented::name).collect();
    explained.remove("affinity");
    assert_eq!(known, explained);
}

#[test]
fn every_value_stands_in_the_file_below_an_explanation() {
    fn leaves(tree: &Value, above: &str, explained: &BTreeSet<String>, bare: &mut Vec<String>) {
        for (key, below) in tree.as_object().into_iter().flatten() {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            if explained.contains(&path) {
                continue;
            }
            match below.as_object() {
                Some(map) if !map.is_empty() => leaves(below, &path, explained, bare),
                _ => bare.push(path),
            }
        }
    }
    let file: Value = serde_saphyr::from_str(&fs::read_to_string(folder().join("values.yaml")).unwrap()).unwrap();
    let explained = values::documented().unwrap().iter().map(values::Documented::name).collect();
    let mut bare = Vec::new();
    leaves(&file, "", &explained, &mut bare);
    assert!(bare.is_empty(), "no comment above {bare:?}");
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::from([vec![]]);
    for value in values::documented().unwrap() {
        groups.extend((1..value.path.len()).map(|depth| value.path[..depth].to_vec()));
    }
    for mut path in groups {
        path.push("unheardOf".into());
        let said = refusal(&at(&path, json!(true)));
        assert!(said.contains("unheardOf"), "{path:?}: {said}");
    }
}

#[test]
fn a_value_of_another_type_is_refused() {
    for value in values::documented().unwrap() {
        let wrong = if value.default.is_object() { json!("text") } else { json!({"a": {"b": 1}}) };
        let said = refusal(&at(&value.path, wrong));
        assert!(said.contains(&format!("/{}", value.path.join("/"))), "{}: {said}", value.name());
    }
}

#[test]
fn values_that_no_cluster_would_take_are_refused() {
    for (values, about) in [
        ("replicas: 0", "replicas"),
        ("log: {level: loud}", "level"),
        ("image: {tag: 'a b'}", "tag"),
        ("image: {repository: 'registry.example/op:v1'}", "repository"),
        ("image: {digest: sha256:abc}", "digest"),
        ("image: {pullPolicy: Sometimes}", "pullPolicy"),
        ("watchNamespaces: [Upper]", "watchNamespaces"),
        ("watchNamespaces: [a, a]", "watchNamespaces"),
        ("fullnameOverride: a-name-that-is-far-longer-than-any-of-the-suffixes-allow", "fullnameOverride"),
        ("podDisruptionBudget: {maxUnavailable: 0}", "maxUnavailable"),
        ("networkPolicy: {postgres: {ports: [70000]}}", "ports"),
        ("networkPolicy: {postgres: {cidrs: []}}", "cidrs"),
        ("networkPolicy: {dns: {to: []}}", "dns"),
        ("metrics: {serviceMonitor: {interval: often}}", "interval"),
        ("resources: {limits: {memory: lots}}", "memory"),
        ("podLabels: {app.kubernetes.io/name: other}", "app.kubernetes.io/name"),
    ] {
        let said = refusal(values);
        assert!(said.contains(about), "{values}: {said}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for (values, mended, about) in [
        ("{replicas: 2, leaderElection: {enabled: false}}", "{replicas: 2}", "replicas"),
        ("podDisruptionBudget: {enabled: true}", "{replicas: 2, podDisruptionBudget: {enabled: true}}", "replicas"),
        ("serviceAccount: {create: false}", "serviceAccount: {create: false, name: theirs}", "serviceAccount"),
        (
            "metrics: {service: {enabled: false}, serviceMonitor: {enabled: true}}",
            "metrics: {serviceMonitor: {enabled: true}}",
            "metrics",
        ),
        (
            "networkPolicy: {identityProvider: {cidrs: [169.254.169.254/32]}}",
            "networkPolicy: {identityProvider: {cidrs: [169.253.0.0/16]}}",
            "cidrs",
        ),
        (
            "networkPolicy: {apiServer: {cidrs: [0.0.0.0/1]}}",
            "networkPolicy: {apiServer: {cidrs: [10.0.0.0/8]}}",
            "cidrs",
        ),
    ] {
        let said = refusal(values);
        assert!(said.contains(about), "{values}: {said}");
        assert!(!render(mended).is_empty());
    }
}
