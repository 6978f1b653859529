use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::json;

use super::*;

/// An independent implementation, in the clients' own language.
const IN_JAVASCRIPT: &str = r"
const { createHash } = require('node:crypto');
const sorted = value =>
  Array.isArray(value) ? value.map(sorted)
  : value !== null && typeof value === 'object'
    ? Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
  : value;
const lines = require('node:fs').readFileSync(0, 'utf8').split('\n').filter(line => line !== '');
for (const line of lines) {
  const text = JSON.stringify(sorted(JSON.parse(line)));
  console.log('sha256:' + createHash('sha256').update(text).digest('hex'));
}
";

fn in_javascript(documents: &[String]) -> Vec<String> {
    let node = Command::new("node").args(["-e", IN_JAVASCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = node.unwrap();
    node.stdin.take().unwrap().write_all(documents.join("\n").as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn mapping(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn canonical(value: Value) -> String {
    let mut text = String::new();
    write(&value, &mut text);
    text
}

#[test]
fn an_empty_document_has_the_checksum_of_two_braces() {
    let document = Document::new(&Map::new());
    assert_eq!(document.checksum, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    let reply: Value = serde_json::from_slice(&document.body).unwrap();
    assert_eq!(reply, json!({"uuid": document.checksum, "checksum": document.checksum, "settings": {}}));
}

/// What the reference gateway (2.1.330) answered for these settings.
#[test]
fn the_reference_gives_the_same_checksum() {
    let settings = json!({
        "env": {
            "A": 7, "B": true, "C": 1.5, "D": "x", "E": "é\u{2028}😀\u{7f}\u{1}/\"\\", "😀": "a", "ﬀ": "b", "10": "c",
            "9": "d", "é": "e",
        },
        "cleanupPeriodDays": 30, "feedbackSurveyRate": 0.5, "modelPricing": {"multiplier": 1.0},
        "sandbox": {
            "zz": 1e21, "big": 12_345_678_901_234_567_890_u64, "neg": -0.0, "small": 1e-7, "m": 0.000_001,
            "network": {"allowedDomains": ["a.example"]},
        },
        "permissions": {"deny": ["Bash", "WebFetch(domain:x)", "mcp__x__y"], "allow": ["Read"]},
        "availableModels": ["claude-opus-4-8", "opus", "claude-haiku-4-5"],
    });
    let checksum = Document::new(&mapping(settings)).checksum;
    assert_eq!(checksum, "sha256:0d587946fc7e5c2f3cf4b67e78ae229bd3bce739676c7e5d02ec14ea0e02b97a");
}

#[test]
fn numbers_are_written_as_javascript_writes_them() {
    for (number, written) in [
        (json!(0), "0"),
        (json!(-0.0), "0"),
        (json!(1.0), "1"),
        (json!(-1), "-1"),
        (json!(100), "100"),
        (json!(12.5), "12.5"),
        (json!(-0.25), "-0.25"),
        (json!(0.000_001), "0.000001"),
        (json!(0.000_000_123), "1.23e-7"),
        (json!(1e20), "100000000000000000000"),
        (json!(1e21), "1e+21"),
        (json!(1.5e300), "1.5e+300"),
        (json!(9_007_199_254_740_993_u64), "9007199254740992"),
        (json!(i64::MIN), "-9223372036854776000"),
        (json!(0.1 + 0.2), "0.30000000000000004"),
        (json!(5e-324), "5e-324"),
    ] {
        assert_eq!(canonical(number.clone()), written, "{number:?}");
    }
}

#[test]
fn keys_are_sorted_as_javascript_sorts_them_at_every_level() {
    let written = json!({"b": {"z": 1, "Z": 2}, "a": [{"y": 1, "x": 2}], "10": 0, "9": 0, "09": 0, "ﬀ": 0, "😀": 0});
    let expected = r#"{"9":0,"10":0,"09":0,"a":[{"x":2,"y":1}],"b":{"Z":2,"z":1},"😀":0,"ﬀ":0}"#;
    assert_eq!(canonical(written), expected);
}

#[test]
fn the_document_itself_stands_as_it_was_written() {
    let settings = mapping(json!({"b": 1, "a": {"d": 1, "c": 2}}));
    let body = String::from_utf8(Document::new(&settings).body.to_vec()).unwrap();
    assert!(body.ends_with(r#""settings":{"b":1,"a":{"d":1,"c":2}}}"#), "{body}");
}

fn documents() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000_i32..1000, -30_i32..30).prop_map(|(digits, power)| json!(f64::from(digits) * 10_f64.powi(power))),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from)
    ];
    // In JavaScript `__proto__` is no key like any other, and no setting is called so.
    let key = prop_oneof!["[0-9]{1,11}", "[a-zA-Z]{0,3}", "\\PC{0,3}"].prop_filter("a key", |key| key != "__proto__");
    let inner = leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    prop::collection::vec(("\\PC{0,6}", inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

#[test]
fn the_checksum_is_what_an_independent_implementation_makes_of_the_wire() {
    let mut runner = TestRunner::deterministic();
    let documents: Vec<_> = (0..2_000).map(|_| documents().new_tree(&mut runner).unwrap().current()).collect();
    // The client sees the text of the reply, so that is what the other side is given.
    let texts: Vec<_> = documents.iter().map(|document| serde_json::to_string(document).unwrap()).collect();
    let expected = in_javascript(&texts);
    assert_eq!(expected.len(), documents.len());
    for (document, expected) in documents.into_iter().zip(expected) {
        assert_eq!(Document::new(&mapping(document.clone())).checksum, expected, "{document}");
    }
}
