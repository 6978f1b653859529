//! D1 and D3, as far as what is rendered can say: a reason for every right, no right that is not listed here, and none of the
//! cluster's where namespaces are named.

use std::{collections::BTreeSet, fs};

use e2e::chart::folder;
use serde_json::Value;

use crate::stage::{installations, name, of_kind, render, words};

/// What the operator may ever touch. Who adds a rule to the chart adds it here, and says there why.
const GRANTED: [&str; 20] = [
    "claude-gateway.dev/claudegateways",
    "claude-gateway.dev/claudegateways/status",
    "claude-gateway.dev/claudegateways/finalizers",
    "claude-gateway.dev/claudegateways/scale",
    "claude-gateway.dev/userpolicies",
    "claude-gateway.dev/userpolicies/status",
    "/services",
    "/serviceaccounts",
    "/secrets",
    "/configmaps",
    "apps/deployments",
    "policy/poddisruptionbudgets",
    "autoscaling/horizontalpodautoscalers",
    "networking.k8s.io/networkpolicies",
    "networking.k8s.io/ingresses",
    "gateway.networking.k8s.io/httproutes",
    "cert-manager.io/certificates",
    "monitoring.coreos.com/servicemonitors",
    "events.k8s.io/events",
    "coordination.k8s.io/leases",
];

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "patch", "update", "delete", "deletecollection"];

fn roles(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object["kind"] == "Role" || object["kind"] == "ClusterRole").collect()
}

fn rules(role: &Value) -> &[Value] {
    role["rules"].as_array().unwrap()
}

fn resources(rule: &Value) -> Vec<String> {
    let groups = words(&rule["apiGroups"]);
    let resources = words(&rule["resources"]);
    groups.iter().flat_map(|group| resources.iter().map(move |resource| format!("{group}/{resource}"))).collect()
}

fn is_aggregated(role: &Value) -> bool {
    role["metadata"]["labels"].get("rbac.authorization.k8s.io/aggregate-to-edit").is_some()
}

#[test]
fn nothing_is_granted_that_is_not_listed() {
    for (installation, values) in installations() {
        for role in roles(&render(&values)) {
            for rule in rules(role) {
                let told = format!("{installation}: {}: {rule}", name(role));
                assert!(resources(rule).iter().all(|resource| GRANTED.contains(&resource.as_str())), "{told}");
                assert!(words(&rule["verbs"]).iter().all(|verb| VERBS.contains(verb)), "{told}");
                assert!(rule.get("nonResourceURLs").is_none(), "{told}");
            }
        }
    }
}

#[test]
fn every_rule_is_preceded_by_its_reason() {
    for file in ["_rules.tpl", "role-leader.yaml", "clusterroles-aggregated.yaml"] {
        let text = fs::read_to_string(folder().join("templates").join(file)).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        let rules: Vec<_> = (1..lines.len()).filter(|&at| lines[at].starts_with("- apiGroups:")).collect();
        assert!(!rules.is_empty(), "{file}");
        for rule in rules {
            assert!(lines[rule - 1].starts_with("# "), "{file}: no reason above line {}", rule + 1);
        }
    }
}

#[test]
fn with_namespaces_named_no_right_is_the_clusters() {
    let objects = render("watchNamespaces: [a, b]");
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    assert!(of_kind(&objects, "ClusterRole").iter().all(|role| is_aggregated(role)));
    let bound: BTreeSet<_> = of_kind(&objects, "RoleBinding").iter().map(|role| namespace(role)).collect();
    assert_eq!(bound, BTreeSet::from(["a", "b", "gateways"]));

    let bare = render("{watchNamespaces: [a], rbac: {aggregate: false}, crds: {install: false}}");
    let cluster_wide: Vec<_> =
        bare.iter().filter(|object| object["metadata"].get("namespace").is_none()).map(name).collect();
    assert!(cluster_wide.is_empty(), "{cluster_wide:?}");
}

#[test]
fn with_namespaces_named_no_secret_elsewhere_can_be_read() {
    let objects = render("watchNamespaces: [a, b]");
    let readers: Vec<_> = roles(&objects)
        .into_iter()
        .filter(|role| rules(role).iter().any(|rule| words(&rule["resources"]).contains(&"secrets")))
        .collect();
    assert_eq!(readers.iter().map(|role| namespace(role)).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_namespace_is_watched_with_the_rights_that_the_cluster_would_be() {
    let everywhere = render("");
    let everywhere = of_kind(&everywhere, "ClusterRole").into_iter().find(|role| !is_aggregated(role)).unwrap();
    for role in of_kind(&render("watchNamespaces: [a, b]"), "Role") {
        if namespace(role) != "gateways" {
            assert_eq!(role["rules"], everywhere["rules"]);
        }
    }
}

#[test]
fn the_cluster_s_roles_may_not_write_a_status() {
    for role in of_kind(&render(""), "ClusterRole").into_iter().filter(|role| is_aggregated(role)) {
        for rule in rules(role) {
            let writes = words(&rule["verbs"]).iter().any(|verb| !["get", "list", "watch"].contains(verb));
            let status = words(&rule["resources"]).iter().any(|resource| resource.ends_with("/status"));
            assert!(!(writes && status), "{}: {rule}", name(role));
        }
    }
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap()
}
