//! F7: the definitions come with the chart or without it, are brought up to date by it, and outlive it.

use std::fs;

use e2e::chart::folder;
use serde_json::Value;

use crate::stage::{of_kind, render, yaml};

fn shipped() -> Vec<Value> {
    let mut files: Vec<_> =
        fs::read_dir(folder().join("files/crds")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| yaml(file)).collect()
}

#[test]
fn what_is_installed_is_what_is_shipped_to_the_last_field() {
    let objects = render("");
    let installed = of_kind(&objects, "CustomResourceDefinition");
    let shipped = shipped();
    assert_eq!(shipped.len(), 2);
    for (installed, shipped) in installed.iter().zip(&shipped) {
        assert_eq!(installed["metadata"]["name"], shipped["metadata"]["name"]);
        assert_eq!(plain(&installed["spec"]), plain(&shipped["spec"]));
        for kept in ["labels", "annotations"] {
            for (key, value) in shipped["metadata"][kept].as_object().into_iter().flatten() {
                assert_eq!(&installed["metadata"][kept][key], value, "{key}");
            }
        }
    }
    assert_eq!(installed.len(), shipped.len());
}

#[test]
fn the_definitions_outlive_the_release_unless_told_otherwise() {
    for (values, policy) in [("", Some("keep")), ("crds: {keep: false}", None)] {
        for definition in of_kind(&render(values), "CustomResourceDefinition") {
            let said = definition["metadata"]["annotations"].get("helm.sh/resource-policy").and_then(Value::as_str);
            assert_eq!(said, policy);
        }
    }
}

#[test]
fn the_definitions_say_which_release_they_are_of() {
    for definition in of_kind(&render(""), "CustomResourceDefinition") {
        assert_eq!(definition["metadata"]["annotations"]["claude-gateway.dev/bundle-version"], "0.1.0");
    }
}

#[test]
fn an_administrator_may_bring_the_definitions() {
    assert!(of_kind(&render("crds: {install: false}"), "CustomResourceDefinition").is_empty());
}

#[test]
fn nothing_lies_in_helm_s_own_folder_which_it_never_updates() {
    assert!(!folder().join("crds").exists());
}

/// helm writes 1.0 as 1, which is the same number.
fn plain(tree: &Value) -> Value {
    match tree {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(map) => map.iter().map(|(key, below)| (key.clone(), plain(below))).collect(),
        other => other.clone(),
    }
}
