//! A4: lists of objects belong to several managers at once.

use serde_json::{Value, json};

use crate::{
    stage::Stage,
    table::{
        Change,
        objects::full_gateway,
        schema::{at, nodes, place, schemas},
    },
};

/// As it was applied, and with the list's entry under another key.
fn other_entry(entry: &Value, keys: &[Value]) -> Value {
    let key = keys[0].as_str().unwrap();
    let other = if key == "cidr" { "10.99.0.0/16" } else { "other" };
    entry.clone().with(key, json!(other))
}

#[tokio::test]
async fn a4_two_managers_edit_two_entries_of_any_list_without_a_conflict_and_lose_none() {
    let stage = Stage::set().await;
    let schema = schemas().into_iter().find(|(kind, _)| kind == "ClaudeGateway").unwrap().1;
    let mut tried = 0;
    for node in nodes(&schema).into_iter().filter(|node| node.path.starts_with("spec.") && !node.path.contains("[]")) {
        let Some(keys) = node.schema["x-kubernetes-list-map-keys"].as_array() else { continue };
        let base = full_gateway();
        let Some(place) = place(&base, &node.path) else { continue };
        tried += 1;
        let entry = at(&base, &place).unwrap()[0].clone();
        let name = format!("merge-{tried}");
        let first = base.clone().with("metadata.name", json!(name));
        assert!(stage.apply_as("first", &first).await.is_accepted(), "{place}");
        let minimal = json!({ "apiVersion": base["apiVersion"], "kind": base["kind"], "metadata": { "name": name } });
        let second = minimal.with(&place, json!([other_entry(&entry, keys)]));
        let answer = stage.apply_as("second", &second).await;
        assert!(answer.is_accepted(), "{place}: {}", answer.message());
        let again = stage.apply_as("first", &first).await;
        assert!(again.is_accepted(), "{place}: {}", again.message());
        let before = at(&base, &place).unwrap().as_array().unwrap().len();
        let after = at(&again.body, &place).unwrap().as_array().unwrap().len();
        assert_eq!(after, before + 1, "{place}: {}", at(&again.body, &place).unwrap());
    }
    assert_eq!(tried, 8, "lists of objects below spec");
}
