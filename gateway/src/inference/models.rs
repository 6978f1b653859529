//! Which model names mean something here, where each may go, and who may have it.
//!
//! A built-in model is tried on every upstream, and `models[].upstream_model` overrides the id sent there; any other model goes
//! only where its map names the upstream. An upstream's own `models` globs narrow that.
//!
//! Invariant: a name is found by the whole of it, or not at all; what policy is asked about is what was found. Only
//! [`Models::grant`] makes a [`GrantedModel`], and nothing is sent anywhere without one.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use bytes::Bytes;
use gateway_config::{Config, ModelEntry, Upstream};
use serde::Serialize;

use super::{
    catalogue::{BuiltinModel, Catalogue},
    refusal::Refusal,
};
use crate::{
    hashing::Map,
    policy::{Effective, ModelNames, Offered},
};

const LONG_CONTEXT: u64 = 1_000_000;

/// A model that some upstream serves.
#[derive(Debug)]
pub struct Route {
    /// The canonical id, from a closed set: a metric's label.
    pub model: String,
    /// Where it is known.
    pub context_tokens: Option<u64>,
    /// Never empty; in the upstreams' order.
    pub targets: Vec<Target>,
}

/// A model that somebody may have, and the upstreams that may serve it to them: the proof that sending needs.
#[derive(Debug, Clone)]
pub struct GrantedModel(Arc<Route>);

#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The upstream's place in the configuration.
    pub upstream: usize,
    /// The JSON string to send instead of the client's; `None`: the client's own bytes stay.
    pub replacement: Option<Bytes>,
    zero_retention: bool,
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
    by_name: Map<String, Arc<Model>>,
    listed: Vec<(Listed, Arc<Model>)>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("models: {first} and {second} are two names of one built-in model: keep one of the two entries")]
pub struct NamedTwice {
    first: String,
    second: String,
}

struct Model {
    names: Vec<String>,
    sent_as: Vec<String>,
    anywhere: Arc<Route>,
    /// Only upstreams that keep nothing.
    zero_retention: Option<Arc<Route>>,
}

impl Models {
    /// # Errors
    /// Two entries of the operator's list are one model: by its dated id, and by its alias.
    pub fn new(config: &Config, catalogue: &Catalogue) -> Result<Self, NamedTwice> {
        let mut models = Self { by_name: Map::default(), listed: Vec::new() };
        for entry in &config.models {
            let builtin = catalogue.named(&entry.id);
            if let Some(builtin) = builtin
                && let Some(first) = config.models.iter().find(|first| is(builtin, first) && first.id != entry.id)
            {
                return Err(NamedTwice { first: first.id.clone(), second: entry.id.clone() });
            }
            let names = builtin.map_or_else(|| vec![entry.id.as_str()], |builtin| vec![builtin.id, builtin.alias]);
            models.add(&names, Some(entry), builtin, &config.upstreams);
        }
        if config.auto_include_builtin_models {
            for builtin in catalogue.iter().filter(|builtin| !config.models.iter().any(|entry| is(builtin, entry))) {
                models.add(&[builtin.id, builtin.alias], None, Some(builtin), &config.upstreams);
            }
        }
        Ok(models)
    }

    /// Its id, whoever asks.
    pub fn canonical(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|model| model.anywhere.model.as_str())
    }

    /// The model of exactly this name, or of its dated form or alias, if policy lets the person have it.
    pub fn grant(&self, name: &str, effective: &Effective) -> Result<GrantedModel, Refusal> {
        let called = || shortened(name);
        let model = self.by_name.get(name).ok_or_else(|| Refusal::UnknownModel(called()))?;
        effective.models().check(model.names()).map_err(|why| Refusal::ModelNotAvailable { model: called(), why })?;
        model.route(effective).map(GrantedModel).ok_or_else(|| Refusal::NoZeroRetention(called()))
    }

    /// As [`grant`](Self::grant), for a request that names more models than its own. Theirs are not rewritten, so it may go only
    /// where each is served under the name that the client wrote.
    pub fn grant_all(
        &self,
        name: &str,
        others: &BTreeSet<String>,
        effective: &Effective,
    ) -> Result<GrantedModel, Refusal> {
        others.iter().try_fold(self.grant(name, effective)?, |granted, other| {
            let beside = self.grant(other, effective)?;
            granted
                .narrowed_to(&beside, other)
                .ok_or_else(|| Refusal::NotTogether { model: shortened(name), other: shortened(other) })
        })
    }

    /// What [`grant`](Self::grant) would let the person have.
    pub fn listed(&self, effective: &Effective) -> Vec<&Listed> {
        let access = effective.models();
        let granted = |model: &Model| access.check(model.names()).is_ok() && model.route(effective).is_some();
        self.listed.iter().filter(|(_, model)| granted(model)).map(|(listed, _)| listed).collect()
    }

    /// The same for Claude Desktop.
    pub fn offered(&self, effective: &Effective) -> Vec<Offered> {
        self.listed(effective).into_iter().map(Listed::offered).collect()
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
        let mut sent_as = Vec::new();
        let mut targets = Vec::new();
        for (n, upstream) in upstreams.iter().enumerate().filter(|(_, upstream)| serves(upstream)) {
            let mapped = entry.and_then(|entry| entry.upstream_model.get(&upstream.name));
            if mapped.is_some() || builtin.is_some() {
                sent_as.extend(mapped.cloned());
                let replacement = mapped.map(|id| json_string(id));
                targets.push(Target { upstream: n, replacement, zero_retention: upstream.zero_retention });
            }
        }
        let context_tokens = builtin.map(|builtin| builtin.context_tokens);
        let Some(anywhere) = route(id, context_tokens, targets.clone()) else { return };
        targets.retain(|target| target.zero_retention);
        let names = names.iter().copied().chain([id]).map(str::to_owned).collect();
        let model = Arc::new(Model { names, sent_as, anywhere, zero_retention: route(id, context_tokens, targets) });
        for name in &model.names {
            self.by_name.entry(name.clone()).or_insert_with(|| model.clone());
        }
        let listed = Listed {
            kind: "model",
            id: id.to_owned(),
            display_name: entry.and_then(|entry| entry.label.clone()).unwrap_or_else(|| id.to_owned()),
            max_input_tokens: context_tokens,
        };
        self.listed.push((listed, model));
    }
}

