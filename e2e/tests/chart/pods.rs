//! D4, as far as what is rendered can say: every pod of the chart is one that `restricted` admits.

use serde_json::{Value, json};

use crate::stage::{installations, name, pod, render};

fn containers(pod: &Value) -> &[Value] {
    assert!(pod.get("initContainers").is_none());
    pod["containers"].as_array().unwrap()
}

fn each_pod(judge: impl Fn(&str, &Value)) {
    let mut seen = 0;
    for (installation, values) in installations() {
        for object in render(&values) {
            if let Some(pod) = pod(&object) {
                judge(&format!("{installation}: {}", name(&object)), pod);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 2 * installations().len(), "an operator and a test in each");
}

#[test]
fn no_pod_runs_as_root_or_can_gain_a_right() {
    each_pod(|told, pod| {
        let whole = &pod["securityContext"];
        assert_eq!(whole["runAsNonRoot"], true, "{told}");
        assert_eq!(whole["seccompProfile"]["type"], "RuntimeDefault", "{told}");
        for container in containers(pod) {
            let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
            assert_eq!(container["securityContext"], expected, "{told}");
        }
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod.get(host).is_none(), "{told}");
        }
    });
}

#[test]
fn every_pod_says_its_numeric_id_unless_the_platform_gives_it_one() {
    each_pod(|told, pod| {
        let given = told.starts_with("ids that the platform gives out");
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            let said = pod["securityContext"].get(id);
            assert_eq!(said, (!given).then_some(&json!(65532)), "{told}: {id}");
        }
    });
}

#[test]
fn no_pod_writes_anywhere_but_in_a_small_tmp() {
    each_pod(|told, pod| {
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            assert_eq!(*volume, json!({"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}), "{told}");
        }
    });
}

#[test]
fn every_pod_says_what_it_needs_and_where_it_ends() {
    each_pod(|told, pod| {
        for container in containers(pod) {
            for need in ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/memory"] {
                assert!(container.pointer(need).is_some(), "{told}: no {need}");
            }
        }
    });
}

#[test]
fn the_chart_needs_one_image_of_its_own() {
    each_pod(|told, pod| {
        for container in containers(pod) {
            assert_eq!(container["image"], "claude-gateway-operator:0.1.0", "{told}");
        }
    });
}
