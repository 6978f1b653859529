//! The objects as they are sent, and what may change them.

use serde_json::{Value, json};

use super::*;
use crate::gateway::{
    condition::Finding,
    dereference::Foreign,
    fixtures::{self, complete, desired, minimal},
    login::StandingLogin,
    validate::validate,
};
use crate::store::PodLogin;

fn find(desired: &Desired, kind: Kind) -> Option<Value> {
    desired
        .objects
        .iter()
        .find(|planned| planned.kind == kind)
        .map(|planned| serde_json::to_value(&planned.object).unwrap())
}

fn template(desired: &Desired) -> Value {
    find(desired, Kind::Deployment).unwrap()["spec"]["template"].clone()
}

fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[key] = value;
    spec
}

/// Everything, with the files within Secrets readable.
fn shown(desired: &Desired) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut text = String::new();
    for planned in &desired.objects {
        let mut value = serde_json::to_value(&planned.object).unwrap();
        if planned.kind == Kind::Secret {
            for (_, data) in value["data"].as_object_mut().unwrap() {
                let bytes = BASE64_STANDARD.decode(data.as_str().unwrap()).unwrap();
                *data = match String::from_utf8(bytes).unwrap() {
                    file if file.starts_with('{') => serde_json::from_str(&file).unwrap(),
                    text => json!(text),
                };
            }
        }
        text.push_str(&format!("{value:#}\n"));
    }
    text
}

#[test]
fn the_smallest_gateway_becomes_these_objects() {
    insta::assert_snapshot!("minimal", shown(&desired(minimal())));
}

#[test]
fn a_gateway_that_says_nearly_everything_becomes_these_objects() {
    insta::assert_snapshot!("complete", shown(&desired(complete())));
}

/// With a certificate that somebody brings, as it stands in this Secret.
fn served_by_pods(secret: Option<(&str, &str)>) -> Result<Desired, Finding> {
    let tls = match secret {
        Some(_) => json!({ "secretRef": { "name": "claude-tls" } }),
        None => json!({ "certManager": { "issuerRef": { "name": "company" } } }),
    };
    let gateway = fixtures::object(with(minimal(), "/exposure", json!({ "kind": "None", "tls": tls })));
    let mut world = fixtures::world(&gateway);
    if let Some((certificate, key)) = secret {
        let data = [("tls.crt", certificate), ("tls.key", key)].map(|(name, pem)| (name.to_owned(), pem.into()));
        world.secrets.insert("claude-tls".to_owned(), Foreign::Found(data.into()));
    }
    let gateway = validate(&gateway, &world, Some(fixtures::IMAGE))?;
    let (login, keys) = (fixtures::login(), fixtures::keys());
    Ok(build(&gateway, &fixtures::found(&login, &keys)).unwrap())
}

#[test]
fn e3_pods_that_nothing_stands_in_front_of_end_tls_themselves() {
    let (certificate, key) = fixtures::certificate_and_key();
    for (secret, path) in [
        (Some((certificate, key)), "/run/claude-gateway/secrets/claude-tls/tls.crt"),
        (None, "/run/claude-gateway/tls/tls.crt"),
    ] {
        let desired = served_by_pods(secret).unwrap();
        let container = &template(&desired)["spec"]["containers"][0];
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
        }
        assert!(shown(&desired).contains(&format!("\"cert\": \"{path}\"")), "{path}");
        let mounted = |mount: &Value| path.starts_with(mount["mountPath"].as_str().unwrap());
        assert!(container["volumeMounts"].as_array().unwrap().iter().any(mounted), "{container:#}");
        assert_eq!(find(&desired, Kind::Service).unwrap()["spec"]["ports"][0]["port"], 443);
    }
    assert!(!shown(&desired(minimal())).contains("HTTPS"), "an Ingress speaks plainly to pods");
    let refused = served_by_pods(Some((certificate, "no key"))).unwrap_err();
    assert!(refused.message().contains("listen.tls.key"), "{}", refused.message());
}

#[test]
fn c1_the_same_input_gives_the_same_bytes() {
    for spec in [minimal(), complete()] {
        assert_eq!(shown(&desired(spec.clone())), shown(&desired(spec)));
    }
}

