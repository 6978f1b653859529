//! The forms that texts and lists of texts have: each with its bound, and a rule whose message says the remedy.
//!
//! A pattern is a rule of CEL and not the schema's `pattern`, whose refusal would show a regular expression and no remedy.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Longest name of a Kubernetes object.
const OBJECT_NAME: u32 = 253;
const URL: u32 = 2_048;
const LIST: u32 = 64;

fn text(most: u32) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": most })
}

fn ruled(most: u32, rule: &str, message: &str) -> Schema {
    with_rule(text(most), rule, message)
}

fn with_rule(mut schema: Schema, rule: &str, message: &str) -> Schema {
    schema.insert("x-kubernetes-validations".into(), json!([{ "rule": rule, "message": message }]));
    schema
}

/// Without duplicates, in no order that means anything.
fn set(item: Schema, most: u32) -> Schema {
    json_schema!({ "type": "array", "items": item, "maxItems": most, "x-kubernetes-list-type": "set" })
}

fn at_least_one(mut list: Schema) -> Schema {
    list.insert("minItems".into(), Value::from(1));
    list
}

pub(crate) fn word(_: &mut SchemaGenerator) -> Schema {
    text(253)
}

pub(crate) fn words(_: &mut SchemaGenerator) -> Schema {
    set(text(253), LIST)
}

pub(crate) fn some_words(_: &mut SchemaGenerator) -> Schema {
    at_least_one(set(text(253), 512))
}

pub(crate) fn sentence(_: &mut SchemaGenerator) -> Schema {
    text(1_024)
}

pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        OBJECT_NAME,
        "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
        "is no name of an object: write lower-case letters, digits, dashes and dots",
    )
}

/// Of a namespace, an upstream, a section of a listener.
pub(crate) fn label(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "is no plain name: write lower-case letters, digits and dashes, 63 at most",
    )
}

pub(crate) fn namespaces(generator: &mut SchemaGenerator) -> Schema {
    set(label(generator), LIST)
}

/// Of a Secret or a ConfigMap.
pub(crate) fn data_key(_: &mut SchemaGenerator) -> Schema {
    ruled(
        OBJECT_NAME,
        "self.matches('^[-._a-zA-Z0-9]+$')",
        "is no key of a Secret or ConfigMap: write letters, digits, dashes, dots and underscores",
    )
}

/// The name of a header of HTTP, in lower case so that none stands twice.
pub(crate) fn header_name(_: &mut SchemaGenerator) -> Schema {
    const RESERVED: &str = "self.matches('^[a-z0-9][a-z0-9._-]*$') && \
        !self.matches('^(anthropic-|x-goog-|x-amz-|x-amzn-)') && \
        !(self in ['accept-encoding', 'authorization', 'connection', 'content-length', 'content-type', 'cookie', \
        'expect', 'host', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', \
        'transfer-encoding', 'upgrade', 'user-agent', 'x-claude-gateway-user-email', 'x-claude-gateway-user-id', \
        'x-litellm-end-user-id', 'x-api-key'])";
    ruled(
        128,
        RESERVED,
        "is no header of yours to set: write a name in lower-case letters, digits and dashes that neither the gateway nor \
         the provider sets; a credential goes into auth",
    )
}

pub(crate) fn header_value(_: &mut SchemaGenerator) -> Schema {
    ruled(
        4_096,
        "self.matches('^[!-~]([ -~]*[!-~])?$')",
        "has a character that no header can carry: write printable ASCII without spaces at the ends",
    )
}

/// A URL below which paths are put.
pub(crate) fn base_url(_: &mut SchemaGenerator) -> Schema {
    ruled(
        URL,
        "self.matches('^https?://[^/?#@\\\\s]+(/[^?#\\\\s]*)?$')",
        "is no plain http or https URL: write one such as https://host.example.com, without credentials, query and \
         fragment; credentials go into a Secret",
    )
}

/// As `base_url`, and a query may follow.
pub(crate) fn discovery_url(_: &mut SchemaGenerator) -> Schema {
    ruled(
        URL,
        "self.matches('^https?://[^/?#@\\\\s]+/[^#\\\\s]*$') && self.contains('/.well-known/')",
        "is no address of a discovery document: write the whole URL with /.well-known/ in its path, without credentials \
         and fragment",
    )
}

/// Scheme, host and port; `http` only where nothing leaves the machine.
pub(crate) fn public_url(_: &mut SchemaGenerator) -> Schema {
    ruled(
        URL,
        "self.matches('^(https://[^/?#@\\\\s]+|http://(localhost|127[.]0[.]0[.]1|\\\\[::1\\\\])(:[0-9]+)?)$')",
        "is no origin that developers can be sent to: write scheme, host and port only, such as \
         https://claude.example.com; http is for loopback addresses",
    )
}

pub(crate) fn origins(_: &mut SchemaGenerator) -> Schema {
    let origin = ruled(
        URL,
        "self.matches('^https?://[^/?#@;,*\"\\'\\\\s]+$')",
        "is no origin: write scheme, host and port only, such as https://login.example.com",
    );
    set(origin, LIST)
}

/// Addresses, and ranges of them.
pub(crate) fn networks(_: &mut SchemaGenerator) -> Schema {
    let network = ruled(
        64,
        "isCIDR(self) || isIP(self)",
        "is no IP address or CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7",
    );
    set(network, 256)
}

