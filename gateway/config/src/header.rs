//! HTTP headers that an operator adds to requests of ours.

use std::collections::BTreeSet;

use secrecy::SecretString;

use crate::{complaint::Complaint, fields::Fields, section::upstream::StaticHeader};

/// Those below `key`; `reserved` says which names, in lower case, are not the operator's to set.
pub(crate) fn read(fields: &Fields<'_>, key: &str, reserved: impl Fn(&str) -> bool) -> Vec<StaticHeader> {
    let mut seen = BTreeSet::new();
    let mut headers = Vec::new();
    for (path, name, value) in fields.map(key) {
        let name = name.to_ascii_lowercase();
        let verdict = check_name(&name, &reserved).and_then(|()| check_value(value)).and_then(|()| {
            if seen.insert(name.clone()) {
                return Ok(());
            }
            Err(Complaint::new("stands twice in different letter case", "keep one of them"))
        });
        if fields.heard(path, verdict).is_some() {
            headers.push(StaticHeader { name, value: SecretString::from(value) });
        }
    }
    headers
}

fn check_name(name: &str, reserved: impl Fn(&str) -> bool) -> Result<(), Complaint> {
    // RFC 9110, section 5.6.2.
    let is_token =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return Err(Complaint::new("is no header name", "write letters, digits and dashes"));
    }
    if reserved(name) {
        return Err(Complaint::new("is a reserved header", "remove it: the gateway sets it, or nobody may"));
    }
    Ok(())
}

pub(crate) fn check_value(value: &str) -> Result<(), Complaint> {
    if value == value.trim() && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Ok(());
    }
    Err(Complaint::new("has a character that no header can carry", "write printable ASCII without spaces at the ends"))
}
