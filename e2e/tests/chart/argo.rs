//! B7 for Argo CD: the health checks we ship, run by the Lua it runs, on objects as they come.

use std::fs;

use e2e::chart::root;
use mlua::{Lua, LuaSerdeExt};
use serde_json::Value;

use crate::stage::yaml;

/// What Argo CD would show of the object in this fixture.
fn health(fixture: &str) -> (String, String) {
    let object = yaml(&root().join(format!("deploy/gitops/fixtures/{fixture}.yaml")));
    let checks = yaml(&root().join("deploy/gitops/argocd-cm.yaml"));
    let key = format!("resource.customizations.health.claude-gateway.dev_{}", object["kind"].as_str().unwrap());
    let lua = Lua::new();
    // Argo CD hands a missing field over as nil, and the whole object as `obj`.
    lua.globals().set("obj", lua.to_value(&object).unwrap()).unwrap();
    let answer: mlua::Value = lua.load(checks["data"][&key].as_str().unwrap()).eval().unwrap();
    let answer: Value = lua.from_value(answer).unwrap();
    (answer["status"].as_str().unwrap().to_owned(), answer["message"].as_str().unwrap().to_owned())
}

#[test]
fn argo_cd_shows_each_object_as_it_is() {
    for (fixture, expected, said) in [
        ("gateway-healthy", "Healthy", "3 of 3 pods serve."),
        ("gateway-unseen", "Progressing", "has not seen it"),
        ("gateway-stale", "Progressing", "newest edit"),
        ("gateway-begun", "Progressing", "for the first time"),
        ("gateway-rolling", "Progressing", "1 of 3 pods is new."),
        ("gateway-stalled", "Degraded", "Make the Secret"),
        ("gateway-unready", "Degraded", "Postgres does not answer."),
        ("gateway-paused", "Suspended", "paused"),
        ("gateway-deleting", "Progressing", "being deleted"),
        ("policy-healthy", "Healthy", "3 of 3 pods enforce it."),
        ("policy-stale", "Progressing", "newest edit"),
        ("policy-refused", "Degraded", "already has an empty match"),
        ("policy-syncing", "Progressing", "1 of 3"),
        ("policy-unsynced", "Degraded", "Postgres does not answer."),
    ] {
        let (shown, message) = health(fixture);
        assert_eq!(shown, expected, "{fixture}: {message}");
        assert!(message.contains(said), "{fixture}: {message}");
    }
}

#[test]
fn every_fixture_is_told_of() {
    let count = fs::read_dir(root().join("deploy/gitops/fixtures")).unwrap().count();
    assert_eq!(count, 14, "a fixture was added: say in this file and in flux.rs what it is");
}
