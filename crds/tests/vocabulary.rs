//! The vocabulary judged without a cluster: the schema by itself, its rules by an implementation of CEL.

#![expect(clippy::unwrap_used, reason = "an object of the table that cannot be made fails its test")]

mod table;

use std::collections::BTreeSet;

use serde_json::Value;
use table::{
    Case, Verdict, cases,
    objects::full,
    samples::samples,
    schema::{Node, nodes, place, schemas},
};

/// A schema as a judge.
struct Judge {
    kind: String,
    structure: jsonschema::Validator,
    lists: Vec<Node>,
    rules: kube_cel::CompiledSchema,
}

/// Where, and what.
type Complaint = (String, String);

impl Judge {
    fn all() -> Vec<Self> {
        let judges = schemas().into_iter().map(|(kind, schema)| Self {
            structure: jsonschema::validator_for(&schema).unwrap(),
            lists: nodes(&schema).into_iter().filter(Node::is_merged).collect(),
            rules: kube_cel::compile_schema(&schema),
            kind,
        });
        judges.collect()
    }

    fn complaints(&self, object: &Value, before: Option<&Value>) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for error in self.structure.iter_errors(object) {
            let mut field = dotted(&error.instance_path().to_string());
            if let jsonschema::error::ValidationErrorKind::Required { property } = error.kind() {
                field = format!("{field}.{}", property.as_str().unwrap());
            }
            complaints.push((field, error.to_string()));
        }
        for node in &self.lists {
            duplicates(node, object, &mut complaints);
        }
        if let Err(errors) = kube_cel::Validator::new().validate_compiled(&self.rules, object, before) {
            complaints.extend(errors.into_vec().into_iter().map(|error| (error.field_path, error.message)));
        }
        complaints
    }
}

/// From a JSON Pointer.
fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => part.to_owned(),
        Err(_) => format!("{path}.{part}"),
    })
}

/// Entries of sets and maps that stand twice.
fn duplicates(node: &Node, object: &Value, complaints: &mut Vec<Complaint>) {
    let keys = node.schema["x-kubernetes-list-map-keys"].as_array();
    for (path, list) in everywhere(object, &node.path) {
        let mut seen = BTreeSet::new();
        for (index, entry) in list.as_array().into_iter().flatten().enumerate() {
            let identity = match keys {
                None => entry.to_string(),
                Some(keys) => keys
                    .iter()
                    .map(|key| {
                        let key = key.as_str().unwrap();
                        entry.get(key).unwrap_or(&node.schema["items"]["properties"][key]["default"]).to_string()
                    })
                    .collect(),
            };
            if !seen.insert(identity) {
                complaints.push((format!("{path}[{index}]"), "stands twice".to_owned()));
            }
        }
    }
}

/// Every place that a path with `[]` leads to.
fn everywhere<'a>(object: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
    let mut places = vec![(String::new(), object)];
    for part in path.split('.') {
        let (key, is_list) = part.strip_suffix("[]").map_or((part, false), |key| (key, true));
        places = places
            .into_iter()
            .filter_map(|(path, place)| {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                place.get(key).map(|inner| (path, inner))
            })
            .flat_map(|(path, place)| match place.as_array().filter(|_| is_list) {
                None => vec![(path, place)],
                Some(entries) => {
                    entries.iter().enumerate().map(|(index, entry)| (format!("{path}[{index}]"), entry)).collect()
                }
            })
            .collect();
    }
    places
}

fn verdict(case: &Case, judges: &[Judge]) -> Result<(), String> {
    let judge = judges.iter().find(|judge| case.object["kind"] == judge.kind.as_str()).unwrap();
    let complaints = judge.complaints(&case.object, case.before.as_ref());
    match &case.verdict {
        Verdict::Accepted if complaints.is_empty() => Ok(()),
        Verdict::Accepted => Err(format!("{}: is refused: {complaints:?}", case.name)),
        Verdict::Refused { field, says } => {
            let said = |(at, message): &Complaint| {
                at == field && says.as_ref().is_none_or(|says| message.contains(says.as_str()))
            };
            if complaints.iter().any(said) {
                return Ok(());
            }
            Err(format!("{}: nobody says {says:?} of {field}: {complaints:?}", case.name))
        }
    }
}

#[test]
fn every_case_of_the_table_has_its_verdict() {
    let judges = Judge::all();
    let wrong: Vec<_> = cases().iter().filter_map(|case| verdict(case, &judges).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases().len(), wrong.join("\n"));
}

#[test]
fn every_rule_refuses_something_in_the_table() {
    let said: Vec<_> = cases()
        .into_iter()
        .filter_map(|case| match case.verdict {
            Verdict::Refused { says, .. } => says,
            Verdict::Accepted => None,
        })
        .collect();
    for (kind, schema) in schemas() {
        for node in nodes(&schema) {
            for rule in node.schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap();
                assert!(said.iter().any(|says| message.contains(says.as_str())), "{kind}: {}: {message}", node.path);
            }
        }
    }
}

