//! A12: what was served once stays as it was: no field goes, is renamed or takes less than before.
//!
//! `promised/` holds the definitions of the last release. A change that is meant for all that (a field that never acted, a rule
//! that lets more pass in other words) is made by `make crds-promise`, and seen in the review of what that changes.

#![expect(clippy::unwrap_used, reason = "a definition that cannot be read fails its test")]

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

/// Raised, or new, they take away.
const LEAST: [&str; 4] = ["minLength", "minItems", "minProperties", "minimum"];
/// Lowered, or new, they take away.
const MOST: [&str; 4] = ["maxLength", "maxItems", "maxProperties", "maximum"];
/// Another word is another promise.
const FIXED: [&str; 8] = [
    "type",
    "format",
    "pattern",
    "default",
    "nullable",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
];

fn promised() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promised");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// Everything in which the second definition is less than the first.
fn broken(before: &Value, now: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let (before, now) = (&before["spec"], &now["spec"]);
    for fixed in ["group", "scope"] {
        if before[fixed] != now[fixed] {
            broken.push(format!("spec.{fixed} is another"));
        }
    }
    for name in ["kind", "plural", "singular"] {
        if before["names"][name] != now["names"][name] {
            broken.push(format!("spec.names.{name} is another"));
        }
    }
    for name in ["shortNames", "categories"] {
        gone(&format!("spec.names.{name}"), &before["names"][name], &now["names"][name], &mut broken);
    }
    let empty = Vec::new();
    let versions = now["versions"].as_array().unwrap_or(&empty);
    for version in before["versions"].as_array().unwrap_or(&empty).iter().filter(|version| version["served"] == true) {
        let name = version["name"].as_str().unwrap_or_default();
        match versions.iter().find(|other| other["name"] == version["name"] && other["served"] == true) {
            None => broken.push(format!("{name} is not served any more")),
            Some(other) => {
                let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
                compare(name, &schema(version), &schema(other), &mut broken);
                let fields = |version: &Value| -> Value {
                    version["selectableFields"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|field| field["jsonPath"].clone())
                        .collect()
                };
                gone(&format!("{name}: selectable fields"), &fields(version), &fields(other), &mut broken);
                for part in ["status", "scale"] {
                    if version["subresources"].get(part).is_some()
                        && other["subresources"].get(part) != version["subresources"].get(part)
                    {
                        broken.push(format!("{name}: the subresource {part} is another"));
                    }
                }
            }
        }
    }
    broken
}

fn compare(path: &str, before: &Value, now: &Value, broken: &mut Vec<String>) {
    let number = |schema: &Value, word: &str| schema.get(word).and_then(Value::as_f64);
    for word in LEAST {
        if number(now, word).is_some_and(|least| number(before, word).is_none_or(|was| least > was)) {
            broken.push(format!("{path}: {word} is tighter"));
        }
    }
    for word in MOST {
        if number(now, word).is_some_and(|most| number(before, word).is_none_or(|was| most < was)) {
            broken.push(format!("{path}: {word} is tighter"));
        }
    }
    for word in FIXED {
        if before.get(word) != now.get(word) {
            broken.push(format!("{path}: {word} is another"));
        }
    }
    if now.get("enum").is_some() {
        match before.get("enum") {
            None => broken.push(format!("{path}: enum is new")),
            Some(was) => gone(&format!("{path}: enum"), was, &now["enum"], broken),
        }
    }
    gone(&format!("{path}: not required before"), &now["required"], &before["required"], broken);
    let rules = |schema: &Value| -> Value {
        schema["x-kubernetes-validations"].as_array().into_iter().flatten().map(|rule| rule["rule"].clone()).collect()
    };
    gone(&format!("{path}: rule not there before"), &rules(now), &rules(before), broken);
    for (name, schema) in before["properties"].as_object().into_iter().flatten() {
        match now["properties"].get(name) {
            None => broken.push(format!("{path}.{name} is gone")),
            Some(other) => compare(&format!("{path}.{name}"), schema, other, broken),
        }
    }
    for below in ["items", "additionalProperties"] {
        match (before.get(below), now.get(below)) {
            (Some(schema), Some(other)) => compare(&format!("{path}.{below}"), schema, other, broken),
            (None, None) => {}
            _ => broken.push(format!("{path}: {below} is another")),
        }
    }
    alternatives(path, before, now, broken);
}

