//! The rules of a UserPolicy, one by one.

use serde_json::{Value, json};

use super::{
    Case, Change, accepted,
    objects::{full_policy, other_policy, policy},
    refused, unfit,
};

pub fn cases() -> Vec<Case> {
    let beside = "claudeCode says availableModels, deniedModels or availableModelsMatch";
    let models = |object: Value| object.with("spec.models", json!({ "denied": ["haiku"] }));
    let mut cases = vec![
        refused("models in two places", models(other_policy()), "spec", beside),
        accepted("models in one place", models(policy().with("spec.claudeCode", json!({ "model": "opus" })))),
        accepted("an empty list: no model at all", policy().with("spec.models", json!({ "available": [] }))),
        refused(
            "servers that no client would read",
            policy().with("spec.claudeCode", json!({ "mcpServers": {} })),
            "spec.claudeCode",
            "has mcpServers",
        ),
        accepted("references in a hook's command are plain text", full_policy()),
        refused(
            "an address that the gateway works out",
            policy().with("spec.desktop", json!({ "bootstrapUrl": "https://a" })),
            "spec.desktop",
            "has bootstrapUrl or expiresAt",
        ),
        refused(
            "an end that the gateway works out",
            policy().with("spec.desktop", json!({ "expiresAt": "never" })),
            "spec.desktop",
            "has bootstrapUrl or expiresAt",
        ),
        accepted("an empty document, which lets Desktop sign in", policy().with("spec.desktop", json!({}))),
        unfit("a document that is a list", policy().with("spec.claudeCode", json!([])), "spec.claudeCode"),
        refused(
            "a domain with an @",
            policy().with("spec.match", json!({ "emailDomain": "@example.com" })),
            "spec.match.emailDomain",
            "is no single e-mail domain",
        ),
        refused(
            "an address without an @",
            policy().with("spec.match", json!({ "emails": ["ada"] })),
            "spec.match.emails[0]",
            "is no e-mail address",
        ),
        refused(
            "a gateway of an impossible name",
            policy().with("spec.gatewayRef.name", json!("Claude")),
            "spec.gatewayRef.name",
            "is no name of an object",
        ),
        refused(
            "a namespace of an impossible name",
            policy().with("spec.gatewayRef.namespace", json!("a.b")),
            "spec.gatewayRef.namespace",
            "is no plain name",
        ),
        unfit("a group twice", policy().with("spec.match", json!({ "groups": ["a", "a"] })), "spec.match.groups[1]"),
    ];
    for key in ["availableModels", "deniedModels"] {
        let object = policy().with(&format!("spec.claudeCode.{key}"), json!(["opus"]));
        cases.push(accepted(&format!("{key} alone"), object.clone()));
        cases.push(refused(&format!("{key} beside models"), models(object), "spec", beside));
    }
    let exact = policy().with("spec.claudeCode.availableModelsMatch", json!("exact"));
    cases.push(refused("availableModelsMatch beside models", models(exact), "spec", beside));
    cases
}
