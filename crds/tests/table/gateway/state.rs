//! How many pods there are, of which image, and where their state is.

use serde_json::json;

use super::texts;
use crate::table::{
    Case, Change, accepted,
    objects::{full_gateway, gateway, other_gateway, secret},
    refused,
};

pub(super) fn replicas_and_image() -> Vec<Case> {
    let autoscaling = json!({ "maxReplicas": 5 });
    let mut cases = vec![
        refused(
            "replicas beside autoscaling",
            gateway().with("spec.replicas", json!(2)).with("spec.autoscaling", autoscaling.clone()),
            "spec",
            "replicas stands beside autoscaling",
        ),
        accepted("autoscaling alone", gateway().with("spec.autoscaling", autoscaling)),
        accepted("no replicas for the night", gateway().with("spec.replicas", json!(0))),
        refused(
            "fewest above most",
            gateway().with("spec.autoscaling", json!({ "minReplicas": 6, "maxReplicas": 5 })),
            "spec.autoscaling",
            "minReplicas is above maxReplicas",
        ),
        refused(
            "a default of two above the most",
            gateway().with("spec.autoscaling", json!({ "maxReplicas": 1 })),
            "spec.autoscaling",
            "minReplicas is above maxReplicas",
        ),
        refused(
            "a tag beside a digest",
            other_gateway().with("spec.image.tag", json!("1")),
            "spec.image",
            "tag stands beside digest",
        ),
    ];
    let repository = "spec.image.repository";
    cases.extend(texts(
        full_gateway,
        repository,
        "is no repository",
        &["gateway", "localhost:5000/a/b"],
        &["Gateway", "a/b@sha256", "-a"],
    ));
    cases.extend(texts(full_gateway, "spec.image.tag", "is no tag", &["0.1.0", "latest", "_a"], &["-a", "a:b", "a/b"]));
    cases.extend(texts(other_gateway, "spec.image.digest", "is no digest", &[], &["sha256:abc", "md5:00"]));
    cases
}

pub(super) fn database() -> Vec<Case> {
    let one = "write one of urlSecretRef and host";
    let mut cases = vec![
        refused("no database", gateway().with("spec.database", json!({})), "spec.database", one),
        refused("two databases", other_gateway().with("spec.database.urlSecretRef", secret()), "spec.database", one),
        refused(
            "a host without its database",
            other_gateway().without("spec.database.name"),
            "spec.database",
            "name and migrationSecretRef go with host",
        ),
        refused(
            "a host without a role",
            other_gateway().without("spec.database.migrationSecretRef"),
            "spec.database",
            "name and migrationSecretRef go with host",
        ),
        refused(
            "a port beside a URL",
            gateway().with("spec.database.port", json!(5_432)),
            "spec.database",
            "port, name and sslMode go with host",
        ),
        refused(
            "a CA from two places",
            full_gateway().with("spec.database.caCertificate.secretRef", secret()),
            "spec.database.caCertificate",
            "takes exactly one of configMapRef, secretRef",
        ),
    ];
    cases.extend(texts(
        other_gateway,
        "spec.database.host",
        "is no single host",
        &["postgres", "10.0.0.1", "fd00::1"],
        &["user:password@postgres", "postgres:5432", "one,two", "postgres/claude"],
    ));
    cases.extend(texts(
        other_gateway,
        "spec.database.name",
        "is no name of a database",
        &["claude_1", "Claude-2"],
        &["a b", "a?sslmode=disable", "a/b"],
    ));
    cases.extend(texts(
        gateway,
        "spec.database.schema",
        "is no schema of yours",
        &["claude", "_a1"],
        &["Claude", "a-b", "1a", "pg_catalog", "information_schema", "a;drop"],
    ));
    cases
}