impl Listed {
    fn offered(&self) -> Offered {
        Offered {
            name: self.id.clone(),
            label_override: (self.display_name != self.id).then(|| self.display_name.clone()),
            supports_1m: self.max_input_tokens >= Some(LONG_CONTEXT),
        }
    }
}

impl Model {
    fn names(&self) -> ModelNames<'_> {
        ModelNames { names: &self.names, sent_as: &self.sent_as }
    }

    fn route(&self, effective: &Effective) -> Option<Arc<Route>> {
        match effective.needs_zero_retention() {
            true => self.zero_retention.clone(),
            false => Some(self.anywhere.clone()),
        }
    }
}

impl GrantedModel {
    /// Only the upstreams that serve `other` too, by this very name.
    fn narrowed_to(&self, other: &Self, name: &str) -> Option<Self> {
        let unchanged = |target: &Target| target.replacement.as_ref().is_none_or(|sent| *sent == json_string(name));
        let serves = |upstream| other.targets.iter().any(|target| target.upstream == upstream && unchanged(target));
        let targets = self.targets.iter().filter(|target| serves(target.upstream)).cloned().collect();
        route(&self.model, self.context_tokens, targets).map(Self)
    }
}

impl Deref for GrantedModel {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.0
    }
}

/// `None` where no upstream is left.
fn route(model: &str, context_tokens: Option<u64>, targets: Vec<Target>) -> Option<Arc<Route>> {
    (!targets.is_empty()).then(|| Arc::new(Route { model: model.to_owned(), context_tokens, targets }))
}

fn is(builtin: &BuiltinModel, entry: &ModelEntry) -> bool {
    entry.id == builtin.id || entry.id == builtin.alias
}

/// A name as a message repeats it.
fn shortened(name: &str) -> String {
    name.chars().take(200).collect()
}

fn json_string(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}

