//! The ways to install that every promise is held against, and short looks into what they render.

use std::{fs, path::Path, sync::OnceLock};

use e2e::chart::{
    folder,
    helm::{Helm, Release},
};
use serde_json::Value;

/// Built or found once; the tests of one binary ask at the same time.
pub(crate) fn helm() -> &'static Helm {
    static NEWEST: OnceLock<Helm> = OnceLock::new();
    NEWEST.get_or_init(|| Helm::newest().unwrap())
}

/// A name for the failure's message, and the values.
pub(crate) fn installations() -> Vec<(&'static str, String)> {
    let shipped = fs::read_to_string(folder().join("values-ha.yaml")).unwrap();
    let all = "
        metrics:
          serviceMonitor: {enabled: true}
          prometheusRule: {enabled: true}
          dashboard: {enabled: true}
        networkPolicy: {enabled: true, metrics: {from: [{namespaceSelector: {}}]}}";
    let given = [
        ("minimal", ""),
        ("namespaced", "watchNamespaces: [a, b]"),
        (
            "one namespace, no cluster's right",
            "{watchNamespaces: [gateways], rbac: {aggregate: false}, crds: {install: false}}",
        ),
        ("without CRDs", "crds: {install: false}"),
        ("everything that can be scraped", all),
        ("a single operator without a Lease", "leaderElection: {enabled: false}"),
        ("ids that the platform gives out", "podSecurity: {fixedIds: false}"),
    ];
    let mut all: Vec<_> = given.map(|(name, values)| (name, values.to_owned())).into();
    all.push(("highly available", shipped));
    all
}

pub(crate) fn render(values: &str) -> Vec<Value> {
    helm().objects(&Release::with(values)).unwrap()
}

pub(crate) fn refusal(values: &str) -> String {
    helm().render(&Release::with(values)).expect_err(values).to_string()
}

pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

pub(crate) fn name(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

pub(crate) fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Where a pod is described, whatever describes it.
pub(crate) fn pod(object: &Value) -> Option<&Value> {
    match object["kind"].as_str()? {
        "Pod" => Some(&object["spec"]),
        "Deployment" => Some(&object["spec"]["template"]["spec"]),
        _ => None,
    }
}

pub(crate) fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}