#[test]
fn every_field_has_an_object_of_the_table_that_uses_it() {
    let refused_always = ["spec.claudeCode.mcpServers", "spec.desktop.bootstrapUrl", "spec.desktop.expiresAt"];
    let mut untouched = Vec::new();
    for (kind, schema) in schemas() {
        let spec =
            nodes(&schema).into_iter().filter(|node| node.path.starts_with("spec.") && !node.is_kubernetes_own());
        for node in spec.filter(|node| !node.path.contains("{}") && !refused_always.contains(&node.path.as_str())) {
            if !full(&kind).iter().any(|object| place(object, &node.path).is_some()) {
                untouched.push(node.path);
            }
        }
    }
    assert_eq!(untouched, [""; 0]);
}

#[test]
fn every_sample_is_valid_and_reads_back_as_it_was_written() {
    let judges = Judge::all();
    assert_eq!(samples().len(), 7);
    for (file, objects) in samples() {
        assert!(objects.iter().any(|object| object["kind"] == "ClaudeGateway"), "{file}");
        for object in objects {
            match object["kind"].as_str().unwrap() {
                "ClaudeGateway" => drop(serde_json::from_value::<crds::ClaudeGateway>(object.clone()).unwrap()),
                "UserPolicy" => drop(serde_json::from_value::<crds::UserPolicy>(object.clone()).unwrap()),
                _ => continue,
            }
            let judge = judges.iter().find(|judge| object["kind"] == judge.kind.as_str()).unwrap();
            assert_eq!(judge.complaints(&object, None), [], "{file}");
        }
    }
}

/// A Secret may also be somebody's to make: what it will be is said by an ExternalSecret then.
#[test]
fn every_sample_brings_the_secrets_that_its_gateway_refers_to_and_permits_their_use() {
    for (file, objects) in samples() {
        let mut brought = BTreeSet::new();
        for object in &objects {
            let (labels, keys): (_, Vec<_>) = match object["kind"].as_str().unwrap() {
                "Secret" => {
                    (&object["metadata"]["labels"], object["stringData"].as_object().unwrap().keys().cloned().collect())
                }
                "ExternalSecret" => {
                    let data = object["spec"]["data"].as_array().unwrap();
                    let keys = data.iter().map(|entry| entry["secretKey"].as_str().unwrap().to_owned());
                    (&object["spec"]["target"]["template"]["metadata"]["labels"], keys.collect())
                }
                _ => continue,
            };
            let (label, use_) = crds::PERMITTED_USE;
            assert_eq!(labels[label], use_, "{file}: {}", object["metadata"]["name"]);
            brought.extend(keys.into_iter().map(|key| (object["metadata"]["name"].as_str().unwrap().to_owned(), key)));
        }
        let gateway = objects.iter().find(|object| object["kind"] == "ClaudeGateway").unwrap();
        let referred = referred(&gateway["spec"]);
        assert!(referred.len() >= 2, "{file}: {referred:?}");
        assert_eq!(referred.difference(&brought).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "{file}");
    }
}

/// Every `…SecretRef` with a key.
fn referred(value: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut found = BTreeSet::new();
    for (field, below) in value.as_object().into_iter().flatten() {
        if field.ends_with("SecretRef") || field == "secretRef" {
            found.extend(text(&below["name"]).zip(text(&below["key"])));
        }
        found.append(&mut referred(below));
    }
    value.as_array().into_iter().flatten().for_each(|item| found.append(&mut referred(item)));
    found
}

#[test]
fn every_field_is_described() {
    for (kind, schema) in schemas() {
        let fields = nodes(&schema).into_iter().filter(|node| !node.path.ends_with("[]") && !node.path.ends_with("{}"));
        let bare: Vec<_> = fields
            .filter(|node| node.schema["description"].as_str().is_none_or(str::is_empty))
            .map(|node| node.path)
            .collect();
        assert_eq!(bare, [""; 0], "{kind}");
    }
}

#[test]
fn every_text_list_and_map_has_a_bound() {
    for (kind, schema) in schemas() {
        for node in nodes(&schema) {
            let is_map = node.schema.get("additionalProperties").is_some()
                || node.schema.get("x-kubernetes-preserve-unknown-fields").is_some();
            let bound = match node.schema["type"].as_str() {
                Some("string") if node.schema.get("enum").is_none() && node.schema.get("format").is_none() => {
                    "maxLength"
                }
                Some("array") => "maxItems",
                Some("object") if is_map => "maxProperties",
                _ => continue,
            };
            assert!(node.number(bound).is_some(), "{kind}: {} has no {bound}", node.path);
        }
    }
}

#[test]
fn lists_of_objects_are_maps_and_nothing_is_open_but_the_documents_of_clients() {
    for (kind, schema) in schemas() {
        for node in nodes(&schema) {
            if node.is("array")
                && node.schema["items"]["type"] == "object"
                && !node.is_kubernetes_own()
                && node.path != "spec.podTemplate.tolerations"
            {
                assert_eq!(node.schema["x-kubernetes-list-type"], "map", "{kind}: {}", node.path);
            }
            if node.schema.get("x-kubernetes-preserve-unknown-fields").is_some() {
                let documents = ["spec.claudeCode", "spec.claudeCode.mcpServers", "spec.desktop"];
                assert!(documents.contains(&node.path.as_str()), "{kind}: {}", node.path);
            }
        }
    }
}

