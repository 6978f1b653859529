//! What a policy's documents must not say, and the shapes of the parts that the gateway itself reads.

use serde_json::{Map, Value};

use super::settings_keys;
use crate::{complaint::Complaint, fields::Fields, path::FieldPath, vocabulary::nearest};

type Document = Map<String, Value>;

const TEXT_LISTS: &[&[&str]] = &[
    &["availableModels"],
    &["deniedModels"],
    &["disabledMcpjsonServers"],
    &["permissions", "allow"],
    &["permissions", "deny"],
    &["permissions", "ask"],
];
const LISTS: &[&[&str]] = &[&["deniedMcpServers"], &["blockedMarketplaces"]];
const MAPPINGS: &[&[&str]] =
    &[&["permissions"], &["env"], &["modelOverrides"], &["skillOverrides"], &["hooks"], &["managedMcpServers"]];

/// Computed by the gateway, or read by Desktop before it knows of a gateway.
const DESKTOP_OWN: &[&str] = &["bootstrapUrl", "expiresAt"];
const DESKTOP_OWN_PREFIXES: &[&str] = &["inference", "otlp"];

pub(super) fn check_code(document: &Document, key: &str, fields: &Fields<'_>) {
    let inspection = Inspection { document, root: fields.path(key), fields };
    if document.contains_key("mcpServers") {
        inspection.refuse(&["mcpServers"], "is not read from managed settings", "write managedMcpServers");
    }
    inspection.shapes();
    inspection.warn_of_unknown_settings();
    inspection.warn_of_start_model();
}

pub(super) fn check_desktop(document: &Document, fields: &Fields<'_>) {
    let inspection = Inspection { document, root: fields.path("desktop"), fields };
    for key in document.keys() {
        let own =
            DESKTOP_OWN.contains(&key.as_str()) || DESKTOP_OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        if own {
            let remedy = "remove it: upstreams, models and telemetry say it";
            inspection.refuse(&[key], "is set by the gateway itself", remedy);
        }
    }
    inspection.check(&["disabledBuiltinTools"], is_text_list, "must be a list of texts");
    inspection.check(&["builtinToolPolicy"], is_text_mapping, "must be a mapping to text");
}

struct Inspection<'a> {
    document: &'a Document,
    root: FieldPath,
    fields: &'a Fields<'a>,
}

impl Inspection<'_> {
    fn shapes(&self) {
        for keys in TEXT_LISTS {
            self.check(keys, is_text_list, "must be a list of texts");
        }
        for keys in LISTS {
            self.check(keys, Value::is_array, "must be a list");
        }
        for keys in MAPPINGS {
            self.check(keys, Value::is_object, "must be a mapping");
        }
        self.check(&["cleanupPeriodDays"], Value::is_u64, "must be a whole number");
        self.entries("env", Value::is_string, "must be text");
        self.entries("hooks", Value::is_array, "must be a list");
        self.entries("managedMcpServers", Value::is_object, "must be a mapping");
    }

    /// Every value of a mapping.
    fn entries(&self, section: &str, right: fn(&Value) -> bool, problem: &str) {
        let entries = self.document.get(section).and_then(Value::as_object);
        for key in entries.into_iter().flat_map(Map::keys) {
            self.check(&[section, key], right, problem);
        }
    }

    fn check(&self, keys: &[&str], right: fn(&Value) -> bool, problem: &str) {
        let Some((first, rest)) = keys.split_first() else { return };
        let found = rest.iter().fold(self.document.get(*first), |value, key| value.and_then(|value| value.get(key)));
        if found.is_some_and(|value| !right(value)) {
            self.refuse(keys, problem, "write it as Claude Code's settings reference has it");
        }
    }

    fn warn_of_unknown_settings(&self) {
        let known = |key: &str| key == "mcpServers" || settings_keys::KNOWN.contains(&key);
        for unknown in self.document.keys().filter(|key| !known(key)) {
            let hint = nearest(unknown, settings_keys::KNOWN.iter().copied())
                .map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
            self.fields.warn_at(self.root.key(unknown), format!("is no setting known here{hint}"));
        }
    }

    /// Sessions start on an Opus model unless something says otherwise, and would be refused at the first prompt.
    fn warn_of_start_model(&self) {
        let Some(models) = self.document.get("availableModels").and_then(Value::as_array) else { return };
        let says_otherwise = ["model", "enforceAvailableModels"].iter().any(|key| self.document.contains_key(*key));
        let holds_opus = models.iter().filter_map(Value::as_str).any(|model| model.to_lowercase().contains("opus"));
        if !models.is_empty() && !says_otherwise && !holds_opus {
            self.fields.warn_at(
                self.root.key("availableModels"),
                "leaves out the model that sessions start on; set model, or enforceAvailableModels: true",
            );
        }
    }

    fn refuse(&self, keys: &[&str], problem: &str, remedy: &str) {
        let path = keys.iter().fold(self.root.clone(), |path, key| path.key(key));
        self.fields.refuse_at(path, Complaint::new(problem, remedy));
    }
}

fn is_text_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

fn is_text_mapping(value: &Value) -> bool {
    value.as_object().is_some_and(|entries| entries.values().all(Value::is_string))
}
