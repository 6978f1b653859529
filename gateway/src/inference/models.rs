//! Which model names mean something here, and where each may go.
//!
//! A built-in model is tried on every upstream, and `models[].upstream_model` overrides the id sent there; any other model goes
//! only where its map names the upstream. An upstream's own `models` globs narrow that.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use gateway_config::{Config, ModelEntry, Upstream};
use serde::Serialize;

use super::catalogue::{BuiltinModel, Catalogue};

/// A model that some upstream serves: the proof that routing needs.
#[derive(Debug)]
pub struct Route {
    /// The canonical id, from a closed set: a metric's label.
    pub model: String,
    /// Never empty; in the upstreams' order.
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The upstream's place in the configuration.
    pub upstream: usize,
    /// The JSON string to send instead of the client's; `None`: the client's own bytes stay.
    pub replacement: Option<Bytes>,
}

/// One line of `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    #[serde(rename = "type")]
    kind: &'static str,
    pub id: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
}

pub struct Models {
    routes: HashMap<String, Arc<Route>>,
    listed: Vec<Listed>,
}

impl Models {
    pub fn new(config: &Config, catalogue: &Catalogue) -> Self {
        let mut models = Self { routes: HashMap::new(), listed: Vec::new() };
        for entry in &config.models {
            let builtin = catalogue.named(&entry.id);
            let names = builtin.map_or_else(|| vec![entry.id.as_str()], |builtin| vec![builtin.id, builtin.alias]);
            models.add(&names, Some(entry), builtin, &config.upstreams);
        }
        if config.auto_include_builtin_models {
            for builtin in catalogue.iter().filter(|builtin| !config.models.iter().any(|entry| is(builtin, entry))) {
                models.add(&[builtin.id, builtin.alias], None, Some(builtin), &config.upstreams);
            }
        }
        models
    }

    /// Exact, but for the dated form of an alias.
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn add(
        &mut self,
        names: &[&str],
        entry: Option<&ModelEntry>,
        builtin: Option<&BuiltinModel>,
        upstreams: &[Upstream],
    ) {
        let id = entry.map_or_else(|| names[0], |entry| entry.id.as_str());
        let serves = |upstream: &Upstream| {
            upstream.models.is_empty() || upstream.models.iter().any(|glob| names.iter().any(|name| glob.matches(name)))
        };
        let targets: Vec<_> = upstreams
            .iter()
            .enumerate()
            .filter(|(_, upstream)| serves(upstream))
            .filter_map(|(n, upstream)| {
                let mapped = entry.and_then(|entry| entry.upstream_model.get(&upstream.name));
                (mapped.is_some() || builtin.is_some())
                    .then(|| Target { upstream: n, replacement: mapped.map(|id| json_string(id)) })
            })
            .collect();
        if targets.is_empty() {
            return;
        }
        let route = Arc::new(Route { model: id.to_owned(), targets });
        for name in names.iter().copied().chain([id]) {
            self.routes.entry(name.to_owned()).or_insert_with(|| route.clone());
        }
        self.listed.push(Listed {
            kind: "model",
            id: id.to_owned(),
            display_name: entry.and_then(|entry| entry.label.clone()).unwrap_or_else(|| id.to_owned()),
            max_input_tokens: builtin.map(|builtin| builtin.context_tokens),
        });
    }
}

fn is(builtin: &BuiltinModel, entry: &ModelEntry) -> bool {
    entry.id == builtin.id || entry.id == builtin.alias
}

fn json_string(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}
