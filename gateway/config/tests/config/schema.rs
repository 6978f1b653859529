//! The schema in `docs/` says what the reader does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{complete::COMPLETE, not_yet::NOT_YET};

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed = include_str!("../../../../docs/gateway.schema.json");
    assert!(committed == gateway_config::schema(), "docs/gateway.schema.json is old: make schema");
}

#[test]
fn the_two_whole_files_hold_every_key_there_is() {
    let schema: Value = serde_json::from_str(&gateway_config::schema()).unwrap();
    let mut keys = BTreeSet::new();
    collect(&schema, &mut keys);
    assert!(keys.len() > 150, "{}", keys.len());
    let words: BTreeSet<_> = [COMPLETE, NOT_YET]
        .iter()
        .flat_map(|text| text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')))
        .collect();
    // Spellings and pairs that cannot stand beside the others; they have their own tests.
    let elsewhere = ["cli", "settings", "client_assertion", "private_key_pem", "certificate_pem"];
    let missing: Vec<_> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert_eq!(missing.iter().filter(|key| !elsewhere.contains(&key.as_str())).count(), 0, "{missing:?}");
}

#[test]
fn every_key_is_described() {
    let schema: Value = serde_json::from_str(&gateway_config::schema()).unwrap();
    fn check(schema: &Value) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{key}");
        }
        match schema {
            Value::Object(words) => words.values().for_each(check),
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(&schema);
}

fn collect(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(words) => {
            if let Some(properties) = words.get("properties").and_then(Value::as_object) {
                keys.extend(properties.keys().cloned());
            }
            words.values().for_each(|inner| collect(inner, keys));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, keys)),
        _ => {}
    }
}
