//! A9: which policies a gateway has.

use serde_json::json;

use crate::{
    stage::Stage,
    table::{Change, objects::policy},
};

#[tokio::test]
async fn a9_policies_are_found_by_their_gateway() {
    let stage = Stage::set().await;
    for (name, gateway) in [
        ("one", json!({ "name": "claude" })),
        ("two", json!({ "name": "other" })),
        ("three", json!({ "name": "claude", "namespace": "platform" })),
    ] {
        let object = policy().with("metadata.name", json!(name)).with("spec.gatewayRef", gateway);
        assert!(stage.create(&object).await.is_accepted());
    }
    let found = async |selector: &str| {
        let command = format!("get upol --namespace {} --output name --field-selector {selector}", stage.namespace);
        let text = stage.plane.kubectl().run(&command).await.unwrap();
        text.lines().map(|line| line.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("spec.gatewayRef.name=claude").await, ["one", "three"]);
    assert_eq!(found("spec.gatewayRef.name=claude,spec.gatewayRef.namespace=platform").await, ["three"]);
    assert_eq!(found("spec.gatewayRef.name=nobody").await, [""; 0]);
}
