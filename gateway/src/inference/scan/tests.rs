use proptest::prelude::*;

use super::*;

fn model(text: &str) -> Result<Option<&str>, ScanError> {
    members(text.as_bytes(), ["model"]).map(|[span]| span.map(|span| &text[span]))
}

#[test]
fn a_member_is_found_wherever_it_stands() {
    assert_eq!(model(r#"{"model":"a"}"#), Ok(Some(r#""a""#)));
    assert_eq!(model(r#" { "x" : [ {"model":1} , [] ] , "model" : "a" } "#), Ok(Some(r#""a""#)));
    assert_eq!(model(r#"{"mod\u0065l":"a"}"#), Ok(Some(r#""a""#)));
    assert_eq!(model(r#"{"x":{"model":"a"}}"#), Ok(None));
    assert_eq!(model("{}"), Ok(None));
}

#[test]
fn a_repeated_key_that_we_act_on_is_refused_and_another_passes() {
    assert_eq!(model(r#"{"model":"a","model":"b"}"#), Err(ScanError::Duplicate("model")));
    assert_eq!(model(r#"{"model":"a","mod\u0065l":"b"}"#), Err(ScanError::Duplicate("model")));
    assert_eq!(model(r#"{"x":1,"x":2,"model":"a"}"#), Ok(Some(r#""a""#)));
}

#[test]
fn what_is_json_but_no_object_is_told_apart_from_what_is_not_json() {
    for text in ["[]", "1", "null", r#""model""#, "[1,{\"a\":[]}]"] {
        assert_eq!(model(text), Err(ScanError::NotAnObject), "{text}");
    }
    let bad = [
        "",
        "{",
        "}",
        "{]",
        "[",
        "nul",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{} x",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\0\"}",
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"#,
        "\u{feff}{}",
        "{'a':1}",
    ];
    for text in bad {
        assert_eq!(model(text), Err(ScanError::Invalid), "{text}");
    }
    assert_eq!(members(b"{\"a\":\"\xff\"}", ["model"]), Err(ScanError::Invalid));
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(model(&nested(MAX_DEPTH - 1)), Ok(None));
    assert_eq!(model(&nested(10_000)), Err(ScanError::TooDeep));
    assert_eq!(model(&nested(100_000)), Err(ScanError::TooDeep));
    assert_eq!(model(&"[".repeat(100_000)), Err(ScanError::TooDeep));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(|n| serde_json::json!(n)),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_special_byte_is_found_wherever_it_stands(
        bytes in prop::collection::vec(prop_oneof![9 => 0x20_u8..=0xff, 1 => prop::sample::select(vec![b'"', b'\\', 0, 0x1f])], 0..100),
        from in 0_usize..100,
    ) {
        let from = from.min(bytes.len());
        let offset = bytes[from..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        prop_assert_eq!(special(&bytes, from), offset.map_or(bytes.len(), |offset| from + offset));
    }

    #[test]
    fn the_verdict_is_an_independent_parsers(text in ".{0,64}") {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(members(text.as_bytes(), ["model"]).is_ok(), theirs && text.trim_start().starts_with('{'));
    }

    #[test]
    fn spans_hold_what_an_independent_parser_reads(value in json(), model in any::<String>(), pretty in any::<bool>()) {
        let object = serde_json::json!({"before": value, "model": model, "after": [value]});
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let [span] = members(text.as_bytes(), ["model"]).unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&text[span.unwrap()]).unwrap(), model);
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = members(&bytes, ["model", "stream"]);
    }
}
