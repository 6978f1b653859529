//! What a policy's documents must not say.

use serde_json::{Map, Value};

use super::{
    form::{Form, Inspection, TEXTS},
    reference::SETTINGS,
};
use crate::{complaint::Complaint, fields::Fields, path::FieldPath};

type Document = Map<String, Value>;

/// Computed by the gateway, or read by Desktop before it knows of a gateway.
const DESKTOP_OWN: &[&str] = &["bootstrapUrl", "expiresAt"];
const DESKTOP_OWN_PREFIXES: &[&str] = &["inference", "otlp"];
/// What the gateway itself reads or unites.
const DESKTOP_FORMS: &[(&str, Form)] = &[
    ("disabledBuiltinTools", TEXTS),
    ("coworkEgressAllowedHosts", TEXTS),
    ("builtinToolPolicy", Form::Mapping(&Form::Text)),
];

pub(super) fn check_code(document: &Document, key: &str, fields: &Fields<'_>) {
    let path = fields.path(key);
    let mut known = document.clone();
    if known.shift_remove("mcpServers").is_some() {
        let complaint = Complaint::new("is not read from managed settings", "write managedMcpServers");
        fields.refuse_at(path.key("mcpServers"), complaint);
    }
    Inspection { fields }.keys(&known, &SETTINGS, &path);
    warn_of_start_model(document, &path, fields);
}

pub(super) fn check_desktop(document: &Document, fields: &Fields<'_>) {
    let path = fields.path("desktop");
    for key in document.keys() {
        let own =
            DESKTOP_OWN.contains(&key.as_str()) || DESKTOP_OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        if own {
            let remedy = "remove it: upstreams, models and telemetry say it";
            fields.refuse_at(path.key(key), Complaint::new("is set by the gateway itself", remedy));
        }
    }
    for (key, form) in DESKTOP_FORMS {
        if let Some(value) = document.get(*key) {
            Inspection { fields }.check(value, *form, &path.key(key));
        }
    }
}

/// Sessions start on an Opus model unless something says otherwise, and would be refused at the first prompt.
fn warn_of_start_model(document: &Document, path: &FieldPath, fields: &Fields<'_>) {
    let Some(models) = document.get("availableModels").and_then(Value::as_array) else { return };
    let says_otherwise = ["model", "enforceAvailableModels"].iter().any(|key| document.contains_key(*key));
    let holds_opus = models.iter().filter_map(Value::as_str).any(|model| model.to_lowercase().contains("opus"));
    if !models.is_empty() && !says_otherwise && !holds_opus {
        fields.warn_at(
            path.key("availableModels"),
            "leaves out the model that sessions start on; set model, or enforceAvailableModels: true",
        );
    }
}
