//! D6 for the operator's own pods: the metadata services stay out of reach, and what is rendered is a policy that the API takes.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::stage::{installations, of_kind, render};

const METADATA: [&str; 4] = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"];

struct Block {
    within: IpNet,
    except: Vec<IpNet>,
}

impl Block {
    fn read(block: &Value) -> Self {
        let net = |text: &Value| text.as_str().unwrap().parse().unwrap();
        Self {
            within: net(&block["cidr"]),
            except: block["except"].as_array().into_iter().flatten().map(net).collect(),
        }
    }

    fn lets(&self, address: IpAddr) -> bool {
        self.within.contains(&address) && !self.except.iter().any(|net| net.contains(&address))
    }
}

/// The blocks that any rule of any policy opens.
fn opened() -> Vec<(&'static str, Block)> {
    let mut all = Vec::new();
    for (installation, values) in installations() {
        for policy in of_kind(&render(&values), "NetworkPolicy") {
            for rule in policy["spec"]["egress"].as_array().unwrap() {
                let peers = rule["to"].as_array().unwrap();
                all.extend(peers.iter().filter_map(|peer| Some((installation, Block::read(peer.get("ipBlock")?)))));
            }
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn no_rule_reaches_a_metadata_service() {
    for (installation, block) in opened() {
        for address in METADATA {
            assert!(!block.lets(address.parse().unwrap()), "{installation}: {} reaches {address}", block.within);
        }
    }
}

#[test]
fn every_exception_lies_within_its_block() {
    for (installation, block) in opened() {
        for net in &block.except {
            assert!(block.within.contains(net), "{installation}: {net} is not in {}", block.within);
        }
    }
}

#[test]
fn every_rule_names_its_peers_and_its_ports() {
    for (installation, values) in installations() {
        for policy in of_kind(&render(&values), "NetworkPolicy") {
            assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
            let rules = ["ingress", "egress"].map(|way| policy["spec"][way].as_array().unwrap().clone()).concat();
            for rule in rules {
                let peers = rule.get("to").or(rule.get("from")).and_then(Value::as_array);
                assert!(peers.is_some_and(|peers| !peers.is_empty()), "{installation}: {rule} opens to everybody");
                assert!(rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()), "{installation}: {rule}");
            }
        }
    }
}
