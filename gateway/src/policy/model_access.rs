//! Which models a settings document lets somebody ask for: `availableModels`, `availableModelsMatch`, `deniedModels`.
//!
//! The rules are the client's ("Restrict model selection", Claude Code documentation), so that what it offers is what is
//! granted: an entry is a family (`opus`), a model, or the beginning of models (`claude-opus-4`), whole words of it; an entry
//! that names a model of a family takes the place of the family's word; `exact` lets no entry be a beginning. A denial wins,
//! and holds for a model in every spelling (`opus-4-8` as well as `claude-opus-4-8`), and for whatever is sent under another
//! name.
//!
//! Invariant: what is asked about is a model that was found in the list of models, never the client's text. A list of what
//! is available that cannot be read grants nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

const FAMILIES: [&str; 4] = ["fable", "haiku", "opus", "sonnet"];

/// What a document says about models.
#[derive(Debug, Clone, Copy)]
pub struct ModelAccess<'a> {
    available: Available<'a>,
    denied: &'a [Value],
    exact: bool,
}

#[derive(Debug, Clone, Copy)]
enum Available<'a> {
    All,
    Listed(&'a [Value]),
}

/// One model, in all the words that clients and upstreams have for it.
#[derive(Debug, Clone, Copy)]
pub struct ModelNames<'a> {
    /// What clients may call it: the id and, where there is one, its alias.
    pub names: &'a [String],
    /// What some upstream is asked for in its place.
    pub sent_as: &'a [String],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAvailable {
    NotListed,
    Denied,
}

impl<'a> ModelAccess<'a> {
    /// Without a document, or without a list in it, every model is available.
    pub fn in_document(document: Option<&'a Map<String, Value>>) -> Self {
        let key = |key: &str| document.and_then(|document| document.get(key));
        Self {
            available: match key("availableModels") {
                None => Available::All,
                Some(list) => Available::Listed(list.as_array().map_or(&[], Vec::as_slice)),
            },
            denied: key("deniedModels").and_then(Value::as_array).map_or(&[], Vec::as_slice),
            exact: key("availableModelsMatch").and_then(Value::as_str) == Some("exact"),
        }
    }

    pub fn check(&self, model: ModelNames<'_>) -> Result<(), NotAvailable> {
        if texts(self.denied).any(|entry| denies(entry, model)) {
            return Err(NotAvailable::Denied);
        }
        match self.available {
            Available::All => Ok(()),
            Available::Listed(list) if texts(list).any(|entry| self.grants(entry, list, model)) => Ok(()),
            Available::Listed(_) => Err(NotAvailable::NotListed),
        }
    }

    fn grants(&self, entry: &str, list: &[Value], model: ModelNames<'_>) -> bool {
        if let Some(family) = family(entry) {
            let named_apart = texts(list).any(|other| self::family(other).is_none() && has_word(other, family));
            return !named_apart && model.names.iter().any(|name| has_word(name, family));
        }
        model.names.iter().any(|name| name.eq_ignore_ascii_case(entry) || !self.exact && begins(entry, name))
    }
}

fn denies(entry: &str, model: ModelNames<'_>) -> bool {
    let mut names = model.names.iter().chain(model.sent_as);
    match family(entry) {
        Some(family) => names.any(|name| has_word(name, family)),
        None => {
            let entry = with_dashes(version(entry));
            let is_meant = |entry: &str, name: &str| name.eq_ignore_ascii_case(entry) || begins(entry, name);
            names.map(|name| version(name)).any(|name| is_meant(&entry, name) || is_meant(bare(&entry), bare(name)))
        }
    }
}

/// People write `opus 4.8` as well.
fn with_dashes(version: &str) -> Cow<'_, str> {
    const OTHERS: [char; 3] = [' ', '.', '_'];
    if version.contains(OTHERS) { version.replace(OTHERS, "-").into() } else { version.into() }
}

/// Without the word that all models of the vendor begin with.
fn bare(version: &str) -> &str {
    let (vendor, rest) = version.split_at_checked("claude-".len()).unwrap_or(("", version));
    if vendor.eq_ignore_ascii_case("claude-") { rest } else { version }
}

/// The entries, without what says nothing about which model it is: white space, and the mark of a long context.
fn texts(list: &[Value]) -> impl Iterator<Item = &str> {
    let entries = list.iter().filter_map(Value::as_str);
    entries.map(|text| text.split('[').next().unwrap_or(text).trim()).filter(|text| !text.is_empty())
}

fn family(entry: &str) -> Option<&'static str> {
    FAMILIES.into_iter().find(|family| family.eq_ignore_ascii_case(entry))
}