#[cfg(test)]
mod tests {
    use gateway_config::{Environment, Policy};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        identity::{Person, Subject},
        policy::{PolicySet, Revision},
    };

    const FILE: &str = r#"
        listen: {host: 127.0.0.1}
        oidc: {issuer: "https://idp.example", client_id: a, client_secret: b}
        session: {jwt_secret: "a secret that is long enough for a test: 0123456789"}
        store: {postgres_url: "postgres://a@localhost/b"}
    "#;

    /// Two upstreams, the second of which keeps nothing and serves Sonnet only; a model of the house that is Opus 5.
    fn models() -> Models {
        let loaded = Config::parse(
            &format!(
                "{FILE}
        upstreams:
          - {{provider: anthropic, name: one, auth: {{api_key: k}}}}
          - {{provider: anthropic, name: two, auth: {{api_key: k}}, models: ['claude-sonnet-*']}}
        models: [{{id: house-model, upstream_model: {{one: claude-opus-5}}}}]"
            ),
            &Environment::default(),
            &gateway_config::Disk,
        );
        let mut config = loaded.unwrap().config;
        config.upstreams[1].zero_retention = true;
        Models::new(&config, &Catalogue::builtin()).unwrap()
    }

    /// What holds where one policy says this to everybody.
    fn under(settings: Value, upstream: &str) -> Effective {
        let document = json!({"match": {}, "code": settings, "retention": {"upstream": upstream}});
        let set = PolicySet::of_file(Revision(1), &[Policy::from_document(&document).unwrap()]);
        set.effective(&Person { sub: Subject("somebody".to_owned()), email: None, name: None, groups: Vec::new() })
    }

    #[test]
    fn another_model_of_a_request_is_granted_like_its_own_and_not_rewritten() {
        let (models, all) = (models(), under(json!({}), "any"));
        let with = |name: &str, other: &str, effective: &Effective| {
            models.grant_all(name, &BTreeSet::from([other.to_owned()]), effective).map_err(|refusal| refusal.reason())
        };
        let upstreams =
            |granted: GrantedModel| granted.targets.iter().map(|target| target.upstream).collect::<Vec<_>>();
        assert_eq!(upstreams(with("claude-sonnet-5", "claude-sonnet-4-6", &all).unwrap()), [0, 1]);
        assert_eq!(upstreams(with("claude-sonnet-5", "claude-opus-5", &all).unwrap()), [0], "the second has no Opus");
        assert_eq!(with("claude-opus-5", "no-such-model", &all).unwrap_err(), "unknown_model");
        assert_eq!(with("claude-opus-5", "house-model", &all).unwrap_err(), "models_not_together", "it is mapped");
        let listed = under(json!({"availableModels": ["sonnet"]}), "any");
        assert_eq!(with("claude-sonnet-5", "claude-opus-5", &listed).unwrap_err(), "model_not_available");
        let denied = under(json!({"deniedModels": ["opus"]}), "any");
        assert_eq!(with("claude-sonnet-5", "claude-opus-5", &denied).unwrap_err(), "model_denied");
    }

    fn reason(name: &str, effective: &Effective) -> &'static str {
        models().grant(name, effective).map_or_else(|refusal| refusal.reason(), |_| "granted")
    }

    #[test]
    fn every_built_in_model_is_of_a_family_that_policies_can_name() {
        for model in Catalogue::builtin().iter() {
            let granted = ["fable", "haiku", "opus", "sonnet"]
                .into_iter()
                .filter(|family| reason(model.id, &under(json!({"availableModels": [family]}), "any")) == "granted");
            assert_eq!(granted.count(), 1, "{}", model.id);
        }
    }

    #[test]
    fn one_model_is_listed_once_whichever_of_its_names_is_written() {
        let with = |second: &str| {
            let text = format!(
                "{FILE}
        upstreams: [{{provider: anthropic, name: one, auth: {{api_key: k}}}}]
        models: [{{id: claude-haiku-4-5}}, {{id: {second}}}]"
            );
            let loaded = Config::parse(&text, &Environment::default(), &gateway_config::Disk).unwrap();
            Models::new(&loaded.config, &Catalogue::builtin()).map(drop)
        };
        assert_eq!(with("claude-haiku-5-5"), Ok(()));
        let refused = with("claude-haiku-4-5-20251001").unwrap_err().to_string();
        assert!(refused.contains("claude-haiku-4-5 ") && refused.contains("claude-haiku-4-5-20251001"), "{refused}");
    }

    #[test]
    fn only_the_name_itself_finds_a_model() {
        let all = under(json!({}), "any");
        for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "house-model"] {
            assert_eq!(reason(name, &all), "granted", "{name}");
        }
        let others = [
            "Claude-Opus-5",
            " claude-opus-5",
            "claude-opus-5 ",
            "claude-opus-5\n",
            "claude\u{2010}opus-5",
            "claude-opus-5\u{200b}",
            "ｃlaude-opus-5",
            "claude-opus-5[1m]",
            "claude-opus",
            "opus",
            "claude-opus-5-20260101",
            "\u{0441}laude-opus-5",
        ];
        for name in others {
            assert_eq!(reason(name, &all), "unknown_model", "{name:?}");
        }
    }

    #[test]
    fn policy_is_asked_about_what_was_found() {
        let listed = under(json!({"availableModels": ["claude-haiku-4-5-20251001"]}), "any");
        assert_eq!(reason("claude-haiku-4-5", &listed), "granted");
        assert_eq!(reason("claude-opus-5", &listed), "model_not_available");
        let denied = under(json!({"deniedModels": ["claude-opus-5"]}), "any");
        assert_eq!(reason("house-model", &denied), "model_denied", "it would be sent as a denied one");
        assert_eq!(reason("claude-opus-4-8", &denied), "granted");
    }

    #[test]
    fn zero_retention_leaves_only_upstreams_that_keep_nothing() {
        let zero = under(json!({}), "zero");
        let models = models();
        let sonnet = models.grant("claude-sonnet-5", &zero).unwrap();
        assert_eq!(sonnet.targets.iter().map(|target| target.upstream).collect::<Vec<_>>(), [1]);
        assert_eq!(reason("claude-opus-5", &zero), "no_zero_retention");
        let ids: Vec<_> = models.listed(&zero).into_iter().map(|listed| listed.id.clone()).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| id.starts_with("claude-sonnet-")), "{ids:?}");
        let any = under(json!({}), "any");
        assert_eq!(models.grant("claude-sonnet-5", &any).unwrap().targets.len(), 2);
    }

    #[test]
    fn what_is_listed_is_what_is_granted() {
        let models = models();
        for settings in
            [json!({}), json!({"availableModels": ["opus", "house-model"]}), json!({"deniedModels": ["claude-opus"]})]
        {
            let effective = under(settings.clone(), "any");
            let listed: Vec<_> = models.listed(&effective).into_iter().map(|listed| listed.id.as_str()).collect();
            let all = models.listed.iter().map(|(listed, _)| listed.id.as_str());
            let granted: Vec<_> = all.filter(|id| models.grant(id, &effective).is_ok()).collect();
            assert_eq!(listed, granted, "{settings}");
        }
    }
}
