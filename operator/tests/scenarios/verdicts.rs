//! B2 and B5: how each object looks to whoever waits for it, and what it says to whoever reads it.

use std::collections::BTreeSet;

use e2e::{
    cast::{openid::OpenIdProvider, patience::eventually},
    cluster::verdicts,
};
use serde_json::{Value, json};

use crate::stage::Stage;

/// In every Secret that a broken gateway refers to, and in what is wrong about it.
const CANARY: &str = "canary-0f3c9a";

/// One object and what becomes of it.
struct Case {
    objects: Vec<Value>,
    kinds: &'static str,
    name: &'static str,
    /// Of the condition that decides: `Ready`, or `Accepted` and then `Synced`.
    reason: &'static str,
    verdict: &'static str,
}

impl Stage {
    /// A gateway with a Secret and a schema of its own, changed.
    fn broken(&self, name: &'static str, change: impl FnOnce(&mut [Value; 2])) -> Vec<Value> {
        let [mut secret, gateway, _] = self.one_of_many(name);
        secret["stringData"]["api-key"] = json!(CANARY);
        let mut objects = [secret, gateway];
        change(&mut objects);
        objects.into()
    }

    pub(crate) fn url_with(&self, change: impl FnOnce(&mut url::Url)) -> String {
        let mut url = url::Url::parse(&self.database_url).unwrap();
        change(&mut url);
        url.into()
    }
}

/// The golden table.
fn gateways(stage: &Stage, another_issuer: &str) -> Vec<Case> {
    let case = |name, reason, verdict, change: &dyn Fn(&mut [Value; 2])| Case {
        objects: stage.broken(name, change),
        kinds: "claudegateways",
        name,
        reason,
        verdict,
    };
    let wrong_password = stage.url_with(|url| url.set_password(Some(CANARY)).unwrap());
    let nobody_there = stage.url_with(|url| {
        url.set_password(Some(CANARY)).unwrap();
        url.set_port(Some(1)).unwrap();
    });
    let foreign = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": stage.namespace },
            "spec": { "ports": [{ "port": 1 }] },
        })
    };
    let mut conflict = case("conflict", "NameConflict", "Failed", &|_| {});
    conflict.objects.insert(0, foreign("conflict"));
    vec![
        case("rolling", "PodsNotReady", "InProgress", &|_| {}),
        case("asleep", "ScaledToZero", "InProgress", &|objects| objects[1]["spec"]["replicas"] = json!(0)),
        case("keyless", "SecretKeyMissing", "Failed", &|objects| {
            objects[0]["stringData"].as_object_mut().unwrap().remove("header");
        }),
        case("secretless", "SecretMissing", "Failed", &|objects| objects[0]["metadata"]["name"] = json!("unrelated")),
        case("unpermitted", "SecretNotPermitted", "Failed", &|objects| objects[0]["metadata"]["labels"] = json!({})),
        case("mapless", "ConfigMapMissing", "Failed", &|objects| {
            let authority = json!({ "configMapRef": { "name": "nothing", "key": "ca.pem" } });
            objects[1]["spec"]["upstreams"][0]["caCertificate"] = authority;
        }),
        case("misaddressed", "DatabaseUrlInvalid", "Failed", &|objects| {
            objects[0]["stringData"]["postgres-url"] = json!(format!("postgres://user:{CANARY}@[::/x"));
        }),
        case("locked-out", "DatabaseLoginRefused", "Failed", &|objects| {
            objects[0]["stringData"]["postgres-url"] = json!(wrong_password);
        }),
        case("databaseless", "DatabaseUnavailable", "InProgress", &|objects| {
            objects[0]["stringData"]["postgres-url"] = json!(nobody_there);
        }),
        case("issuerless", "IdentityProviderUnavailable", "InProgress", &|objects| {
            objects[1]["spec"]["oidc"]["issuer"] = json!("http://127.0.0.1:1");
        }),
        case("mistaken", "IdentityProviderMismatch", "Failed", &|objects| {
            objects[1]["spec"]["oidc"]["discoveryUrl"] =
                json!(format!("{another_issuer}/.well-known/openid-configuration"));
        }),
        case("routed", "APIMissing", "Failed", &|objects| {
            objects[1]["spec"]["exposure"] =
                json!({ "kind": "HTTPRoute", "parentRefs": [{ "name": "front" }], "trustedProxies": ["10.0.0.0/8"] });
        }),
        // Paused before it was ever looked at: there is nothing to say of it.
        case("resting", "", "Current", &|objects| {
            objects[1]["metadata"]["annotations"] = json!({ "claude-gateway.dev/paused": "true" });
        }),
        conflict,
    ]
}

