//! A2 and A3: the table of `crds`, judged by the API server.

use e2e::cluster::foreign::{self, EXTERNAL_SECRET};
use serde_json::{Value, json};

use crate::{
    stage::{Answer, Stage},
    table::{
        Case, Verdict, cases,
        objects::{gateway, policy},
        samples::samples,
        schema::{at, nodes, schemas},
    },
};

fn verdict(case: &Case, answer: &Answer) -> Result<(), String> {
    match &case.verdict {
        Verdict::Accepted if answer.is_accepted() => Ok(()),
        Verdict::Accepted => Err(format!("{}: is refused: {}", case.name, answer.message())),
        Verdict::Refused { field, says } => {
            let causes = answer.body["details"]["causes"].as_array().cloned().unwrap_or_default();
            let said = |cause: &Value| {
                let at = cause["field"].as_str().unwrap_or_default();
                let message = cause["message"].as_str().unwrap_or_default();
                at == field && says.as_ref().is_none_or(|says| message.contains(says.as_str()))
            };
            if answer.status == 422 && causes.iter().any(said) {
                return Ok(());
            }
            Err(format!("{}: nobody says {says:?} of {field}: {} {}", case.name, answer.status, answer.message()))
        }
    }
}

#[tokio::test]
async fn a2_every_case_of_the_table_has_its_verdict_and_a_refusal_names_the_field() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.before.is_none()) {
        wrong.extend(verdict(case, &stage.would_create(&case.object).await).err());
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a3_what_a_gateways_state_hangs_on_cannot_change_and_the_rest_can() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for (number, case) in cases().into_iter().filter(|case| case.before.is_some()).enumerate() {
        let named = |object: &Value| {
            let mut object = object.clone();
            object["metadata"]["name"] = format!("case-{number}").into();
            object
        };
        let made = stage.create(&named(case.before.as_ref().unwrap())).await;
        assert!(made.is_accepted(), "{}: {}", case.name, made.message());
        let mut object = named(&case.object);
        object["metadata"]["resourceVersion"] = made.body["metadata"]["resourceVersion"].clone();
        wrong.extend(verdict(&case, &stage.would_replace(&object).await).err());
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a2_every_default_is_filled_in() {
    let stage = Stage::set().await;
    for (object, (kind, schema)) in [gateway(), policy()].into_iter().zip(schemas()) {
        assert_eq!(object["kind"], kind.as_str());
        let answer = stage.would_create(&object).await;
        for node in nodes(&schema) {
            let parent = node.path.rsplit_once('.').map_or("", |(parent, _)| parent);
            let Some(default) = node.schema.get("default").filter(|_| at(&object, &node.path).is_none()) else {
                continue;
            };
            let has_parent = at(&answer.body, parent).is_some();
            assert!(!has_parent || at(&answer.body, &node.path) == Some(default), "{kind}: {}", node.path);
        }
    }
    let filled = stage.would_create(&gateway()).await.body;
    assert_eq!(filled["spec"]["session"], json!({ "ttlMinutes": 60, "maxDays": 90 }));
    assert_eq!(filled["spec"]["oidc"]["scopes"], json!(["openid", "profile", "email", "offline_access"]));
    assert_eq!(filled["spec"]["database"]["schema"], "claude_gateway");
}

#[tokio::test]
async fn a2_every_sample_is_accepted_with_every_field_of_it_known() {
    let kubectl = Stage::set().await.plane.kubectl();
    kubectl.apply(&foreign::definitions(&[EXTERNAL_SECRET]).await.unwrap()[0].to_string()).await.unwrap();
    kubectl.run("wait --for=condition=Established crd --all --timeout=60s").await.unwrap();
    for (file, objects) in samples() {
        let stage = Stage::set().await;
        let text = objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
        let arguments = ["apply", "--validate=strict", "--namespace", stage.namespace.as_str(), "--filename", "-"];
        let applied = kubectl.run_with(&arguments, &text).await;
        assert!(applied.is_ok(), "{file}: {applied:?}");
    }
}
