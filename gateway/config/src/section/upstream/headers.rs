//! The headers that an operator adds to an upstream's requests, and the names that are not the operator's to set.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::StaticHeader;
use crate::{complaint::Complaint, fields::Fields};

/// The gateway's own, or the connection's.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-api-key",
];
const RESERVED_PREFIXES: &[&str] = &["anthropic-", "x-goog-", "x-amz-", "x-amzn-"];
/// Set by `forward_user_identity`, and not to be forged without it.
const IDENTITY: &[&str] = &["x-litellm-end-user-id", "x-claude-gateway-user-id", "x-claude-gateway-user-email"];

pub(super) fn read(fields: &Fields<'_>) -> Vec<StaticHeader> {
    let mut seen = BTreeSet::new();
    let mut headers = Vec::new();
    for (path, name, value) in fields.map("headers") {
        let name = name.to_ascii_lowercase();
        let verdict = check_name(&name).and_then(|()| check_value(value)).and_then(|()| {
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

fn check_name(name: &str) -> Result<(), Complaint> {
    if !is_token(name) {
        return Err(Complaint::new("is no header name", "write letters, digits and dashes"));
    }
    let reserved = RESERVED.contains(&name)
        || IDENTITY.contains(&name)
        || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if reserved {
        return Err(Complaint::new(format!("`{name}` is a reserved header"), "remove it; credentials go into `auth`"));
    }
    Ok(())
}

/// RFC 9110, section 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

pub(crate) fn check_value(value: &str) -> Result<(), Complaint> {
    if value != value.trim() || !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Complaint::new(
            "has a character that no header can carry",
            "write printable ASCII without spaces at the ends",
        ));
    }
    Ok(())
}