#[test]
fn c15_only_what_a_running_pod_cannot_take_rolls_pods() {
    let before = template(&desired(complete()));
    let taken = [
        ("/admin/adminGroups", json!(["others"])),
        ("/networkPolicy/egress", json!([])),
        ("/metrics/serviceMonitor", json!({ "intervalSeconds": 60 })),
        ("/exposure/annotations", json!({ "a": "b" })),
        ("/autoscaling/maxReplicas", json!(20)),
    ];
    for (pointer, value) in taken {
        assert_eq!(template(&desired(with(complete(), pointer, value))), before, "{pointer}");
    }
    let not_taken = [
        ("/oidc/clientId", json!("other")),
        ("/session/maxDays", json!(60)),
        ("/upstreams/0/weight", json!(3)),
        ("/timeouts", json!({ "drainSeconds": 60 })),
        ("/logLevel", json!("debug")),
        ("/podTemplate/annotations", json!({ "note": "other" })),
    ];
    for (pointer, value) in not_taken {
        assert_ne!(template(&desired(with(complete(), pointer, value))), before, "{pointer}");
    }
}

#[test]
fn c15_secrets_that_pods_read_again_roll_none_and_those_they_do_not_roll_them() {
    let gateway = fixtures::object(complete());
    let changed = |key: &str| {
        let mut world = fixtures::world(&gateway);
        let Some(Foreign::Found(data)) = world.secrets.get_mut("claude") else { panic!() };
        data.insert(key.to_owned(), "x".repeat(48).into_bytes());
        let gateway = validate(&gateway, &world, Some(fixtures::IMAGE)).unwrap();
        let (login, keys) = (fixtures::login(), fixtures::keys());
        template(&build(&gateway, &fixtures::found(&login, &keys)).unwrap())
    };
    let before = template(&desired(complete()));
    for key in ["api-key", "client-secret", "admin"] {
        assert_eq!(changed(key), before, "{key}");
    }
    assert_ne!(changed("header"), before);
}

/// What a Deployment that was built says when it is read again.
fn given(desired: &Desired) -> Option<Given> {
    let deployment = serde_json::from_value(find(desired, Kind::Deployment).unwrap()).unwrap();
    super::given(Some(&deployment))
}

fn image(desired: &Desired) -> Value {
    template(desired)["spec"]["containers"][0]["image"].clone()
}

#[test]
fn c15_an_operator_with_another_image_rolls_no_gateway_that_names_none_until_its_owner_wants_it() {
    let (login, keys) = (fixtures::login(), fixtures::keys());
    let built = |spec: Value, asked: Option<&str>, operator: &str, given: Option<&Given>| {
        let mut gateway = fixtures::object(spec);
        gateway.metadata.annotations = asked.map(|asked| [(crds::TAKE_IMAGE.to_owned(), asked.to_owned())].into());
        let world = fixtures::world(&gateway);
        let gateway = validate(&gateway, &world, Some(operator)).unwrap();
        build(&gateway, &Found { given, ..fixtures::found(&login, &keys) }).unwrap()
    };
    let first = built(minimal(), None, "gateway:1", None);
    assert_eq!((image(&first), &first.newer_image), (json!("gateway:1"), &None));
    let before = given(&first);
    let second = built(minimal(), None, "gateway:2", before.as_ref());
    assert_eq!(template(&second), template(&first), "nothing rolls");
    assert_eq!(second.newer_image.as_deref(), Some("gateway:2"));
    let third = built(minimal(), None, "gateway:3", given(&second).as_ref());
    assert_eq!(image(&third), "gateway:1", "nor does the one after");
    let elsewhere = with(minimal(), "/networkPolicy", json!({ "enabled": false }));
    assert_eq!(image(&built(elsewhere, None, "gateway:2", before.as_ref())), "gateway:1");
    assert_eq!(image(&built(minimal(), Some("now"), "gateway:2", before.as_ref())), "gateway:2", "asked for");
    let replaced = with(minimal(), "/logLevel", json!("debug"));
    assert_eq!(image(&built(replaced, None, "gateway:2", before.as_ref())), "gateway:2", "pods are replaced anyway");
    let named = with(minimal(), "/image", json!({ "repository": "mine", "tag": "7" }));
    let pinned = built(named, None, "gateway:2", before.as_ref());
    assert_eq!((image(&pinned), &pinned.newer_image), (json!("mine:7"), &None));
    let partly = with(minimal(), "/image", json!({ "repository": "mirror" }));
    assert_eq!(image(&built(partly, None, "gateway:2", before.as_ref())), "mirror:2", "the owner changed it");
}

