//! Changes of a whole schema.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// A field that is left out is absent, never null: the API server drops a null where the schema does not speak of it.
#[derive(Debug, Clone)]
pub(super) struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let Some(Value::Array(mut choices)) = object.remove("anyOf") else { return };
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        match choices.as_slice() {
            [Value::Object(only)] => {
                for (word, value) in only {
                    // What is said about the field stands before what is said about its type.
                    object.entry(word.clone()).or_insert_with(|| value.clone());
                }
            }
            _ => {
                object.insert("anyOf".into(), Value::Array(choices));
            }
        }
    }
}

/// What an API server would warn of or show badly.
#[derive(Debug, Clone)]
pub(super) struct Served;

impl Transform for Served {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        object.remove("title");
        object.remove("nullable");
        if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
            object.remove("format");
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        name_the_choices(object);
    }
}

/// A choice of keys is `oneOf` to JSON Schema, whose refusal names none of them.
fn name_the_choices(object: &mut Object) {
    let Some(Value::Array(choices)) = object.get("oneOf") else { return };
    let keys: Option<Vec<String>> = choices.iter().map(|choice| only_required(choice).map(str::to_owned)).collect();
    let Some(keys) = keys else { return };
    object.remove("oneOf");
    let present: Vec<_> = keys.iter().map(|key| format!("has(self.{key})")).collect();
    let rule = match present.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}].filter(present, present).size() == 1", present.join(", ")),
    };
    let message = match keys.as_slice() {
        [only] => format!("is empty: write {only}"),
        _ => format!("takes exactly one of {}: write one, and remove the others", keys.join(", ")),
    };
    add_rule(object, &rule, &message);
}

fn only_required(choice: &Value) -> Option<&str> {
    let choice = choice.as_object()?;
    match choice.get("required")?.as_array()?.as_slice() {
        [only] if choice.len() == 1 => only.as_str(),
        _ => None,
    }
}

fn add_rule(object: &mut Object, rule: &str, message: &str) {
    let rules = object.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(json!({ "rule": rule, "message": message }));
    }
}

/// On every text that is no choice. Pods' labels and their like never reach the gateway's file.
pub(super) fn refuse_references(spec: &mut Schema) {
    let Some(Value::Object(properties)) = spec.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| *name != "podTemplate") {
        refuse_reference(property);
    }
}

fn refuse_reference(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.get("type").is_some_and(|name| name == "string") && !object.contains_key("enum") {
        add_rule(
            object,
            "!self.contains('${')",
            "has a ${, and nothing is expanded here: write the value itself, and what is secret into a Secret",
        );
    }
    for inside in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(inside) {
            refuse_reference(inner);
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(refuse_reference);
    }
}

/// Kubernetes' own types come without bounds, and with lists that nobody can merge.
pub(super) fn bound(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        bound_object(object);
    }
}

fn bound_object(object: &mut Object) {
    match object.get("type").and_then(Value::as_str) {
        Some("string") => {
            object.entry("maxLength").or_insert(json!(317));
        }
        Some("array") => {
            object.entry("maxItems").or_insert(json!(32));
            object.entry("x-kubernetes-list-type").or_insert(json!("atomic"));
        }
        Some("object") if object.contains_key("additionalProperties") => {
            object.entry("maxProperties").or_insert(json!(32));
        }
        _ => {}
    }
    for inside in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = object.get_mut(inside) {
            bound_object(inner);
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for inner in properties.values_mut().filter_map(Value::as_object_mut) {
            bound_object(inner);
        }
    }
}
