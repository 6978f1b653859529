//! The other models that a request names beside its own: a tool that asks a second model for advice (`tools[].model`), and
//! what the provider may turn to by itself (`fallbacks[].model`).
//!
//! Invariant: what is not returned here is no model to any parser behind us. A part that cannot be read for certain is refused:
//! a key that stands twice, an entry that is no object, a name that is no text.

use std::{collections::BTreeSet, ops::Range};

use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;

#[derive(Deserialize)]
struct Entry {
    model: Option<Value>,
}

/// The spans are those of the request's `tools` and `fallbacks`.
pub(super) fn named(
    text: &[u8],
    tools: Option<Range<usize>>,
    fallbacks: Option<Range<usize>>,
) -> Result<BTreeSet<String>, Refusal> {
    let mut names = BTreeSet::new();
    if let Some(tools) = tools.map(|span| &text[span]).filter(|tools| may_name_one(tools)) {
        add("tools", tools, &mut names)?;
    }
    if let Some(fallbacks) = fallbacks.map(|span| &text[span]).filter(|fallbacks| *fallbacks != b"null") {
        add("fallbacks", fallbacks, &mut names)?;
    }
    Ok(names)
}

/// Tools are most of a short request and seldom name a model. Each letter of `model` is written with these four digits first
/// where it is written with an escape.
fn may_name_one(tools: &[u8]) -> bool {
    memmem::find(tools, br#""model""#).is_some() || memmem::find(tools, br"\u006").is_some()
}

fn add(part: &'static str, list: &[u8], names: &mut BTreeSet<String>) -> Result<(), Refusal> {
    let entries: Vec<Entry> = serde_json::from_slice(list).map_err(|_| Refusal::OtherModelsUnreadable(part))?;
    for entry in entries {
        match entry.model {
            None => {}
            Some(Value::String(name)) => {
                names.insert(name);
            }
            Some(_) => return Err(Refusal::OtherModelsUnreadable(part)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::scan, *};

    fn of(body: &str) -> Result<Vec<String>, Refusal> {
        let [tools, fallbacks] = scan::members(body.as_bytes(), ["tools", "fallbacks"]).unwrap();
        named(body.as_bytes(), tools, fallbacks).map(|names| names.into_iter().collect())
    }

    #[test]
    fn every_model_of_tools_and_fallbacks_is_found() {
        let body = r#"{"tools":[{"name":"a"},{"name":"advisor","model":"x"}, {"mod\u0065l":"y"},{"model":"x"}],
            "fallbacks":[{"model":"z"},{"\u006Dodel":"\u0061","max_tokens":1}]}"#;
        assert_eq!(of(body).unwrap(), ["a", "x", "y", "z"]);
        for none in ["{}", r#"{"tools":[],"fallbacks":null}"#, r#"{"tools":[{"model":null}],"fallbacks":[]}"#] {
            assert_eq!(of(none).unwrap(), [""; 0], "{none}");
        }
    }

    #[test]
    fn a_property_of_a_tools_input_is_no_model() {
        let body = r#"{"tools":[{"name":"Task","input_schema":{"properties":{"model":{"enum":["opus"]},"model":1}}}]}"#;
        assert_eq!(of(body).unwrap(), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_refused() {
        for (part, list) in [
            ("tools", r#"[{"model":"a","model":"b"}]"#),
            ("tools", r#"[{"model":"a","\u006dodel":"b"}]"#),
            ("tools", r#"[{"model":["a"]}]"#),
            ("tools", r#"[{"model":{"id":"a"}}]"#),
            ("tools", r#"[{"model":"\ud800"}]"#),
            ("tools", r#"{"model":"a"}"#),
            ("fallbacks", r#""default""#),
            ("fallbacks", r#"["a"]"#),
            ("fallbacks", r#"{"model":"a"}"#),
            ("fallbacks", r#"[{"model":1}]"#),
        ] {
            let refused = of(&format!(r#"{{"{part}":{list}}}"#));
            assert!(matches!(refused, Err(Refusal::OtherModelsUnreadable(named)) if named == part), "{part} {list}");
        }
    }
}
