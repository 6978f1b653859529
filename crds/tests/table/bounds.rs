//! Cases that follow from the schemas: each choice, each bound on its edge and past it, each field that has to be there, each
//! list with an entry twice, and each text of a gateway with a reference in it.

use serde_json::{Map, Value, json};

use super::{
    Case, Change, accepted,
    objects::full,
    refused,
    schema::{Node, at, nodes, place, schemas},
    unfit,
};

/// What else has to change with these is in the hand-written cases.
const TIED: [&str; 2] = ["spec.exposure.kind", "spec.oidc.tokenEndpointAuthMethod"];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, schema) in schemas() {
        let full = full(&kind);
        for node in nodes(&schema).iter().filter(|node| node.path.starts_with("spec.") && !node.is_kubernetes_own()) {
            for object in &full {
                if let Some(place) = place(object, &node.path) {
                    cases.extend(Edge { node, object, place: &place }.cases(&kind));
                    break;
                }
            }
        }
    }
    cases
}

/// A node of the schema, and where an object has it.
struct Edge<'a> {
    node: &'a Node,
    object: &'a Value,
    place: &'a str,
}

impl Edge<'_> {
    fn cases(&self, kind: &str) -> Vec<Case> {
        let mut cases = self.choices();
        cases.extend(self.numbers());
        cases.extend(self.texts());
        cases.extend(self.lists());
        cases.extend(self.required());
        let is_ours = kind == "ClaudeGateway" && !self.place.starts_with("spec.podTemplate");
        if is_ours && self.node.is("string") && self.node.schema.get("enum").is_none() {
            cases.push(refused(
                &format!("a reference in {}", self.place),
                self.put(json!("${FILE}")),
                self.place,
                "has a ${, and nothing is expanded here",
            ));
        }
        cases
    }

    fn put(&self, value: Value) -> Value {
        self.object.clone().with(self.place, value)
    }

    fn accepted(&self, what: &str, value: Value) -> Case {
        accepted(&format!("{}: {what}", self.place), self.put(value))
    }

    fn unfit(&self, what: &str, value: Value) -> Case {
        unfit(&format!("{}: {what}", self.place), self.put(value), self.place)
    }

    fn choices(&self) -> Vec<Case> {
        let Some(words) = self.node.schema["enum"].as_array() else { return Vec::new() };
        let mut cases = vec![self.unfit("no word of its choice", json!("no-such-word"))];
        if !TIED.contains(&self.place) {
            cases.extend(words.iter().map(|word| self.accepted(&word.to_string(), word.clone())));
        }
        cases
    }

    fn numbers(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if let Some(least) = self.node.number("minimum") {
            cases.push(self.accepted("the least", json!(least)));
            cases.push(self.unfit("below the least", json!(i64::try_from(least).unwrap() - 1)));
        }
        if let Some(most) = self.node.number("maximum") {
            cases.push(self.accepted("the most", json!(most)));
            cases.push(self.unfit("above the most", json!(most + 1)));
        }
        if self.node.schema["x-kubernetes-int-or-string"] == true {
            cases.push(self.unfit("no quantity", json!("1 GB")));
        }
        cases
    }

    fn texts(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if let Some(most) = self.node.number("maxLength").filter(|_| self.node.is("string")) {
            cases.push(self.unfit("too long", json!("a".repeat(most as usize + 1))));
        }
        if self.node.number("minLength").is_some() {
            cases.push(self.unfit("empty", json!("")));
        }
        cases
    }

    fn lists(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if let Some(most) = self.node.number("maxProperties").filter(|_| self.node.schema.get("properties").is_none()) {
            let many: Map<_, _> = (0..=most).map(|n| (format!("k{n}"), json!("v"))).collect();
            cases.push(self.unfit("too many entries", Value::Object(many)));
        }
        let Some(entries) = at(self.object, self.place).and_then(Value::as_array) else { return cases };
        if let Some(most) = self.node.number("maxItems") {
            cases.push(self.unfit("too many entries", (0..=most).map(|n| self.numbered(&entries[0], n)).collect()));
        }
        if self.node.number("minItems").is_some() {
            cases.push(self.unfit("no entry", json!([])));
        }
        if self.node.is_merged() {
            let twice = self.put(json!([entries[0], entries[0]]));
            cases.push(unfit(&format!("{}: an entry twice", self.place), twice, &format!("{}[1]", self.place)));
        }
        cases
    }

    /// Another entry than all others.
    fn numbered(&self, entry: &Value, n: u64) -> Value {
        match self.node.schema["x-kubernetes-list-map-keys"].as_array() {
            None => json!(format!("e{n}")),
            Some(keys) => {
                let key = keys[0].as_str().unwrap();
                entry.clone().with(key, json!(format!("e{n}")))
            }
        }
    }

    fn required(&self) -> Vec<Case> {
        let names = self.node.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names
            .map(|name| {
                let path = format!("{}.{name}", self.place);
                unfit(&format!("without {path}"), self.object.clone().without(&path), &path)
            })
            .collect()
    }
}