#[test]
fn c15_another_login_of_the_pods_rolls_none() {
    let (gateway, keys) = (fixtures::validated(minimal()).unwrap(), fixtures::keys());
    let of = |login: &StandingLogin| template(&build(&gateway, &fixtures::found(login, &keys)).unwrap());
    let next = PodLogin { username: "claude_gateway_b".to_owned(), password: "another".to_owned().into() };
    let next = StandingLogin { login: next, since: jiff::Timestamp::MAX };
    assert_eq!(of(&fixtures::login()), of(&next));
}

#[test]
fn a_key_that_rotates_rolls_no_pod() {
    let (gateway, login) = (fixtures::validated(minimal()).unwrap(), fixtures::login());
    let of = |keys: &KeySet| template(&build(&gateway, &fixtures::found(&login, keys)).unwrap());
    let first = fixtures::keys();
    let known = vec![first.entries().iter().map(|entry| entry.id.clone()).collect::<Vec<_>>()];
    let later = jiff::Timestamp::from_second(90 * 86_400).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let second = first.next(later, jiff::SignedDuration::from_hours(24), &known, &random).unwrap().unwrap();
    assert_eq!(second.keys().len(), 2);
    assert_eq!(of(&first), of(&second));
}

#[test]
fn e1_pods_are_replaced_without_a_gap_and_drain_before_they_end() {
    let desired = desired(minimal());
    let deployment = find(&desired, Kind::Deployment).unwrap();
    let strategy = &deployment["spec"]["strategy"]["rollingUpdate"];
    assert_eq!((&strategy["maxUnavailable"], &strategy["maxSurge"]), (&json!(0), &json!("25%")));
    assert!(deployment["spec"]["minReadySeconds"].as_i64().unwrap() > 0);
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    let drain = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|variable| variable["name"] == "CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS");
    let drain: i64 = drain.unwrap()["value"].as_str().unwrap().parse().unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_i64().unwrap() >= pause + drain / 1000 + 5);
    assert_eq!(container["startupProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz", "it asks neither database nor provider");
    assert_eq!(pod["topologySpreadConstraints"].as_array().unwrap().len(), 2);
    assert_eq!(find(&desired, Kind::PodDisruptionBudget).unwrap()["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    let single = fixtures::desired(with(minimal(), "/replicas", json!(1)));
    assert!(find(&single, Kind::PodDisruptionBudget).is_none(), "one pod must not keep its node from being drained");
}

#[test]
fn e2_the_autoscaler_takes_pods_away_slowly_and_none_while_they_could_not_come_back() {
    let autoscaler = find(&desired(complete()), Kind::HorizontalPodAutoscaler).unwrap();
    let down = &autoscaler["spec"]["behavior"]["scaleDown"];
    assert!(down["stabilizationWindowSeconds"].as_i64().unwrap() >= 300);
    assert_eq!(down["policies"], json!([{ "type": "Pods", "value": 1, "periodSeconds": 120 }]));
    let resources = template(&desired(minimal()))["spec"]["containers"][0]["resources"].clone();
    assert!(resources["requests"]["cpu"].is_string());
    assert_eq!(resources["limits"]["memory"], resources["requests"]["memory"]);

    let (gateway, login, keys) = (fixtures::validated(complete()).unwrap(), fixtures::login(), fixtures::keys());
    let away = build(&gateway, &Found { database_ready: false, ..fixtures::found(&login, &keys) }).unwrap();
    assert!(away.held);
    assert_eq!(
        find(&away, Kind::HorizontalPodAutoscaler).unwrap()["spec"]["behavior"]["scaleDown"]["selectPolicy"],
        "Disabled"
    );
}

#[test]
fn c9_where_an_autoscaler_decides_the_number_of_pods_is_not_said() {
    assert!(find(&desired(complete()), Kind::Deployment).unwrap()["spec"].get("replicas").is_none());
    assert_eq!(find(&desired(minimal()), Kind::Deployment).unwrap()["spec"]["replicas"], 2);
}

#[test]
fn d4_pods_are_restricted_and_have_no_token() {
    for spec in [minimal(), complete()] {
        let pod = template(&desired(spec))["spec"].clone();
        assert_eq!(pod["automountServiceAccountToken"], false);
        let security = &pod["securityContext"];
        assert_eq!((&security["runAsNonRoot"], &security["runAsUser"]), (&json!(true), &json!(65532)));
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(
            (&container["allowPrivilegeEscalation"], &container["readOnlyRootFilesystem"]),
            (&json!(false), &json!(true))
        );
        let volumes = pod["volumes"].as_array().unwrap();
        assert!(volumes.iter().all(|volume| volume.get("hostPath").is_none()));
        let empty = volumes.iter().filter_map(|volume| volume.get("emptyDir"));
        assert!(empty.clone().count() == 2 && empty.into_iter().all(|empty| empty["sizeLimit"].is_string()));
    }
    assert_eq!(template(&desired(complete()))["spec"]["hostUsers"], false);
}

#[test]
fn d6_egress_is_closed_but_for_names_the_world_and_what_is_named() {
    let policy = find(&desired(complete()), Kind::NetworkPolicy).unwrap();
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let egress = policy["spec"]["egress"].as_array().unwrap();
    let blocks: Vec<_> = egress.iter().flat_map(|rule| rule["to"].as_array().cloned().unwrap_or_default()).collect();
    let world = blocks.iter().find(|peer| peer["ipBlock"]["cidr"] == "0.0.0.0/0").unwrap();
    assert!(world["ipBlock"]["except"].as_array().unwrap().contains(&json!("169.254.0.0/16")));
    let world = blocks.iter().find(|peer| peer["ipBlock"]["cidr"] == "::/0").unwrap();
    assert!(world["ipBlock"]["except"].as_array().unwrap().contains(&json!("fc00::/7")), "fd00:ec2::254 is in it");
    assert!(blocks.iter().any(|peer| peer["ipBlock"]["cidr"] == "10.1.2.3/32"));
    assert!(egress.iter().all(|rule| rule["ports"].as_array().is_some_and(|ports| !ports.is_empty())));
}

#[test]
fn no_object_but_the_two_secrets_holds_anything_secret() {
    for spec in [minimal(), complete()] {
        for planned in desired(spec).objects.iter().filter(|planned| planned.kind != Kind::Secret) {
            let text = serde_json::to_string(&planned.object).unwrap();
            for secret in
                ["hidden", "client-secret-value", "api-key-value", "header-value", "pods-password", &"k".repeat(40)]
            {
                assert!(!text.contains(secret), "{} holds {secret}", planned.name());
            }
        }
    }
}

#[test]
fn pods_never_learn_the_role_that_migrates() {
    let text = shown(&desired(minimal()));
    assert!(!text.contains("hidden") && !text.contains("owner:"), "{text}");
    assert!(text.contains("claude_gateway_a"));
}

#[test]
fn without_a_login_for_pods_there_are_none_and_their_secret_is_left() {
    let (gateway, keys) = (fixtures::validated(minimal()).unwrap(), fixtures::keys());
    let desired = build(&gateway, &Found { login: None, keys: &keys, database_ready: false, given: None }).unwrap();
    assert!(find(&desired, Kind::Deployment).is_none());
    let secrets: Vec<_> =
        desired.objects.iter().filter(|planned| planned.kind == Kind::Secret).map(Planned::name).collect();
    assert_eq!(secrets, ["claude-keys"]);
}

#[test]
fn what_the_secrets_hold_is_read_back() {
    let (login, keys) = (fixtures::login(), fixtures::keys());
    let desired = desired(minimal());
    let secret = |name: &str| {
        let planned = desired.objects.iter().find(|planned| planned.name() == name).unwrap();
        planned.object.clone().try_parse::<k8s_openapi::api::core::v1::Secret>().unwrap()
    };
    let now = jiff::Timestamp::MAX;
    let held = held(Some(&secret("claude-config")), Some(&secret("claude-keys")), now).unwrap();
    let standing = held.login.unwrap();
    assert_eq!((standing.login.username, standing.since), (login.login.username.clone(), login.since));
    assert_eq!(held.keys.unwrap(), keys);
    let mut damaged = secret("claude-keys");
    damaged.data.as_mut().unwrap().remove("order");
    let mut silent = secret("claude-config");
    silent.data.as_mut().unwrap().remove("store-login-since");
    assert_eq!(super::held(Some(&silent), None, now).unwrap().login.unwrap().since, now, "counted from here on");
    assert!(super::held(None, Some(&damaged), now).is_err(), "keys that are there are never made anew");
}