fn policies(stage: &Stage) -> Vec<Case> {
    let case = |name, reason, verdict, spec: Value, gateway: Value| {
        let mut policy = stage.policy(name, spec);
        policy["spec"]["gatewayRef"] = gateway;
        Case { objects: vec![policy], kinds: "userpolicies", name, reason, verdict }
    };
    let of = |name: &str| json!({ "name": name });
    let eng = || json!({ "match": { "groups": ["eng"] } });
    let mut resting = case("resting-policy", "", "Current", eng(), of("rolling"));
    resting.objects[0]["metadata"]["annotations"] = json!({ "claude-gateway.dev/paused": "true" });
    vec![
        resting,
        case("base-of-rolling", "Stored", "Current", json!({}), of("rolling")),
        case("second-base", "BaseConflict", "Failed", json!({}), of("rolling")),
        case("orphan", "GatewayNotFound", "InProgress", eng(), of("nobody")),
        case("foreign", "RefNotPermitted", "Failed", eng(), json!({ "name": "rolling", "namespace": "elsewhere" })),
        case("early", "GatewayNotReady", "InProgress", eng(), of("secretless")),
        case("cut-off", "DatabaseUnavailable", "InProgress", eng(), of("databaseless")),
    ]
}

/// What decides: the first that is not as it should be.
fn reason(object: &Value) -> &str {
    let conditions = || object["status"]["conditions"].as_array().into_iter().flatten();
    let of = |name: &str| conditions().find(|condition| condition["type"] == name);
    let deciding = match of("Accepted") {
        Some(accepted) if accepted["status"] == "True" => of("Synced"),
        Some(accepted) => Some(accepted),
        None => of("Ready"),
    };
    deciding.and_then(|condition| condition["reason"].as_str()).unwrap_or_default()
}