fn has_word(name: &str, word: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part.eq_ignore_ascii_case(word))
}

/// Whole words of it: `claude-opus-4` begins `claude-opus-4-8` and not `claude-opus-41`.
fn begins(entry: &str, name: &str) -> bool {
    let (entry, name) = (entry.as_bytes(), name.as_bytes());
    name.get(..entry.len()).is_some_and(|head| head.eq_ignore_ascii_case(entry)) && name.get(entry.len()) == Some(&b'-')
}

/// Which version of which model an id speaks of, without the words of providers, regions, dates and speeds around it.
fn version(id: &str) -> &str {
    let lower = |at: usize| id.get(at..at + 7).is_some_and(|head| head.eq_ignore_ascii_case("claude-"));
    let id = (0..id.len()).find(|at| lower(*at)).map_or(id, |at| &id[at..]);
    let mut id = id.split(['@', ':', '[', '/']).next().unwrap_or(id);
    while let Some((head, tail)) = id.rsplit_once('-') {
        let date = tail.len() == 8 && tail.bytes().all(|byte| byte.is_ascii_digit());
        let revision = tail.strip_prefix(['v', 'V']).is_some_and(|rest| rest.parse::<u32>().is_ok());
        let speed = ["fast", "latest"].iter().any(|word| word.eq_ignore_ascii_case(tail));
        if !(date || revision || speed) {
            break;
        }
        id = head;
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const MODELS: [&[&str]; 8] = [
        &["claude-opus-5"],
        &["claude-opus-5-5"],
        &["claude-opus-4-8"],
        &["claude-sonnet-5"],
        &["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"],
        &["claude-haiku-4-5-20251001", "claude-haiku-4-5"],
        &["claude-opus-restricted"],
        &["house-model"],
    ];

    fn verdict(document: &Value, names: &[&str], sent_as: &[&str]) -> Result<(), NotAvailable> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (names, sent_as) = (owned(names), owned(sent_as));
        ModelAccess::in_document(document.as_object()).check(ModelNames { names: &names, sent_as: &sent_as })
    }

    /// The first names of those that are granted.
    fn granted(document: Value) -> Vec<&'static str> {
        MODELS.into_iter().filter(|names| verdict(&document, names, &[]).is_ok()).map(|names| names[0]).collect()
    }

    #[test]
    fn without_a_list_every_model_is_available_and_an_empty_list_has_none() {
        assert_eq!(granted(json!({})).len(), MODELS.len());
        assert!(ModelAccess::in_document(None).check(ModelNames { names: &[], sent_as: &[] }).is_ok());
        assert_eq!(granted(json!({"availableModels": []})), [""; 0]);
    }

    #[test]
    fn an_entry_is_a_model_or_the_beginning_of_models() {
        let listed = |entry: &str| granted(json!({"availableModels": [entry]}));
        assert_eq!(listed("claude-opus-5"), ["claude-opus-5", "claude-opus-5-5"]);
        assert_eq!(listed("claude-opus-4"), ["claude-opus-4-8"]);
        assert_eq!(
            listed("claude-opus"),
            ["claude-opus-5", "claude-opus-5-5", "claude-opus-4-8", "claude-opus-restricted"]
        );
        assert_eq!(listed("claude-opus-5[1m]"), listed("claude-opus-5"));
        assert_eq!(listed(" Claude-Opus-5 "), listed("claude-opus-5"));
        assert_eq!(listed("house"), ["house-model"]);
        for nothing in ["claude-o", "opus-5", "anthropic.claude-opus-5", "best", "default", "opusplan", "*", "", " "] {
            assert_eq!(listed(nothing), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn a_dated_id_and_its_alias_grant_each_other() {
        for entry in ["claude-haiku-4-5", "claude-haiku-4-5-20251001"] {
            for matching in ["prefix", "exact"] {
                let document = json!({"availableModels": [entry], "availableModelsMatch": matching});
                assert_eq!(granted(document), ["claude-haiku-4-5-20251001"], "{entry} {matching}");
            }
        }
        assert_eq!(granted(json!({"availableModels": ["claude-opus-5-20260101"]})), [""; 0], "no known date");
    }

    #[test]
    fn exact_lets_no_entry_be_a_beginning() {
        let exact = |entry: &str| granted(json!({"availableModels": [entry], "availableModelsMatch": "exact"}));
        assert_eq!(exact("claude-opus-5"), ["claude-opus-5"]);
        assert_eq!(exact("claude-opus"), [""; 0]);
        assert_eq!(exact("opus").len(), 4, "a family stays one");
    }

    #[test]
    fn a_family_is_its_models_until_one_of_them_is_named() {
        let opus = ["claude-opus-5", "claude-opus-5-5", "claude-opus-4-8", "claude-opus-restricted"];
        assert_eq!(granted(json!({"availableModels": ["opus"]})), opus);
        assert_eq!(granted(json!({"availableModels": ["OPUS[1m]"]})), opus);
        assert_eq!(granted(json!({"availableModels": ["opus", "claude-opus-4-8"]})), ["claude-opus-4-8"]);
        let both = granted(json!({"availableModels": ["opus", "claude-sonnet-5"]}));
        assert_eq!(both.len(), 5, "another family's model takes nothing away");
    }

    #[test]
    fn a_denial_wins_in_every_spelling() {
        let spellings = [
            "claude-opus-5",
            "Claude-Opus-5",
            " claude-opus-5[1m]",
            "us.anthropic.claude-opus-5-v1:0",
            "claude-opus-5-20260101",
            "claude-opus-5@20260101",
            "claude-opus-5-fast",
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-opus-5",
            "opus-5",
            "OPUS-5",
            "opus-5[1m]",
            "opus-5-20260101",
            "Opus 5",
        ];
        for entry in spellings {
            let document = json!({"availableModels": ["opus"], "deniedModels": [entry]});
            assert_eq!(granted(document), ["claude-opus-4-8", "claude-opus-restricted"], "{entry}");
        }
        for entry in ["opus-4-8", "opus-4", "Opus 4.8", "claude-opus-4.8"] {
            let left = granted(json!({"availableModels": ["opus"], "deniedModels": [entry]}));
            assert_eq!(left, ["claude-opus-5", "claude-opus-5-5", "claude-opus-restricted"], "{entry}");
        }
        assert_eq!(granted(json!({"deniedModels": ["claude"]})), ["house-model"]);
        for nothing in ["5", "4-8", "op", "opus-", "model"] {
            assert_eq!(granted(json!({"deniedModels": [nothing]})).len(), MODELS.len(), "{nothing}");
        }
        assert_eq!(granted(json!({"deniedModels": ["claude-opus-5-5"]})).len(), MODELS.len() - 1);
        assert!(!granted(json!({"deniedModels": ["sonnet"]})).iter().any(|name| name.contains("sonnet")));
        assert!(!granted(json!({"deniedModels": ["claude-haiku-4-5"]})).contains(&"claude-haiku-4-5-20251001"));
    }

    #[test]
    fn what_stands_for_a_denied_model_is_denied() {
        let document = json!({"deniedModels": ["claude-opus-5"]});
        for sent in ["claude-opus-5", "us.anthropic.claude-opus-5-v1:0", "claude-opus-5-5@20260101"] {
            assert_eq!(verdict(&document, &["house-model"], &[sent]), Err(NotAvailable::Denied), "{sent}");
        }
        assert_eq!(verdict(&document, &["house-model"], &["claude-sonnet-5"]), Ok(()));
    }

    #[test]
    fn a_list_that_cannot_be_read_grants_nothing() {
        assert_eq!(granted(json!({"availableModels": "claude-opus-5"})), [""; 0]);
        assert_eq!(granted(json!({"availableModels": null})), [""; 0]);
        assert_eq!(granted(json!({"availableModels": [1, {}, null]})), [""; 0]);
    }

    proptest! {
        #[test]
        fn more_denials_never_grant_more(
            available in prop::option::of(prop::collection::vec("(claude-)?(opus|sonnet|haiku)?(-[45])?", 0..4)),
            denied in prop::collection::vec("(claude-)?(opus|sonnet|haiku)?(-[45])?", 0..4), more in "\\PC{0,20}",
        ) {
            let mut document = json!({"deniedModels": denied});
            if let Some(available) = available {
                document["availableModels"] = json!(available);
            }
            let before = granted(document.clone());
            document["deniedModels"].as_array_mut().unwrap().push(json!(more));
            prop_assert!(granted(document).iter().all(|name| before.contains(name)));
        }

        #[test]
        fn exact_never_grants_more(available in prop::collection::vec("(claude-)?(opus|sonnet|haiku)?(-[45])?(-5)?", 0..4)) {
            let loose = granted(json!({"availableModels": available}));
            let exact = granted(json!({"availableModels": available, "availableModelsMatch": "exact"}));
            prop_assert!(exact.iter().all(|name| loose.contains(name)));
        }

        #[test]
        fn any_text_is_an_entry(entry in "\\PC{0,30}", name in "\\PC{0,30}") {
            let document = json!({"availableModels": [entry], "deniedModels": [entry]});
            let _ = verdict(&document, &[&name], &[&name]);
        }
    }
}
