//! The reference page: every field of both kinds, from the schemas.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

pub(super) fn page(definitions: &[CustomResourceDefinition]) -> String {
    let mut page = String::from(
        "# Reference\n\nEvery field of `ClaudeGateway` and `UserPolicy`, made from their schemas by `make crds`. Bold fields are \
         required.\n",
    );
    for definition in definitions {
        kind(definition, &mut page);
    }
    page
}

fn kind(definition: &CustomResourceDefinition, page: &mut String) {
    let names = &definition.spec.names;
    for version in &definition.spec.versions {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let short = names.short_names.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
        let about = schema.and_then(|schema| schema.description.as_deref()).unwrap_or_default();
        line(
            page,
            format_args!(
                "\n## {}\n\n`apiVersion: {}/{}`, short name `{short}`. {about}",
                names.kind, definition.spec.group, version.name
            ),
        );
        for part in ["spec", "status"] {
            let properties = schema.and_then(|schema| schema.properties.as_ref());
            if let Some(part_schema) = properties.and_then(|properties| properties.get(part)) {
                section(part, part_schema, page);
            }
        }
    }
}

/// A table of the fields, then the sections of those that have fields of their own.
fn section(path: &str, schema: &JSONSchemaProps, page: &mut String) {
    line(page, format_args!("\n### {path}\n"));
    if let Some(about) = &schema.description {
        line(page, format_args!("{about}\n"));
    }
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        if let Some(message) = &rule.message {
            line(page, format_args!("- {message}"));
        }
    }
    if schema.x_kubernetes_validations.iter().flatten().next().is_some() {
        page.push('\n');
    }
    line(page, format_args!("| field | type | default | meaning |\n|---|---|---|---|"));
    let required = schema.required.as_deref().unwrap_or_default();
    let fields = || schema.properties.iter().flatten();
    for (name, field) in fields() {
        let shown = if required.contains(name) { format!("**`{name}`**") } else { format!("`{name}`") };
        let default = field.default.as_ref().map(|value| format!("`{}`", value.0)).unwrap_or_default();
        let about = cell(&meaning(field));
        line(page, format_args!("| {shown} | {} | {} | {about} |", cell(&form(field)), cell(&default)));
    }
    for (name, field) in fields() {
        if let Some((suffix, inner)) = inner(field) {
            section(&format!("{path}.{name}{suffix}"), inner, page);
        }
    }
}

/// The part of a field that has fields, and how its path is written.
fn inner(field: &JSONSchemaProps) -> Option<(&'static str, &JSONSchemaProps)> {
    if is_kubernetes_own(field) {
        return None;
    }
    match item(field) {
        Some(item) if item.properties.is_some() => Some(("[]", item)),
        None if field.properties.is_some() => Some(("", field)),
        _ => None,
    }
}

/// Explained by Kubernetes at length.
fn is_kubernetes_own(field: &JSONSchemaProps) -> bool {
    let has = |name: &str| field.properties.as_ref().is_some_and(|properties| properties.contains_key(name));
    has("podAntiAffinity")
        || item(field).is_some_and(|item| item.properties.iter().flatten().any(|(name, _)| name == "tolerationSeconds"))
}

fn item(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(items) => items.first(),
    }
}

fn form(field: &JSONSchemaProps) -> String {
    if field.x_kubernetes_int_or_string == Some(true) {
        return "quantity".into();
    }
    if let Some(choices) = &field.enum_ {
        return choices.iter().map(|choice| format!("`{}`", choice.0)).collect::<Vec<_>>().join(", ");
    }
    let bounds = |least: Option<f64>, most: Option<f64>| match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", {least} or more"),
        (None, Some(most)) => format!(", {most} at most"),
        (None, None) => String::new(),
    };
    match field.type_.as_deref() {
        Some("string") => format!("text, {} at most", field.max_length.unwrap_or_default()),
        Some("array") => {
            let item = item(field).map(form).unwrap_or_default();
            format!("list of {item}; {} entries at most", field.max_items.unwrap_or_default())
        }
        Some("object") => match &field.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(value)) => format!("map to {}", form(value)),
            _ if field.x_kubernetes_preserve_unknown_fields == Some(true) => "document".into(),
            _ => "section".into(),
        },
        Some(number) => format!("{number}{}", bounds(field.minimum, field.maximum)),
        None => String::new(),
    }
}

fn meaning(field: &JSONSchemaProps) -> String {
    let mut text = field.description.clone().unwrap_or_default();
    let unchanging = field.x_kubernetes_validations.iter().flatten().any(|rule| rule.rule.contains("oldSelf"));
    if unchanging && !text.contains("cannot change") {
        text.push_str(" It cannot change.");
    }
    text
}

/// What a cell of a table can hold.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = writeln!(page, "{text}");
}