#[test]
fn the_files_in_the_repository_are_those_of_the_types() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in crds::files::generated().unwrap() {
        let there = std::fs::read_to_string(root.join(file.path)).unwrap_or_default();
        assert!(there == file.text, "{} is older than the types: run `make crds`", file.path);
        // What `kubectl apply` keeps in an annotation has to fit in one.
        assert!(file.text.len() < 256 << 10, "{} has {} bytes", file.path, file.text.len());
    }
}

/// The part of `docs/gateway.schema.json` at a path, and without the reference that may stand in its place.
fn of_the_file(path: &str) -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/gateway.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let found = path.split('.').fold(schema, |place, name| {
        let item = place.get("items").unwrap_or(&place);
        // Of the providers, the first is the one that there is.
        let case = item.get("oneOf").map_or(item, |cases| &cases[0]);
        case["properties"][name].clone()
    });
    let mut part = found.get("anyOf").map_or(found.clone(), |choices| choices[0].clone());
    if let Some(default) = found.get("default") {
        part["default"] = default.clone();
    }
    part
}

#[test]
fn ranges_choices_and_defaults_are_those_of_the_file_that_is_rendered() {
    const SAME: [(&str, &str); 24] = [
        ("spec.limits.maxRequestBytes", "limits.max_request_bytes"),
        ("spec.limits.maxUrlLength", "limits.max_url_length"),
        ("spec.timeouts.upstreamTtfbMs", "timeouts.upstream_ttfb_ms"),
        ("spec.rateLimits.deviceAuthorization.max", "rate_limits.device_authorization.max"),
        ("spec.rateLimits.deviceAuthorization.windowSeconds", "rate_limits.device_authorization.window_seconds"),
        ("spec.rateLimits.deviceVerify.max", "rate_limits.device_verify.max"),
        ("spec.rateLimits.deviceVerify.windowSeconds", "rate_limits.device_verify.window_seconds"),
        ("spec.oidc.clockSkewSeconds", "oidc.clock_skew_seconds"),
        ("spec.oidc.idTokenSignedResponseAlg", "oidc.id_token_signed_response_alg"),
        ("spec.oidc.tokenEndpointAuthMethod", "oidc.token_endpoint_auth_method"),
        ("spec.oidc.usePkce", "oidc.use_pkce"),
        ("spec.oidc.groupsClaim", "oidc.groups_claim"),
        ("spec.oidc.scopes", "oidc.scopes"),
        ("spec.oidc.emailClaim", "oidc.email_claim"),
        ("spec.database.maxConnections", "store.max_connections"),
        ("spec.database.connectTimeoutSeconds", "store.connect_timeout_seconds"),
        ("spec.database.schema", "store.schema"),
        ("spec.session.maxDays", "session.max_days"),
        ("spec.upstreams[].priority", "upstreams.priority"),
        ("spec.upstreams[].weight", "upstreams.weight"),
        ("spec.upstreams[].maxConcurrent", "upstreams.max_concurrent"),
        ("spec.admin.spendRetentionMonths", "admin.spend_retention_months"),
        ("spec.autoIncludeBuiltinModels", "auto_include_builtin_models"),
        ("spec.enforcement.failClosedOnError", "enforcement.fail_closed_on_error"),
    ];
    const SAME_OF_POLICIES: [(&str, &str); 8] = [
        ("spec.tokenLimits.maxInputTokens", "limits.max_input_tokens"),
        ("spec.tokenLimits.maxOutputTokens", "limits.max_output_tokens"),
        ("spec.tokenLimits.tokensPerMinute", "limits.tokens_per_minute"),
        ("spec.tokenLimits.tokensPerDay", "limits.tokens_per_day"),
        ("spec.tokenLimits.tokensPerMonth", "limits.tokens_per_month"),
        ("spec.tokenLimits.requestsPerMinute", "limits.requests_per_minute"),
        ("spec.tokenLimits.concurrentRequests", "limits.concurrent_requests"),
        ("spec.retention.transcriptDays", "retention.transcript_days"),
    ];
    let schemas = schemas();
    let of_policies = SAME_OF_POLICIES.map(|(ours, theirs)| (1, ours, format!("managed.policies.{theirs}")));
    for (kind, ours, theirs) in SAME.map(|(ours, theirs)| (0, ours, theirs.to_owned())).into_iter().chain(of_policies) {
        let node = nodes(&schemas[kind].1).into_iter().find(|node| node.path == ours).unwrap();
        let file = of_the_file(&theirs);
        assert!(file.is_object(), "{theirs} is no key of the file");
        for word in ["minimum", "maximum", "enum", "default"] {
            let number = |value: &Value| value.as_f64();
            let (one, other) = (&node.schema[word], &file[word]);
            let same = one == other || (one.is_number() && number(one) == number(other));
            assert!(same, "{ours} and {theirs}: {word} is {one} and {other}");
        }
    }
}
