//! The tables as a JSON schema (draft 2020-12), for editors and for the reference. What holds between keys is not in it.

use serde_json::{Map, Value, json};

use crate::{
    not_yet::{NOT_YET, When},
    section::ROOT,
    vocabulary::{Fallback, Key, Presence, Shape, Table},
};

/// The schema of `gateway.yaml`, as it stands in `docs/gateway.schema.json`.
pub fn schema() -> String {
    let mut root = table(&ROOT, "");
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!("gateway.yaml"));
    root.insert(
        "$defs".into(),
        json!({
            "reference": {
                "description": "${VARIABLE} of the gateway's environment, or ${file:/path} of a mounted file.",
                "type": "string",
                "pattern": r"^\s*\$\{[^}]+\}\s*$",
            }
        }),
    );
    let mut text = format!("{:#}", Value::Object(root));
    text.push('\n');
    text
}

/// `place` is the pattern of the path, as `not_yet` writes it.
fn table(table: &Table, place: &str) -> Map<String, Value> {
    let properties: Map<_, _> = table.iter().map(|key| (key.name.to_owned(), property(key, place))).collect();
    let required: Vec<_> =
        table.iter().filter(|key| matches!(key.presence, Presence::Required)).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("description".into(), json!(table.about));
    schema.insert("type".into(), json!("object"));
    schema.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("properties".into(), Value::Object(properties));
    schema
}

fn property(key: &Key, place: &str) -> Value {
    let place = if place.is_empty() { key.name.to_owned() } else { format!("{place}.{}", key.name) };
    let mut schema = shape(key.shape, &place);
    schema.insert("description".into(), json!(format!("{}{}", key.about, caveat(&place))));
    if let Presence::Default(fallback) = key.presence
        && let Some(default) = default(fallback)
    {
        schema.insert("default".into(), default);
    }
    Value::Object(schema)
}

fn shape(shape: Shape, place: &str) -> Map<String, Value> {
    let schema = match shape {
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Secret => json!({ "type": "string", "minLength": 1, "writeOnly": true }),
        Shape::Choice(choices) => or_reference(json!({ "enum": choices })),
        Shape::Flag => or_reference(json!({ "type": "boolean" })),
        Shape::Whole(least, most) => or_reference(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Shape::Number(least, most) => or_reference(json!({ "type": "number", "minimum": least, "maximum": most })),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(*item, &format!("{place}[]")) }),
        Shape::OneOrMore(item) => {
            let one = self::shape(*item, place);
            json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
        }
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": self::shape(*item, place) }),
        Shape::Section(inner) => Value::Object(table(inner, place)),
        Shape::Cases { tag, cases } => {
            let cases = cases.iter().map(|(name, inner)| case(table(inner, place), tag, name));
            json!({ "oneOf": cases.collect::<Vec<_>>() })
        }
        Shape::Document => json!({ "type": "object" }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn case(mut schema: Map<String, Value>, tag: &str, name: &str) -> Value {
    if let Some(Value::Object(property)) = schema.get_mut("properties").and_then(|properties| properties.get_mut(tag)) {
        property.retain(|word, _| word == "description");
        property.insert("const".into(), json!(name));
    }
    Value::Object(schema)
}

fn or_reference(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/reference" }] })
}

fn default(fallback: Fallback) -> Option<Value> {
    match fallback {
        Fallback::Flag(flag) => Some(json!(flag)),
        Fallback::Whole(number) => Some(json!(number)),
        Fallback::Number(number) => Some(json!(number)),
        Fallback::Text(text) => Some(json!(text)),
        Fallback::Texts(texts) => Some(json!(texts)),
        Fallback::Section => None,
    }
}

fn caveat(place: &str) -> String {
    let found = NOT_YET.iter().find(|(pattern, _)| *pattern == place).map(|(_, when)| when);
    match found {
        None => String::new(),
        Some(When::Written) => " Understood, but this version does not do it yet and refuses it.".to_owned(),
        Some(When::True) => " Understood, but this version does not do it yet and refuses `true`.".to_owned(),
        Some(When::OneOf(values)) => {
            format!(" Understood, but this version does not do it yet and refuses: {}.", values.join(", "))
        }
    }
}
