//! A certificate for the public address, from cert-manager. Clients pin the leaf, so each new one makes every developer trust
//! again: it is asked for a year, and renewed a month before its end.

use crds::{
    PERMITTED_USE,
    gateway::exposure::{CertManager, IssuerRef},
};
use serde_json::{Value, json};

use crate::gateway::{kinds, validate::ValidatedGateway};

const YEAR: &str = "8760h0m0s";
const MONTH: &str = "720h0m0s";

pub(super) fn certificate(gateway: &ValidatedGateway, CertManager { issuer_ref }: &CertManager) -> Value {
    let IssuerRef { name, kind, group } = issuer_ref;
    let (label, value) = PERMITTED_USE;
    json!({
        "metadata": { "name": gateway.identity.name },
        "spec": {
            "secretName": kinds::certificate(&gateway.identity.name),
            "secretTemplate": { "labels": { label: value } },
            "dnsNames": [gateway.public_url.host_str().unwrap_or_default()],
            "duration": YEAR,
            "renewBefore": MONTH,
            "usages": ["digital signature", "key encipherment", "server auth"],
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
            "issuerRef": { "name": name, "kind": kind, "group": group },
        },
    })
}
