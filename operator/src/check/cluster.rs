//! The cluster itself: its version, the kinds that it serves, and the operator's rights.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};

use super::Finding;
use crate::{
    engine::{
        discovery::{Discovery, OptionalApi},
        scope::Scope,
        settings::Settings,
    },
    gateway::kinds::OPTIONAL,
};

/// Older API servers lack what the CRDs' rules are written in.
const OLDEST_MINOR: u32 = 31;
const OWN: [OptionalApi; 2] = [own("ClaudeGateway", "claudegateways"), own("UserPolicy", "userpolicies")];
const READ: &[&str] = &["get", "list", "watch"];
const WATCHED: &[&str] = &["list", "watch"];
const KEPT: &[&str] = &["get", "list", "watch", "create", "patch"];
const OWNED: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// What the chart's `_rules.tpl` grants, which a test holds beside this.
pub const RIGHTS: [(&str, &str, &[&str]); 17] = [
    ("claude-gateway.dev", "claudegateways", WATCHED),
    ("claude-gateway.dev", "userpolicies", WATCHED),
    ("claude-gateway.dev", "claudegateways/status", &["patch"]),
    ("claude-gateway.dev", "userpolicies/status", &["patch"]),
    ("claude-gateway.dev", "claudegateways/finalizers", &["update"]),
    ("apps", "deployments", KEPT),
    ("", "services", KEPT),
    ("", "serviceaccounts", KEPT),
    ("", "secrets", KEPT),
    ("", "configmaps", READ),
    ("policy", "poddisruptionbudgets", OWNED),
    ("autoscaling", "horizontalpodautoscalers", OWNED),
    ("networking.k8s.io", "networkpolicies", OWNED),
    ("networking.k8s.io", "ingresses", OWNED),
    ("gateway.networking.k8s.io", "httproutes", OWNED),
    ("cert-manager.io", "certificates", OWNED),
    ("monitoring.coreos.com", "servicemonitors", OWNED),
];

const fn own(kind: &'static str, plural: &'static str) -> OptionalApi {
    OptionalApi { group: "claude-gateway.dev", version: "v1alpha1", kind, plural, brought_by: "this operator's chart" }
}

pub(super) async fn cluster(settings: &Settings, client: &Client) -> Vec<Finding> {
    let version = match client.apiserver_version().await {
        Ok(version) => version,
        Err(error) => {
            return vec![Finding::Bad(format!(
                "the API server does not answer ({error}): run this in a pod, or point KUBECONFIG at the cluster"
            ))];
        }
    };
    let mut findings = vec![judged_version(&version.major, &version.minor)];
    findings.extend(apis(client).await);
    for scope in Scope::of(&settings.watch_namespaces) {
        findings.extend(rights(client, &scope).await);
    }
    findings
}

fn judged_version(major: &str, minor: &str) -> Finding {
    // Some vendors write `31+`.
    let number: u32 = minor.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(0);
    match major == "1" && number < OLDEST_MINOR {
        true => Finding::Bad(format!(
            "Kubernetes {major}.{minor} is older than 1.{OLDEST_MINOR}: upgrade the cluster's control plane"
        )),
        false => Finding::Good(format!("Kubernetes {major}.{minor}")),
    }
}

async fn apis(client: &Client) -> Vec<Finding> {
    let discovery = Discovery::of(&[OWN.as_slice(), OPTIONAL.as_slice()].concat());
    discovery.look(client).await;
    let own = OWN.iter().map(|api| match discovery.has(api) {
        true => Finding::Good(format!("{} is defined", api.kind)),
        false => Finding::Bad(format!(
            "{} is not defined: install the chart with crds.install=true, or apply its files/crds",
            api.kind
        )),
    });
    let optional = OPTIONAL.iter().filter(|api| !discovery.has(api)).map(|api| {
        Finding::Note(format!("no {}: a gateway that asks for one waits until {} is there", api.kind, api.brought_by))
    });
    own.chain(optional).collect()
}

async fn rights(client: &Client, scope: &Scope) -> Vec<Finding> {
    let (namespace, place) = match scope {
        Scope::Cluster => (None, "in all namespaces".to_owned()),
        Scope::Namespace(name) => (Some(name.clone()), format!("in {name}")),
    };
    let mut bad = Vec::new();
    for (group, resource, verbs) in RIGHTS {
        for verb in verbs {
            match may(client, namespace.clone(), (group, resource), verb).await {
                Ok(true) => {}
                Ok(false) => bad.push(Finding::Bad(format!(
                    "no right to {verb} {resource} {place}: install the chart's RBAC, or name the namespace in watchNamespaces"
                ))),
                Err(error) => {
                    bad.push(Finding::Bad(format!("rights cannot be asked for ({error}): let it make access reviews")));
                    return bad;
                }
            }
        }
    }
    match bad.is_empty() {
        true => vec![Finding::Good(format!("every right {place}"))],
        false => bad,
    }
}

async fn may(
    client: &Client,
    namespace: Option<String>,
    (group, resource): (&str, &str),
    verb: &str,
) -> Result<bool, kube::Error> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        namespace,
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None },
        ..SelfSubjectAccessReview::default()
    };
    let answered = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answered.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_vendors_write_it() {
        assert_eq!(judged_version("1", "31"), Finding::Good("Kubernetes 1.31".to_owned()));
        assert_eq!(judged_version("1", "36+"), Finding::Good("Kubernetes 1.36+".to_owned()));
        assert!(matches!(judged_version("1", "30"), Finding::Bad(_)));
    }

    #[test]
    fn what_is_asked_for_is_what_the_chart_grants() {
        let chart = include_str!("../../../charts/claude-gateway-operator/templates/_rules.tpl");
        for (_, resource, verbs) in RIGHTS {
            let rule = chart
                .split("- apiGroups:")
                .find(|rule| {
                    rule.lines().any(|line| {
                        line.trim().strip_prefix("resources: [").is_some_and(|list| {
                            list.trim_end_matches(']').split(',').any(|granted| granted.trim() == resource)
                        })
                    })
                })
                .unwrap_or_else(|| panic!("no rule for {resource}"));
            for verb in verbs {
                assert!(rule.contains(verb), "{verb} {resource}");
            }
        }
    }
}
