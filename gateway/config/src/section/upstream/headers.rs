//! The headers that are not the operator's to set on an upstream's requests.

/// The gateway's own, or the connection's.
const NAMES: &[&str] = &[
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
    // Set by `forward_user_identity`, and not to be forged without it.
    "x-claude-gateway-user-email",
    "x-claude-gateway-user-id",
    "x-litellm-end-user-id",
    "x-api-key",
];
const PREFIXES: &[&str] = &["anthropic-", "x-goog-", "x-amz-", "x-amzn-"];

pub(super) fn is_reserved(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
