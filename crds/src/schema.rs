//! From the types to the schema that an API server takes: what Rust's types cannot say, and what is said the same way
//! everywhere.

mod structure;

use k8s_openapi::{
    api::core::v1::{Affinity, Toleration},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::core::schema::StructuralSchemaRewriter;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

/// What a `${…}` in an object's strings is.
pub(crate) enum Strings {
    /// Refused: nothing is expanded, and whoever writes one expects that it were.
    WithoutReferences,
    AsTheyAre,
}

/// The schema of a whole object.
pub(crate) fn object<Spec: JsonSchema, Status: JsonSchema>(about: &str, strings: Strings) -> Schema {
    let mut spec = structural::<Spec>();
    if matches!(strings, Strings::WithoutReferences) {
        structure::refuse_references(&mut spec);
    }
    json_schema!({
        "description": about,
        "type": "object",
        "required": ["spec"],
        "properties": { "spec": spec, "status": structural::<Status>() },
    })
}

fn structural<T: JsonSchema>() -> Schema {
    let mut settings = SchemaSettings::openapi3();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.transforms.clear();
    settings
        .with_transform(structure::WithoutNull)
        .with_transform(StructuralSchemaRewriter)
        .with_transform(structure::Served)
        .into_generator()
        .into_root_schema_for::<T>()
}

/// A map of labels or annotations, or of what looks like them.
pub(crate) fn short_map(schema: &mut Schema) {
    schema.insert("maxProperties".into(), 64.into());
    schema.insert("additionalProperties".into(), json!({ "type": "string", "maxLength": 4_096 }));
}

pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut item = Condition::json_schema(generator);
    for (field, bound, most) in [
        ("type", "maxLength", 316),
        ("reason", "maxLength", 1_024),
        ("message", "maxLength", 32_768),
        ("status", "maxLength", 7),
    ] {
        set(&mut item, field, bound, json!(most));
    }
    set(&mut item, "status", "enum", json!(["True", "False", "Unknown"]));
    json_schema!({
        "type": "array", "items": item, "maxItems": 32,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
    })
}

/// Without claims of devices: these pods compute nothing.
pub(crate) fn resources(_: &mut SchemaGenerator) -> Schema {
    let amounts = |about: &str| {
        json!({
            "description": about,
            "type": "object",
            "maxProperties": 8,
            "additionalProperties": {
                "x-kubernetes-int-or-string": true,
                "maxLength": 32,
                "pattern": "^[0-9]+([.][0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
            },
        })
    };
    json_schema!({
        "type": "object",
        "properties": {
            "limits": amounts("The most that the container gets: cpu, memory, ephemeral-storage."),
            "requests": amounts("What the container is sure to get."),
        },
    })
}

pub(crate) fn tolerations(generator: &mut SchemaGenerator) -> Schema {
    let mut item = Toleration::json_schema(generator);
    structure::bound(&mut item);
    json_schema!({ "type": "array", "items": item, "maxItems": 32, "x-kubernetes-list-type": "atomic" })
}

pub(crate) fn affinity(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Affinity::json_schema(generator);
    structure::bound(&mut schema);
    schema
}

/// Open: newer clients know more. The keys that a rule asks about are named.
pub(crate) fn claude_code(_: &mut SchemaGenerator) -> Schema {
    let list = |about: &str| json!({ "description": about, "type": "array", "items": { "type": "string", "maxLength": 256 }, "maxItems": 128 });
    json_schema!({
        "type": "object",
        "maxProperties": 256,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "availableModels": list("Not together with the policy's `models`."),
            "deniedModels": list("Not together with the policy's `models`."),
            "availableModelsMatch": {
                "description": "Not together with the policy's `models`.", "type": "string", "enum": ["prefix", "exact"],
            },
            "mcpServers": {
                "description": "Refused: clients read `managedMcpServers`.", "type": "object",
                "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true,
            },
        },
    })
}

pub(crate) fn desktop(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 256,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "bootstrapUrl": { "description": "Refused: the gateway sets it.", "type": "string", "maxLength": 2_048 },
            "expiresAt": { "description": "Refused: the gateway sets it.", "type": "string", "maxLength": 64 },
        },
    })
}

fn set(schema: &mut Schema, field: &str, word: &str, value: Value) {
    let field = schema.get_mut("properties").and_then(|properties| properties.get_mut(field));
    if let Some(Value::Object(field)) = field {
        field.insert(word.to_owned(), value);
    }
}
