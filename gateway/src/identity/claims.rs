//! What a set of claims says about a person, by the operator's mapping. A claim that is absent is a gap, not an answer.

use gateway_config::Oidc;
use serde_json::{Map, Value};

pub(super) type Claims = Map<String, Value>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) email: Option<String>,
    /// `email_verified`, in words or as a boolean; `None` where nothing was said.
    pub(super) email_verified: Option<bool>,
    pub(super) name: Option<String>,
    pub(super) groups: Option<Vec<String>>,
}

impl Facts {
    pub(super) fn read(claims: &Claims, config: &Oidc) -> Self {
        Self {
            email: config.email_claim.0.iter().find_map(|key| text(lookup(claims, key))),
            email_verified: claims.get("email_verified").and_then(truth),
            name: text(claims.get("name")),
            groups: lookup(claims, &config.groups_claim).and_then(list),
        }
    }

    pub(super) fn have_gaps(&self) -> bool {
        self.email.is_none() || self.groups.is_none()
    }

    pub(super) fn email_refuted(&self) -> bool {
        self.email_verified == Some(false)
    }

    /// A second source fills gaps and overrules nothing. Its word on an address counts where it speaks of that address and
    /// the first has said nothing about it.
    pub(super) fn filled_by(self, second: Self) -> Self {
        let email_verified = match (&self.email, &second.email) {
            (None, _) if self.email_refuted() => Some(false),
            (None, _) => second.email_verified,
            (Some(first), Some(other)) if !first.eq_ignore_ascii_case(other) => self.email_verified,
            (Some(_), _) => self.email_verified.or(second.email_verified),
        };
        Self {
            email: self.email.or(second.email),
            email_verified,
            name: self.name.or(second.name),
            groups: self.groups.or(second.groups),
        }
    }
}

/// A flat key (which may hold any character, as URLs for keys do), or a JSON Pointer.
fn lookup<'a>(claims: &'a Claims, key: &str) -> Option<&'a Value> {
    let Some(path) = key.strip_prefix('/') else { return claims.get(key) };
    let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Object(object) => object.get(&step),
        Value::Array(array) => step.parse::<usize>().ok().and_then(|index| array.get(index)),
        _ => None,
    })
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Several providers send one group as a plain string.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) if one.is_empty() => Some(Vec::new()),
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => Some(many.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gateway_config::EmailClaim;
    use serde_json::json;

    use super::*;
    use crate::identity::relying_party::test_config;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    fn groups(value: Value, key: &str) -> Option<Vec<String>> {
        Facts::read(&claims(value), &Oidc { groups_claim: key.to_owned(), ..test_config() }).groups
    }

    fn strings(values: &[&str]) -> Option<Vec<String>> {
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn groups_are_found_by_key_and_by_pointer() {
        let nested = json!({"resource_access": {"gateway": {"roles": ["eng"]}}, "a/b": {"m~n": [["x"], ["y"]]}});
        assert_eq!(groups(nested.clone(), "/resource_access/gateway/roles"), strings(&["eng"]));
        assert_eq!(groups(nested.clone(), "/a~1b/m~0n/1"), strings(&["y"]));
        assert_eq!(groups(nested.clone(), "/resource_access/other/roles"), None);
        assert_eq!(groups(nested, "/resource_access/gateway/roles/0/deeper"), None);
        let flat = json!({"https://example.com/groups": ["eng"]});
        assert_eq!(groups(flat, "https://example.com/groups"), strings(&["eng"]));
    }

    #[test]
    fn groups_may_be_one_string_and_never_anything_else() {
        assert_eq!(groups(json!({"groups": "eng"}), "groups"), strings(&["eng"]));
        assert_eq!(groups(json!({"groups": ""}), "groups"), strings(&[]));
        assert_eq!(groups(json!({"groups": ["eng", 7, null, {"a": 1}]}), "groups"), strings(&["eng"]));
        for other in [json!(7), json!(null), json!({"eng": true}), json!(true)] {
            assert_eq!(groups(json!({"groups": other}), "groups"), None);
        }
    }

    #[test]
    fn the_first_email_claim_with_a_text_is_the_email() {
        let fallbacks = EmailClaim(["email", "/ids/mail", "upn"].map(str::to_owned).to_vec());
        let config = Oidc { email_claim: fallbacks, ..test_config() };
        let email = |value| Facts::read(&claims(value), &config).email;
        assert_eq!(email(json!({"email": "a@b.c", "upn": "x@y.z"})).as_deref(), Some("a@b.c"));
        assert_eq!(email(json!({"email": "", "ids": {"mail": "m@b.c"}})).as_deref(), Some("m@b.c"));
        assert_eq!(email(json!({"email": 7, "upn": "x@y.z"})).as_deref(), Some("x@y.z"));
        assert_eq!(email(json!({"preferred_username": "x"})), None);
    }

    #[test]
    fn an_email_is_refuted_by_false_in_any_spelling_and_by_nothing_else() {
        let refuted = |value| Facts::read(&claims(json!({"email_verified": value})), &test_config()).email_refuted();
        for value in [json!(false), json!("false"), json!("False"), json!(" FALSE ")] {
            assert!(refuted(value));
        }
        for value in [json!(true), json!("true"), json!(null), json!(0)] {
            assert!(!refuted(value));
        }
        assert!(!Facts::read(&Claims::new(), &test_config()).email_refuted());
    }

    #[test]
    fn a_second_source_fills_gaps_and_overrules_nothing() {
        let first = Facts { email: Some("a@b.c".to_owned()), ..Facts::default() };
        let second = Facts {
            email: Some("other@b.c".to_owned()),
            email_verified: Some(false),
            name: Some("Alice".to_owned()),
            groups: strings(&["eng"]),
        };
        let both = first.filled_by(second.clone());
        assert_eq!(both.email.as_deref(), Some("a@b.c"));
        assert!(!both.email_refuted(), "the refuted address is not the one that is used");
        assert_eq!((both.name.as_deref(), both.groups), (Some("Alice"), strings(&["eng"])));
        assert!(Facts::default().filled_by(second).email_refuted());
    }

    #[test]
    fn a_second_source_refutes_an_address_that_the_first_only_named() {
        let facts = |email: Option<&str>, email_verified| Facts {
            email: email.map(str::to_owned),
            email_verified,
            ..Facts::default()
        };
        let named = facts(Some("a@b.c"), None);
        assert!(named.clone().filled_by(facts(Some("A@b.c"), Some(false))).email_refuted());
        assert!(named.clone().filled_by(facts(None, Some(false))).email_refuted());
        assert!(!named.clone().filled_by(facts(Some("other@b.c"), Some(false))).email_refuted());
        assert!(!named.filled_by(facts(Some("a@b.c"), Some(true))).email_refuted());
        assert!(!facts(Some("a@b.c"), Some(true)).filled_by(facts(Some("a@b.c"), Some(false))).email_refuted());
        assert!(facts(Some("a@b.c"), Some(false)).filled_by(facts(Some("a@b.c"), Some(true))).email_refuted());
    }
}
