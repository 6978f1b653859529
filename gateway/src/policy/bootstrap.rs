//! `GET /user/bootstrap`: what Claude Desktop needs to know to work through this gateway (`protocol.md`, section 9).
//!
//! Invariant: what Desktop may do is never more than what the same policy lets Claude Code do.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Effective,
    routes::{Governed, PolicyParts, refused},
};
use crate::{door::RequestId, session::Admitted};

/// Whoever knows the models of this gateway.
pub trait Offering: Send + Sync {
    /// What may be asked for, in the order in which to show it.
    fn offered(&self, effective: &Effective) -> Vec<Offered>;
}

/// One model in Desktop's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offered {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_override: Option<String>,
    #[serde(rename = "supports1m", skip_serializing_if = "std::ops::Not::not")]
    pub supports_1m: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bootstrap<'a> {
    inference_provider: &'static str,
    inference_gateway_base_url: &'a str,
    inference_credential_kind: &'static str,
    /// Said where there are none too: absent, they would be whatever Desktop knows.
    inference_models: Vec<Offered>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disabled_builtin_tools: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cowork_egress_allowed_hosts: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
    expires_at: i64,
}

const TOOLS: &str = "disabledBuiltinTools";
const HOSTS: &str = "coworkEgressAllowedHosts";

pub(super) async fn get(
    State(parts): State<Arc<PolicyParts>>,
    Extension(request_id): Extension<RequestId>,
    Governed { admitted, effective }: Governed,
) -> Response {
    let Some(desktop) = &effective.desktop else {
        let mut fields = audited(&admitted, &effective);
        fields["reason"] = "not_configured".into();
        parts.audit.event("desktop_bootstrap.denied", request_id.as_str(), fields);
        let message =
            "Claude Desktop is not set up for you here; the operator of this gateway can add `desktop` to a policy";
        return refused(StatusCode::NOT_FOUND, message, &request_id);
    };
    let models = parts.models.offered(&effective);
    let bootstrap =
        bootstrap(&effective, desktop, models, parts.public_url.as_str(), admitted.expires_at().timestamp());
    parts.audit.event("desktop_bootstrap.serve", request_id.as_str(), audited(&admitted, &effective));
    ([(header::CACHE_CONTROL, "no-store")], Json(bootstrap)).into_response()
}

fn bootstrap<'a>(
    effective: &'a Effective,
    desktop: &'a Map<String, Value>,
    models: Vec<Offered>,
    base_url: &'a str,
    expires_at: i64,
) -> Bootstrap<'a> {
    let settings = effective.settings.as_ref();
    let others = desktop.iter().filter(|(key, _)| ![TOOLS, HOSTS].contains(&key.as_str()));
    Bootstrap {
        inference_provider: "gateway",
        inference_gateway_base_url: base_url,
        inference_credential_kind: "interactive",
        inference_models: models,
        disabled_builtin_tools: disabled_tools(settings, desktop),
        cowork_egress_allowed_hosts: desktop.get(HOSTS).cloned().or_else(|| allowed_domains(settings)),
        others: others.map(|(key, value)| (key.clone(), value.clone())).collect(),
        expires_at,
    }
}

/// The tools that are denied as a whole, and those that the block names.
fn disabled_tools<'a>(settings: Option<&'a Map<String, Value>>, desktop: &'a Map<String, Value>) -> Vec<&'a str> {
    let denied =
        settings.and_then(|settings| settings.get("permissions")).and_then(|permissions| permissions.get("deny"));
    let denied = texts(denied).filter(|rule| !rule.contains('(') && !rule.starts_with("mcp__"));
    let mut seen = BTreeSet::new();
    denied.chain(texts(desktop.get(TOOLS))).filter(|tool| seen.insert(*tool)).collect()
}

/// Nothing where the sandbox has no list, or an empty one: Desktop then asks.
fn allowed_domains(settings: Option<&Map<String, Value>>) -> Option<Value> {
    let domains = settings?.get("sandbox")?.get("network")?.get("allowedDomains")?;
    domains.as_array().is_some_and(|domains| !domains.is_empty()).then(|| domains.clone())
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn audited(admitted: &Admitted, effective: &Effective) -> Value {
    let person = admitted.person();
    json!({"sub": person.sub, "email": person.email, "policy": effective.applied()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: Value, desktop: Value, models: Vec<Offered>) -> Value {
        let effective = Effective { settings: settings.as_object().cloned(), ..Effective::default() };
        let desktop = desktop.as_object().unwrap().clone();
        serde_json::to_value(bootstrap(&effective, &desktop, models, "https://gateway.example.com", 1_795_386_870))
            .unwrap()
    }

    #[test]
    fn the_least_is_where_to_go_and_until_when() {
        let expected = r#"{"inferenceProvider":"gateway","inferenceGatewayBaseUrl":"https://gateway.example.com","inferenceCredentialKind":"interactive","inferenceModels":[],"expiresAt":1795386870}"#;
        assert_eq!(shown(json!({}), json!({}), Vec::new()).to_string(), expected);
    }

    #[test]
    fn models_are_told_with_their_label_and_their_length() {
        let models = vec![
            Offered { name: "corp".into(), label_override: Some("Corp".into()), supports_1m: false },
            Offered { name: "claude-opus-5".into(), label_override: None, supports_1m: true },
        ];
        let expected =
            json!([{"name": "corp", "labelOverride": "Corp"}, {"name": "claude-opus-5", "supports1m": true}]);
        assert_eq!(shown(json!({}), json!({}), models)["inferenceModels"], expected);
    }

    #[test]
    fn tools_that_are_denied_as_a_whole_are_disabled_beside_the_blocks_own() {
        let settings =
            json!({"permissions": {"deny": ["Bash", "Task", "mcp__x__y", "WebSearch(a)", "Bash", "Edit(*)"]}});
        let shown = shown(settings, json!({"disabledBuiltinTools": ["Bash", "WebFetch"]}), Vec::new());
        assert_eq!(shown["disabledBuiltinTools"], json!(["Bash", "Task", "WebFetch"]));
    }

    #[test]
    fn hosts_are_the_sandboxs_unless_the_block_says_otherwise() {
        let settings = json!({"sandbox": {"network": {"allowedDomains": ["a.example"]}}});
        let hosts = |settings: &Value, desktop: Value| shown(settings.clone(), desktop, Vec::new()).get(HOSTS).cloned();
        assert_eq!(hosts(&settings, json!({})), Some(json!(["a.example"])));
        assert_eq!(hosts(&settings, json!({"coworkEgressAllowedHosts": []})), Some(json!([])));
        assert_eq!(hosts(&json!({"sandbox": {"network": {"allowedDomains": []}}}), json!({})), None);
        assert_eq!(hosts(&json!({}), json!({"coworkEgressAllowedHosts": ["*.b"]})), Some(json!(["*.b"])));
    }

    #[test]
    fn the_blocks_other_keys_stand_as_they_are() {
        let shown = shown(json!({}), json!({"new": {"b": 1, "a": 2}, "disableAutoUpdates": true}), Vec::new());
        assert_eq!((&shown["new"], &shown["disableAutoUpdates"]), (&json!({"b": 1, "a": 2}), &json!(true)));
    }
}
