//! A pod of a gateway: one restricted container that drains before it ends, and an identity that may do nothing.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Lifecycle, LifecycleHandler,
        LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
        SeccompProfile, SecurityContext, ServiceAccount, SleepAction, TopologySpreadConstraint,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{
    AFTER_DRAIN_SECONDS, GATEWAY, MANAGED_BY, MANAGER, METRICS_PORT_NAME, PORT_NAME, PRE_STOP_SECONDS, named, selected,
    selector, volumes,
};
use crate::gateway::{references, rendering, validate::ValidatedGateway};

/// As in the image.
const USER: i64 = 65532;
const CHECKSUM: &str = "claude-gateway.dev/checksum";

/// Pods need no right at the API server; the account is there to be trusted by others, or by nobody.
pub(super) fn service_account(gateway: &ValidatedGateway) -> ServiceAccount {
    ServiceAccount {
        metadata: named(&gateway.identity.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

pub(super) fn template(gateway: &ValidatedGateway, checksum: &str, image: &str) -> PodTemplateSpec {
    let own = gateway.spec.pod_template.clone().unwrap_or_default();
    let secrets = gateway.spec.image.as_ref().map(|image| image.pull_secrets.as_slice()).unwrap_or_default();
    let secrets: Vec<_> = secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() }).collect();
    // What is ours stands, whatever the object adds.
    let mut labels = own.labels.clone();
    labels.extend(selected(gateway));
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(GATEWAY.to_owned(), gateway.identity.name.clone());
    let mut annotations = own.annotations.clone();
    annotations.insert(CHECKSUM.to_owned(), checksum.to_owned());
    let drain = i64::from(gateway.spec.timeouts.drain_seconds);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            service_account_name: Some(gateway.identity.name.clone()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(pod_security()),
            containers: vec![container(gateway, image, own.resources)],
            volumes: Some(volumes::volumes(gateway)),
            termination_grace_period_seconds: Some(PRE_STOP_SECONDS + drain + AFTER_DRAIN_SECONDS),
            topology_spread_constraints: Some(spread(gateway)),
            image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
            node_selector: (!own.node_selector.is_empty()).then_some(own.node_selector),
            tolerations: (!own.tolerations.is_empty()).then_some(own.tolerations),
            affinity: own.affinity,
            priority_class_name: own.priority_class_name,
            host_users: own.host_users,
            ..PodSpec::default()
        }),
    }
}

fn container(gateway: &ValidatedGateway, image: &str, resources: Option<ResourceRequirements>) -> Container {
    let scheme = if references::ends_tls(&gateway.spec.exposure) { "HTTPS" } else { "HTTP" };
    let pull = gateway.spec.image.as_ref().and_then(|image| image.pull_policy);
    let pause = SleepAction { seconds: PRE_STOP_SECONDS };
    Container {
        name: "gateway".to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: pull.map(|policy| format!("{policy:?}")),
        args: Some(vec!["--config".to_owned(), format!("{}/gateway.yaml", rendering::CONFIG)]),
        env: Some(environment(gateway)),
        ports: Some(ports(gateway)),
        volume_mounts: Some(volumes::mounts(gateway)),
        resources: Some(resources.unwrap_or_else(default_resources)),
        security_context: Some(container_security()),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler { sleep: Some(pause), ..LifecycleHandler::default() }),
            ..Lifecycle::default()
        }),
        // Liveness asks nobody else: a database or an identity provider that is away is no reason to start anew.
        startup_probe: Some(probe(scheme, "/readyz", 2, 60)),
        readiness_probe: Some(probe(scheme, "/readyz", 5, 2)),
        liveness_probe: Some(probe(scheme, "/healthz", 10, 6)),
        ..Container::default()
    }
}

fn environment(gateway: &ValidatedGateway) -> Vec<EnvVar> {
    let spec = &gateway.spec;
    let drain = u64::from(spec.timeouts.drain_seconds) * 1000;
    let mut variables = vec![
        ("CLAUDE_GATEWAY_LOG_LEVEL", spec.log_level.word().to_owned()),
        ("CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS", drain.to_string()),
    ];
    if let Some(proxy) = &spec.proxy {
        variables.push(("HTTPS_PROXY", proxy.url.clone()));
        variables.push(("HTTP_PROXY", proxy.url.clone()));
        if !proxy.no_proxy.is_empty() {
            variables.push(("NO_PROXY", proxy.no_proxy.join(",")));
        }
        if proxy.is_egress_boundary {
            variables.push(("CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY", "1".to_owned()));
        }
    }
    let variable =
        |(name, value): (&str, String)| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    variables.into_iter().map(variable).collect()
}

fn ports(gateway: &ValidatedGateway) -> Vec<ContainerPort> {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let metrics = gateway.spec.metrics.enabled.then(|| port(METRICS_PORT_NAME, gateway.spec.metrics.port));
    [Some(port(PORT_NAME, rendering::PORT)), metrics].into_iter().flatten().collect()
}

fn probe(scheme: &str, path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PORT_NAME.to_owned()),
            scheme: Some(scheme.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// The limit of memory is what is requested: a pod that was promised less than it uses is the first to be killed.
fn default_resources() -> ResourceRequirements {
    let memory = ("memory".to_owned(), Quantity("256Mi".to_owned()));
    ResourceRequirements {
        requests: Some([("cpu".to_owned(), Quantity("250m".to_owned())), memory.clone()].into()),
        limits: Some([memory].into()),
        claims: None,
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

/// Over zones and over nodes, as far as there are any.
fn spread(gateway: &ValidatedGateway) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selector(gateway)),
        // Old and new pods of a rollout are counted apart.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    vec![over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")]
}
