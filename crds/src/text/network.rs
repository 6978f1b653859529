//! Addresses: URLs, origins, networks. None of them has room for a credential.

use schemars::{Schema, SchemaGenerator};

use super::{LIST, ruled, set};

const URL: u32 = 2_048;

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
