//! F1: nothing to find for helm 4, helm 3, helm-unittest and yamllint, and no template or value without a suite.

use std::{collections::BTreeSet, fs, process::Command};

use e2e::chart::{
    definitions, folder,
    helm::{Helm, Release, unittest},
    root, values,
};
use serde_json::Value;

use crate::stage::{helm, installations, yaml};

#[test]
fn helm_four_finds_nothing() {
    for (name, values) in installations() {
        let said = helm().lint(&folder(), &values).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{name}: {said}");
    }
}

#[test]
fn helm_three_finds_nothing_and_makes_the_same_of_it() {
    let previous = Helm::previous().unwrap();
    for (name, values) in installations() {
        let said = previous.lint(&folder(), &values).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{name}: {said}");
        let release = Release::with(&values);
        assert_eq!(previous.objects(&release).unwrap(), helm().objects(&release).unwrap(), "{name}");
    }
}

#[test]
fn every_suite_of_helm_unittest_passes() {
    let said = unittest().unwrap();
    assert!(!said.contains("FAIL") && said.contains("passed"), "{said}");
}

#[test]
fn every_template_has_a_suite_and_every_value_is_set_in_one() {
    let mut named = BTreeSet::new();
    let mut set = BTreeSet::new();
    for suite in fs::read_dir(folder().join("tests")).unwrap().map(|entry| entry.unwrap().path()) {
        if suite.extension().is_some_and(|ending| ending == "yaml") {
            gather(&yaml(&suite), &mut named, &mut set);
        }
    }
    let mut templates = Vec::new();
    for below in ["templates", "templates/tests"] {
        for entry in fs::read_dir(folder().join(below)).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_file() && !file.starts_with('_') {
                templates.push(format!("{below}/{file}"));
            }
        }
    }
    templates.retain(|template| !named.contains(template));
    assert!(templates.is_empty(), "no suite names {templates:?}");
    let unset: Vec<_> = values::documented().unwrap().into_iter().map(|value| value.name()).collect();
    let unset: Vec<_> = unset.into_iter().filter(|value| !covers(&set, value)).collect();
    assert!(unset.is_empty(), "no suite sets {unset:?}");
}

/// The templates that a suite names, and the paths that it sets.
fn gather(tree: &Value, named: &mut BTreeSet<String>, set: &mut BTreeSet<String>) {
    let Some(map) = tree.as_object() else {
        return tree.as_array().into_iter().flatten().for_each(|entry| gather(entry, named, set));
    };
    for (key, below) in map {
        match (key.as_str(), below) {
            ("template", Value::String(template)) => drop(named.insert(template.clone())),
            ("templates", Value::Array(list)) => {
                named.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            ("set", below) => paths("", below, set),
            (_, below) => gather(below, named, set),
        }
    }
}

fn paths(above: &str, tree: &Value, set: &mut BTreeSet<String>) {
    set.insert(above.to_owned());
    for (key, below) in tree.as_object().into_iter().flatten() {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        paths(&path, below, set);
    }
}

/// Whether a value itself is set, or a part of it.
fn covers(set: &BTreeSet<String>, value: &str) -> bool {
    set.contains(value) || set.iter().any(|path| path.starts_with(&format!("{value}.")))
}

#[test]
fn yamllint_finds_nothing_in_what_is_written_or_rendered() {
    let scratch = tempfile::tempdir().unwrap();
    let mut files = vec![
        folder().join("Chart.yaml"),
        folder().join("values.yaml"),
        folder().join("values-ha.yaml"),
        folder().join("files/alerts.yaml"),
        definitions().join("Chart.yaml"),
        definitions().join("values.yaml"),
        folder().join("tests"),
        root().join("deploy"),
    ];
    for (name, values) in installations() {
        let file = scratch.path().join(format!("{}.yaml", name.replace(' ', "-")));
        fs::write(&file, helm().render(&Release::with(&values)).unwrap()).unwrap();
        files.push(file);
    }
    // Layout is what people read, not what helm prints; what is wrong is wrong in both.
    let rules = "{extends: relaxed, rules: {line-length: disable, indentation: {spaces: consistent, indent-sequences: whatever}, \
        empty-lines: disable, comments-indentation: disable, trailing-spaces: enable, truthy: enable, quoted-strings: disable, \
        key-duplicates: enable, document-start: disable}}";
    let output = Command::new("yamllint").args(["--strict", "-d", rules]).args(files).output().expect("yamllint");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