/// Each way that there was is there; others may have come.
fn alternatives(path: &str, before: &Value, now: &Value, broken: &mut Vec<String>) {
    for word in ["oneOf", "anyOf"] {
        match (before.get(word), now.get(word)) {
            (Some(was), Some(is)) => gone(&format!("{path}: {word}"), was, is, broken),
            (None, Some(_)) => broken.push(format!("{path}: {word} is new")),
            _ => {}
        }
    }
    for word in ["allOf", "not"] {
        if now.get(word).is_some() && before.get(word) != now.get(word) {
            broken.push(format!("{path}: {word} is another"));
        }
    }
}

/// What the first list holds and the second lacks.
fn gone(called: &str, first: &Value, second: &Value, broken: &mut Vec<String>) {
    let words =
        |list: &Value| -> BTreeSet<String> { list.as_array().into_iter().flatten().map(Value::to_string).collect() };
    broken.extend(words(first).difference(&words(second)).map(|word| format!("{called}: {word}")));
}

fn now() -> Vec<Value> {
    crds::files::definitions().iter().map(|definition| serde_json::to_value(definition).unwrap()).collect()
}

#[test]
fn a12_what_was_served_once_is_served_as_it_was() {
    let (promised, now) = (promised(), now());
    assert_eq!(promised.len(), now.len());
    for (before, now) in promised.iter().zip(&now) {
        assert_eq!(before["metadata"]["name"], now["metadata"]["name"]);
        let broken = broken(before, now);
        assert!(broken.is_empty(), "objects that were good would not be any more:\n{}", broken.join("\n"));
    }
}

#[test]
fn a12_every_way_to_take_something_away_is_seen() {
    let whole = now();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    type Change = (usize, String, &'static str, Value, &'static str);
    let below = |path: &str| format!("{spec}/properties/{path}");
    let changes: Vec<Change> = vec![
        (0, below("oidc/properties"), "clientId", Value::Null, "oidc.clientId is gone"),
        (0, below("oidc/properties/clientId"), "maxLength", json!(10), "clientId: maxLength is tighter"),
        (0, below("oidc/properties/clientId"), "minLength", json!(2), "clientId: minLength is tighter"),
        (0, below("oidc/properties/clientId"), "pattern", json!("^a$"), "clientId: pattern is another"),
        (0, below("replicas"), "maximum", json!(5), "replicas: maximum is tighter"),
        (0, below("logLevel"), "enum", json!(["info"]), "logLevel: enum: \"warn\""),
        (0, below("session/properties/maxDays"), "default", json!(30), "maxDays: default is another"),
        (
            0,
            spec.to_owned(),
            "required",
            json!(["publicUrl", "exposure", "database", "oidc", "upstreams", "models"]),
            "\"models\"",
        ),
        (0, below("models"), "x-kubernetes-list-type", json!("atomic"), "models: x-kubernetes-list-type is another"),
        (
            0,
            spec.to_owned(),
            "x-kubernetes-validations",
            json!([{ "rule": "false", "message": "no" }]),
            "rule not there before",
        ),
        (1, below("gatewayRef"), "type", json!("string"), "gatewayRef: type is another"),
        (1, "/spec/versions/0".to_owned(), "served", json!(false), "v1alpha1 is not served any more"),
        (1, "/spec/names".to_owned(), "shortNames", json!([]), "shortNames: \"upol\""),
        (0, "/spec/versions/0/subresources".to_owned(), "scale", Value::Null, "the subresource scale is another"),
    ];
    for (at, pointer, key, value, said) in changes {
        let mut changed = whole[at].clone();
        let place = changed.pointer_mut(&pointer).unwrap_or_else(|| panic!("{pointer}")).as_object_mut().unwrap();
        match value {
            Value::Null => drop(place.remove(key).unwrap()),
            value => drop(place.insert(key.to_owned(), value)),
        }
        let broken = broken(&whole[at], &changed);
        assert!(broken.iter().any(|line| line.contains(said)), "{pointer} {key}: {said}: {broken:?}");
    }
}

#[test]
fn a12_what_is_added_or_lets_more_pass_breaks_nothing() {
    let whole = now();
    let mut more = whole[0].clone();
    let spec = more.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    spec["properties"]["another"] = json!({ "type": "string", "maxLength": 5, "enum": ["a"] });
    spec["properties"]["oidc"]["properties"]["clientId"]["maxLength"] = json!(500);
    spec["properties"]["oidc"]["description"] = json!("In other words.");
    spec["properties"]["logLevel"]["enum"].as_array_mut().unwrap().push(json!("trace"));
    assert_eq!(broken(&whole[0], &more), [""; 0]);
}
