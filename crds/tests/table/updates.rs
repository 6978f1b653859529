//! What may not change, and what may.

use serde_json::{Value, json};

use super::{
    Case, Change, Verdict,
    objects::{gateway, other_gateway, policy},
};

pub fn cases() -> Vec<Case> {
    let state = "cannot change, the gateway's state is in that";
    let named = other_gateway();
    let unnamed = other_gateway().without("spec.database.name").without("spec.database.host");
    let unnamed = unnamed.without("spec.database.port").without("spec.database.sslMode");
    let unnamed = unnamed.with("spec.database.urlSecretRef", super::objects::secret());
    vec![
        refused(
            "another issuer",
            gateway(),
            ("spec.oidc.issuer", json!("https://other.example.com")),
            "cannot change, people are known by issuer and subject",
        ),
        refused("another schema", gateway(), ("spec.database.schema", json!("other")), state),
        refused("another database", named.clone(), ("spec.database.name", json!("other")), state),
        refused(
            "another gateway",
            policy(),
            ("spec.gatewayRef", json!({ "name": "other" })),
            "cannot change: delete the policy",
        ),
        refused(
            "another namespace's gateway",
            policy(),
            ("spec.gatewayRef", json!({ "name": "claude", "namespace": "other" })),
            "cannot change: delete the policy",
        ),
        allowed(
            "the default schema, written",
            gateway(),
            gateway().with("spec.database.schema", json!("claude_gateway")),
        ),
        allowed("a database's name where none was", unnamed, named.clone()),
        allowed(
            "another address of the same database",
            named.clone(),
            named.with("spec.database.host", json!("replica")),
        ),
        allowed("another client", gateway(), gateway().with("spec.oidc.clientId", json!("other"))),
        allowed("another priority", policy(), policy().with("spec.priority", json!(7))),
    ]
}

fn refused(name: &str, before: Value, (field, value): (&str, Value), says: &str) -> Case {
    Case { before: Some(before.clone()), ..super::refused(name, before.with(field, value), field, says) }
}

fn allowed(name: &str, before: Value, object: Value) -> Case {
    Case { name: name.to_owned(), object, before: Some(before), verdict: Verdict::Accepted }
}
