//! A6: what is written is what is kept.

use e2e::cast::length::short_or_full;
use serde_json::{Map, Value, json};

use crate::{
    stage::Stage,
    table::{
        Change,
        objects::{full_gateway, full_policy, other_gateway, other_policy},
        schema::{Node, at, nodes, place, schemas},
    },
};

/// The same numbers at each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Somebody's document: any JSON whose numbers mean the same in every language.
    fn document(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.one_in(2)),
            1 => json!(self.below(1 << 40)),
            2 => json!(["", "${HOME}", "äöü \u{1F980}", "a\nb\t\"c\"", "0", "null"][self.below(6)]),
            3 => json!(self.below(1_000) as f64 + 0.5),
            4 => (0..self.below(4)).map(|_| self.document(depth - 1)).collect(),
            _ => Value::Object(self.entries(depth - 1)),
        }
    }

    fn entries(&mut self, depth: usize) -> Map<String, Value> {
        (0..self.below(5)).map(|n| (format!("key-{n}-{}", self.below(9)), self.document(depth))).collect()
    }
}

/// Another object of the kind, by chance a valid one: parts left out, numbers and choices turned.
fn changed(object: &Value, nodes: &[Node], chance: &mut Chance) -> Value {
    let mut object = object.clone();
    for node in nodes {
        let Some(place) = place(&object, &node.path) else { continue };
        let parent = node.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let name = node.path.rsplit('.').next().unwrap_or_default();
        let is_required = nodes.iter().any(|node| {
            node.path == parent && node.schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)))
        });
        let is_field = !place.ends_with(']') && !node.path.ends_with("{}");
        if is_field && !is_required && chance.one_in(12) {
            object = object.without(&place);
        } else if let Some(words) = node.schema["enum"].as_array().filter(|_| chance.one_in(3)) {
            object = object.with(&place, words[chance.below(words.len())].clone());
        } else if node.is("integer") && chance.one_in(2) {
            let (least, most) = (node.number("minimum").unwrap_or(0), node.number("maximum").unwrap_or(1 << 40));
            object = object.with(&place, json!(least + chance.below((most - least + 1) as usize) as u64));
        } else if node.is("boolean") && chance.one_in(2) {
            object = object.with(&place, json!(chance.one_in(2)));
        } else if node.schema["x-kubernetes-preserve-unknown-fields"] == true && chance.one_in(2) {
            object = object.with(&place, Value::Object(chance.entries(4)));
        }
    }
    object
}

/// Where the kept object says something else than the written one.
fn lost(written: &Value, kept: &Value, path: &str) -> Option<String> {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => written.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            kept.get(key).map_or(Some(path.clone()), |kept| lost(value, kept, &path))
        }),
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => written
            .iter()
            .zip(kept)
            .enumerate()
            .find_map(|(n, (written, kept))| lost(written, kept, &format!("{path}[{n}]"))),
        _ => (written != kept).then(|| format!("{path}: {written} is {kept}")),
    }
}

/// As the operator reads it.
fn typed_equal(written: &Value, kept: &Value) -> bool {
    fn spec<T: serde::de::DeserializeOwned>(object: &Value) -> T {
        serde_json::from_value(object["spec"].clone()).unwrap()
    }
    if written["kind"] == "ClaudeGateway" {
        spec::<crds::ClaudeGatewaySpec>(written) == spec::<crds::ClaudeGatewaySpec>(kept)
    } else {
        spec::<crds::UserPolicySpec>(written) == spec::<crds::UserPolicySpec>(kept)
    }
}

#[tokio::test]
async fn a6_thousands_of_random_objects_are_kept_as_they_were_written() {
    let stage = Stage::set().await;
    let wanted = short_or_full(500, 10_000);
    let schemas: Vec<_> = schemas().into_iter().map(|(kind, schema)| (kind, nodes(&schema))).collect();
    let starts = [full_gateway(), other_gateway(), full_policy(), other_policy()];
    let mut chance = Chance(0x5eed_cafe_f00d);
    let (mut kept, mut tried) = (0, 0);
    while kept < wanted {
        tried += 1;
        assert!(tried < wanted * 10, "only {kept} of {tried} were valid");
        let start = &starts[tried % starts.len()];
        let (_, nodes) = schemas.iter().find(|(kind, _)| start["kind"] == kind.as_str()).unwrap();
        let object = changed(start, nodes, &mut chance).with("metadata.name", json!(format!("random-{tried}")));
        let answer = stage.create(&object).await;
        if !answer.is_accepted() {
            assert_eq!(answer.status, 422, "{}", answer.message());
            continue;
        }
        kept += 1;
        assert_eq!(lost(&object["spec"], &answer.body["spec"], "spec"), None);
        assert!(typed_equal(&object, &answer.body), "{object}");
        assert!(at(&answer.body, "spec").is_some());
    }
}
