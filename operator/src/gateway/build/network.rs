//! What may connect to pods and what they may connect to: nothing, but for what a gateway needs.

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{named, selector};
use crate::gateway::{rendering, validate::ValidatedGateway};

/// Where clouds hand out credentials of a node, and what is no address of the world.
const NOT_THE_WORLD_V4: [&str; 6] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const NOT_THE_WORLD_V6: [&str; 3] = ["::1/128", "fc00::/7", "fe80::/10"];

pub(super) fn policy(gateway: &ValidatedGateway) -> NetworkPolicy {
    NetworkPolicy {
        metadata: named(&gateway.identity.name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(gateway)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![ingress(gateway)]),
            egress: Some(egress(gateway)),
        }),
    }
}

fn ingress(gateway: &ValidatedGateway) -> NetworkPolicyIngressRule {
    let spec = &gateway.spec;
    let namespace = |name: &String| LabelSelector {
        match_labels: Some([("kubernetes.io/metadata.name".to_owned(), name.clone())].into()),
        match_expressions: None,
    };
    let from = |selector| NetworkPolicyPeer { namespace_selector: Some(selector), ..NetworkPolicyPeer::default() };
    let named: Vec<_> = spec.network_policy.ingress_namespaces.iter().map(namespace).map(from).collect();
    let anywhere = || vec![from(LabelSelector::default())];
    let metrics = spec.metrics.enabled.then_some(spec.metrics.port);
    NetworkPolicyIngressRule {
        from: Some(if named.is_empty() { anywhere() } else { named }),
        ports: Some([Some(rendering::PORT), metrics].into_iter().flatten().map(|port| on("TCP", port)).collect()),
    }
}

fn egress(gateway: &ValidatedGateway) -> Vec<NetworkPolicyEgressRule> {
    let block = |cidr: &str, except: &[&str]| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_owned(),
            except: (!except.is_empty()).then(|| except.iter().map(|&range| range.to_owned()).collect()),
        }),
        ..NetworkPolicyPeer::default()
    };
    let names = NetworkPolicyEgressRule { to: None, ports: Some(vec![on("UDP", 53), on("TCP", 53)]) };
    let world = NetworkPolicyEgressRule {
        to: Some(vec![block("0.0.0.0/0", &NOT_THE_WORLD_V4), block("::/0", &NOT_THE_WORLD_V6)]),
        ports: Some(vec![on("TCP", 443)]),
    };
    let own = gateway.spec.network_policy.egress.iter().map(|egress| NetworkPolicyEgressRule {
        to: Some(vec![block(&egress.cidr, &[])]),
        ports: Some(vec![on("TCP", egress.port)]),
    });
    [names, world].into_iter().chain(own).collect()
}

fn on(protocol: &str, port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(port))),
        end_port: None,
    }
}