pub(crate) fn cidr(_: &mut SchemaGenerator) -> Schema {
    ruled(64, "isCIDR(self)", "is no CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7/32")
}

pub(crate) fn email(_: &mut SchemaGenerator) -> Schema {
    ruled(320, "self.matches('^[^@\\\\s]+@[^@\\\\s]+$')", "is no e-mail address: write one such as admin@example.com")
}

pub(crate) fn some_emails(generator: &mut SchemaGenerator) -> Schema {
    at_least_one(set(email(generator), 512))
}

pub(crate) fn email_domain(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^[^@,\\\\s]+$')",
        "is no single e-mail domain: write one such as example.com, without @ and commas",
    )
}

pub(crate) fn email_domains(generator: &mut SchemaGenerator) -> Schema {
    set(email_domain(generator), LIST)
}

/// A key, or a JSON Pointer (RFC 6901) when it starts with a slash.
pub(crate) fn claim(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "!self.startsWith('/') || self.matches('^([^~]|~[01])*$')",
        "is no JSON Pointer: write ~0 for ~ and ~1 for / within a key",
    )
}

/// In the order in which they are tried.
pub(crate) fn claims(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "items": claim(generator), "minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "atomic",
    })
}

/// RFC 6749, appendix A.4.
pub(crate) fn scopes(_: &mut SchemaGenerator) -> Schema {
    let scope = ruled(
        253,
        "self.matches('^[!#-\\\\[\\\\]-~]+$')",
        "is no single scope: write one scope an entry, without spaces and quotes",
    );
    with_rule(
        set(scope, 32),
        "self.exists(scope, scope == 'openid')",
        "does not hold openid: add it, without it there is no id_token",
    )
}

/// An authorization request's own are the gateway's to set.
pub(crate) fn query_parameter(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "!(self.lowerAscii() in ['client_id', 'code_challenge', 'code_challenge_method', 'code_verifier', 'nonce', \
         'redirect_uri', 'response_mode', 'response_type', 'scope', 'state'])",
        "is set by the gateway itself: remove it",
    )
}

pub(crate) fn model(_: &mut SchemaGenerator) -> Schema {
    text(256)
}

/// Empty is a list too: no model at all.
pub(crate) fn models(_: &mut SchemaGenerator) -> Schema {
    set(text(256), 128)
}

pub(crate) fn some_model_patterns(_: &mut SchemaGenerator) -> Schema {
    let pattern = ruled(
        256,
        "self.matches('^[^*]*[*]?[^*]*$')",
        "has more than one *: write one entry for each pattern, each with one * at most",
    );
    at_least_one(set(pattern, LIST))
}

pub(crate) fn database_host(_: &mut SchemaGenerator) -> Schema {
    ruled(
        253,
        "self.matches('^[a-zA-Z0-9._-]+$') || isIP(self)",
        "is no single host: write the name or the address of the primary, without port and credentials",
    )
}

pub(crate) fn database_schema(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[a-z_][a-z0-9_]*$') && !self.startsWith('pg_') && self != 'information_schema'",
        "is no schema of yours: write lower-case letters, digits and underscores, 63 at most; pg_… and information_schema \
         belong to Postgres",
    )
}

pub(crate) fn image_repository(_: &mut SchemaGenerator) -> Schema {
    ruled(
        255,
        "self.matches('^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$')",
        "is no repository: write one such as registry.example.com/claude-gateway, without tag and digest",
    )
}

pub(crate) fn image_tag(_: &mut SchemaGenerator) -> Schema {
    ruled(
        128,
        "self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')",
        "is no tag: write one such as 0.1.0; a digest goes into digest",
    )
}

pub(crate) fn image_digest(_: &mut SchemaGenerator) -> Schema {
    ruled(71, "self.matches('^sha256:[0-9a-f]{64}$')", "is no digest: write sha256: and 64 hexadecimal digits")
}

/// Where an empty text stands for the obvious.
fn or_empty(mut schema: Schema) -> Schema {
    schema.remove("minLength");
    if let Some(Value::Array(rules)) = schema.get_mut("x-kubernetes-validations") {
        for rule in rules {
            let checked = rule["rule"].as_str().map(|rule| format!("self == '' || {rule}"));
            rule["rule"] = json!(checked);
        }
    }
    schema
}

pub(crate) fn label_or_empty(generator: &mut SchemaGenerator) -> Schema {
    or_empty(label(generator))
}

pub(crate) fn object_name_or_empty(generator: &mut SchemaGenerator) -> Schema {
    or_empty(object_name(generator))
}

pub(crate) fn database_name(_: &mut SchemaGenerator) -> Schema {
    ruled(
        63,
        "self.matches('^[a-zA-Z0-9_][a-zA-Z0-9_-]*$')",
        "is no name of a database that a URL can hold: write letters, digits, underscores and dashes",
    )
}

pub(crate) fn proxy_url(_: &mut SchemaGenerator) -> Schema {
    ruled(
        URL,
        "self.matches('^http://[^/?#@\\\\s]+/?$')",
        "is no address of a proxy: write one such as http://proxy.example.com:3128, without credentials",
    )
}

pub(crate) fn no_proxy(_: &mut SchemaGenerator) -> Schema {
    let entry = ruled(
        253,
        "self.matches('^[^,\\\\s]+$')",
        "is no single host: write one host, domain or address an entry, without commas and spaces",
    );
    set(entry, LIST)
}
