//! F4: a real API server, in a namespace that enforces the Pod Security level `restricted`, takes what each way to install
//! renders, with no error and no warning. What the operator makes of each form of a gateway is held to the same by its own
//! scenarios.

use std::fs;

use e2e::{
    chart::{definitions, helm::Release, root},
    cluster::{
        Plane,
        foreign::{self, PROMETHEUS_RULE, SERVICE_MONITOR},
    },
};
use serde_json::json;

use crate::stage::{helm, installations};

/// A namespace that refuses, and warns of, every pod that is not restricted.
async fn restricted(plane: &Plane, name: &str) {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
    });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
    plane.kubectl().apply(&namespace.to_string()).await.unwrap();
}

/// What a release is, without the pod that `helm test` starts once its account is there.
fn installed(rendered: &str) -> String {
    let objects = rendered.split("\n---\n").filter(|object| !object.contains("helm.sh/hook"));
    objects.collect::<Vec<_>>().join("\n---\n")
}

async fn taken(plane: &Plane, name: &str, manifest: &str) {
    let arguments =
        ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "--validate=strict", "--filename", "-"];
    let answer = plane.kubectl().run_with(&arguments, manifest).await;
    assert!(answer.is_ok(), "{name}: {answer:?}");
}

#[tokio::test]
async fn f4_every_way_to_install_is_taken_without_an_error_or_a_warning() {
    let plane = Plane::start().await.unwrap();
    for definition in foreign::definitions(&[SERVICE_MONITOR, PROMETHEUS_RULE]).await.unwrap() {
        plane.kubectl().apply(&definition.to_string()).await.unwrap();
        let name = definition["metadata"]["name"].as_str().unwrap();
        plane.kubectl().run(&format!("wait --for=condition=Established crd/{name} --timeout=60s")).await.unwrap();
    }
    for namespace in ["gateways", "a", "b", "claude-gateway-system"] {
        restricted(&plane, namespace).await;
    }
    for (name, values) in installations() {
        taken(&plane, name, &installed(&helm().render(&Release::with(&values)).unwrap())).await;
    }
    let alone = Release { chart: definitions(), ..Release::with("") };
    taken(&plane, "the definitions alone", &helm().render(&alone).unwrap()).await;
    taken(&plane, "the plain manifest", &fs::read_to_string(root().join("deploy/install.yaml")).unwrap()).await;
}

/// What is not restricted is seen: the test above could fail.
#[tokio::test]
async fn f4_a_pod_that_is_not_restricted_would_be_warned_of() {
    let plane = Plane::shared().await.unwrap();
    restricted(plane, "restricted").await;
    let container = json!({ "name": "a", "image": "a" });
    let bare = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a", "namespace": "restricted" },
        "spec": { "selector": { "matchLabels": { "a": "b" } },
            "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [container] } } },
    });
    let arguments = ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "--filename", "-"];
    let answer = plane.kubectl().run_with(&arguments, &bare.to_string()).await;
    assert!(answer.unwrap_err().to_string().contains("would violate PodSecurity"));
}