#[tokio::test]
async fn b2_b5_each_trouble_has_its_verdict_and_says_what_to_do_and_no_secret() {
    let stage = Stage::empty().await;
    let another = OpenIdProvider::start(Default::default()).await;
    // Nobody has seen it.
    stage.apply(&stage.one_of_many("unseen")).await;
    for what in ["claudegateway unseen", "userpolicy unseen-base"] {
        assert_eq!(verdicts(&[stage.get(what).await]).await.unwrap(), ["InProgress"], "B2: {what}, unseen");
    }
    stage.run("delete claudegateways,userpolicies --all").await;

    let _operator = stage.operator(&crate::stage::ALONE).await;
    let (mut cases, of_policies) = (gateways(&stage, &another.issuer()), policies(&stage));
    stage.apply(&cases.iter().flat_map(|case| case.objects.clone()).collect::<Vec<_>>()).await;
    stage.apply(&of_policies.iter().flat_map(|case| case.objects.clone()).collect::<Vec<_>>()).await;
    cases.extend(of_policies);
    let mut objects = Vec::new();
    for case in &cases {
        let what = format!("{} {}", case.kinds, case.name);
        eventually(&format!("{what} is {}", case.reason), async || {
            let object = stage.get(&what).await;
            reason(&object) == case.reason && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
    }
    stage.until_settled().await;
    for case in &cases {
        objects.push(stage.get(&format!("{} {}", case.kinds, case.name)).await);
    }
    let found = verdicts(&objects).await.unwrap();
    let mut table = Vec::new();
    for (case, (verdict, object)) in cases.iter().zip(found.iter().zip(&objects)) {
        println!("B2: {:14} {:16} {:28} {verdict}", case.kinds, case.name, reason(object));
        if case.verdict != verdict {
            table.push(format!("{} {}: {verdict}, not {}", case.kinds, case.name, case.verdict));
        }
        judged(object);
    }
    assert!(table.is_empty(), "B2: {table:#?}");

    stage.patch("claudegateway rolling", json!({ "metadata": { "finalizers": ["test.example.com/kept"] } })).await;
    stage.run("delete claudegateway rolling --wait=false").await;
    let going = stage.get("claudegateway rolling").await;
    assert_eq!(verdicts(&[going]).await.unwrap(), ["Terminating"], "B2");
    stage.patch("claudegateway rolling", json!({ "metadata": { "finalizers": null } })).await;

    let events = stage.get("events.events.k8s.io").await;
    for event in events["items"].as_array().unwrap() {
        let note = event["note"].as_str().unwrap();
        assert!(note.len() <= 1024 && !note.contains(CANARY), "B5: {note}");
    }
    let log = stage.run("get claudegateways,userpolicies,events,deployments,services --output json").await;
    assert!(!log.contains(CANARY) && !log.contains(&password(&stage)), "B5: a secret is shown");
}

fn password(stage: &Stage) -> String {
    let url = url::Url::parse(&stage.database_url).unwrap();
    url.password().unwrap().to_owned()
}

/// B5: short, plain, documented, with the next step where one has to be taken.
fn judged(object: &Value) {
    let documented: BTreeSet<_> = include_str!("../../../docs/conditions.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(reason, _)| reason))
        .collect();
    for condition in object["status"]["conditions"].as_array().unwrap() {
        let (reason, message) = (condition["reason"].as_str().unwrap(), condition["message"].as_str().unwrap());
        let told = format!("{} {}: {condition}", object["kind"], object["metadata"]["name"]);
        assert!(documented.contains(reason), "B5: an undocumented reason: {told}");
        assert!(!message.is_empty() && message.len() <= 1024, "B5: {told}");
        assert!(!message.contains(CANARY), "B5: a secret: {told}");
        for trace in ["panicked", ".rs:", "stack backtrace", "\n", "Error {", "Some("] {
            assert!(!message.contains(trace), "B5: a trace of the program: {told}");
        }
        let needs_somebody = condition["status"] == "False" && condition["type"] == "Ready"
            || condition["type"] == "Stalled"
            || condition["status"] == "False" && condition["type"] == "Accepted";
        assert!(!needs_somebody || says_what_to_do(message), "B5: no next step: {told}");
    }
}

fn says_what_to_do(message: &str) -> bool {
    const STEPS: [&str; 18] = [
        "make ",
        "put ",
        "write ",
        "correct ",
        "delete ",
        "see ",
        "look at ",
        "install ",
        "wait",
        "tried again",
        "raise ",
        "label ",
        "name ",
        "restore ",
        "remove ",
        "use ",
        "add ",
        "ask ",
    ];
    let message = message.to_lowercase();
    STEPS.iter().any(|step| message.contains(step))
}

/// B6: what happens over and over is one event with a count.
#[tokio::test]
async fn b6_a_failure_that_comes_a_hundred_times_is_one_event() {
    let (stage, _operator) = Stage::set().await;
    stage.apply(&[stage.gateway(json!({}))]).await;
    stage.until("Stalled", "True", "SecretMissing").await;
    let looked = stage.plane.mark();
    for number in 0..100 {
        stage
            .patch("claudegateway claude", json!({ "metadata": { "annotations": { "touched": format!("{number}") } } }))
            .await;
    }
    eventually("it is looked at again and again", async || {
        stage.calls_since(looked).iter().filter(|call| call.resource == "secrets" && call.name == "secrets").count()
            >= 30
    })
    .await;
    stage.until_settled().await;
    let events = async || {
        let events = stage.get("events.events.k8s.io").await;
        let ours = |event: &&Value| event["regarding"]["name"] == "claude" && event["reason"] == "SecretMissing";
        events["items"].as_array().unwrap().iter().filter(ours).cloned().collect::<Vec<_>>()
    };
    let one = events().await;
    assert_eq!(one.len(), 1, "B6: {one:#?}");
    assert!(one[0]["series"].is_null(), "B6: no turn was taken");

    stage.apply(&[stage.secret()]).await;
    eventually("no stall", async || stage.condition("Stalled").await.is_null()).await;
    stage.run("delete secret secrets").await;
    stage.until("Stalled", "True", "SecretMissing").await;
    eventually("the same turn again is counted", async || events().await[0]["series"]["count"] == 2).await;
    assert_eq!(events().await.len(), 1, "B6: still one");
    let writes = stage.plane.calls_since(looked).unwrap();
    let own = writes.iter().filter(|call| call.user == stage.install.user() && call.resource == "events");
    let forms: BTreeSet<_> = own.map(|call| (call.group.as_str(), call.verb.as_str())).collect();
    let allowed = BTreeSet::from([("events.k8s.io", "create"), ("events.k8s.io", "patch")]);
    assert!(forms.is_subset(&allowed), "B6: {forms:?}");
}
