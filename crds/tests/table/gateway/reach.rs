//! How the gateway is reached, and what it reaches.

use serde_json::{Value, json};

use super::texts;
use crate::table::{
    Case, Change, accepted,
    objects::{full_gateway, gateway, other_gateway},
    refused,
};

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(super) fn addresses() -> Vec<Case> {
    let mut cases = texts(
        gateway,
        "spec.publicUrl",
        "is no origin that developers can be sent to",
        &[
            "https://claude.example.com",
            "https://claude.example.com:8443",
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:1",
        ],
        &[
            "claude.example.com",
            "http://claude.example.com",
            "https://claude.example.com/",
            "https://claude.example.com/path",
            "https://user:password@claude.example.com",
            "https://claude.example.com?a",
            "https://claude.example.com#a",
            "https://",
            "ftp://claude.example.com",
            "http://localhost.evil.example.com",
            "https://a b",
        ],
    );
    let no_url = "is no plain http or https URL";
    let bad_urls = [
        "login.example.com",
        "https://user@login.example.com",
        "https://user:password@login.example.com",
        "https://login.example.com?a=b",
        "https://login.example.com#a",
        "ldap://login.example.com",
        "https://a b",
        "https://user:pass/word@login.example.com?x",
    ];
    cases.extend(texts(
        gateway,
        "spec.oidc.issuer",
        no_url,
        &["https://login.example.com/a/b/", "https://10.0.0.1:8443"],
        &bad_urls,
    ));
    let base_url = "spec.upstreams[0].provider.anthropic.baseUrl";
    cases.extend(texts(gateway, base_url, no_url, &["https://models.example.com/anthropic"], &bad_urls));
    cases.extend(texts(
        gateway,
        "spec.oidc.discoveryUrl",
        "is no address of a discovery document",
        &[
            "https://login.example.com/.well-known/openid-configuration",
            "https://login.example.com/a/.well-known/x?p=b",
        ],
        &[
            "https://login.example.com/configuration",
            "https://user:password@login.example.com/.well-known/x",
            "login/.well-known/x",
        ],
    ));
    cases.extend(texts(
        gateway,
        "spec.proxy.url",
        "is no address of a proxy",
        &["http://proxy.example.com:3128", "http://proxy/"],
        &["http://user:password@proxy.example.com:3128", "proxy:3128", "socks5://proxy", "http://proxy/path"],
    ));
    let plain = |object: Value| object.with("spec.development.allowPlainHttp", json!(true));
    let http = json!("http://login.example.com");
    let identity = "oidc.issuer and oidc.discoveryUrl must be https";
    cases.extend([
        refused("an issuer without TLS", gateway().with("spec.oidc.issuer", http.clone()), "spec", identity),
        refused(
            "an issuer without TLS, and the flag written as it is by default",
            gateway().with("spec.oidc.issuer", http.clone()).with("spec.development.allowPlainHttp", json!(false)),
            "spec",
            identity,
        ),
        accepted("an issuer without TLS for a trial", plain(gateway().with("spec.oidc.issuer", http))),
        refused(
            "a discovery document without TLS",
            gateway().with("spec.oidc.discoveryUrl", json!("http://login.example.com/.well-known/x")),
            "spec",
            identity,
        ),
        refused(
            "an upstream without TLS",
            gateway().with(base_url, json!("http://models.example.com")),
            "spec",
            "upstreams: baseUrl must be https",
        ),
        accepted(
            "an upstream without TLS for a trial",
            plain(gateway().with(base_url, json!("http://models.example.com"))),
        ),
    ]);
    cases
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(super) fn exposure() -> Vec<Case> {
    let parents = json!([{ "name": "public" }]);
    let trusted = "trustedProxies is missing";
    let mut cases = vec![
        refused(
            "an Ingress that trusts nobody",
            gateway().with("spec.exposure", json!({ "kind": "Ingress" })),
            "spec.exposure",
            trusted,
        ),
        refused(
            "a route that trusts nobody",
            gateway()
                .with("spec.exposure", json!({ "kind": "HTTPRoute", "parentRefs": parents, "trustedProxies": [] })),
            "spec.exposure",
            trusted,
        ),
        refused(
            "a route to no Gateway",
            other_gateway().without("spec.exposure.parentRefs"),
            "spec.exposure",
            "parentRefs goes with kind HTTPRoute",
        ),
        refused(
            "an Ingress with a Gateway",
            full_gateway().with("spec.exposure.parentRefs", parents),
            "spec.exposure",
            "parentRefs goes with kind HTTPRoute",
        ),
        refused(
            "a route with a class",
            other_gateway().with("spec.exposure.className", json!("nginx")),
            "spec.exposure",
            "className goes with kind Ingress",
        ),
        refused(
            "annotations of nothing",
            gateway().with("spec.exposure.annotations", json!({ "a": "b" })),
            "spec.exposure",
            "annotations go with kind Ingress or HTTPRoute",
        ),
        refused(
            "configuration of the ingress controller itself",
            full_gateway()
                .with("spec.exposure.annotations", json!({ "nginx.ingress.kubernetes.io/server-snippet": "x" })),
            "spec.exposure.annotations",
            "has a snippet",
        ),
        accepted(
            "trusted proxies of something of one's own",
            gateway().with("spec.exposure.trustedProxies", json!(["10.0.0.1"])),
        ),
        refused(
            "a certificate from nowhere",
            gateway().with("spec.exposure.tls", json!({})),
            "spec.exposure.tls",
            "takes exactly one of secretRef, certManager",
        ),
        refused(
            "a certificate from two places",
            gateway().with(
                "spec.exposure.tls",
                json!({ "secretRef": { "name": "tls" }, "certManager": { "issuerRef": { "name": "a" } } }),
            ),
            "spec.exposure.tls",
            "takes exactly one of secretRef, certManager",
        ),
    ];
    for (network, fits) in [
        ("10.0.0.0/8", true),
        ("192.0.2.7", true),
        ("fd00::/8", true),
        ("::1", true),
        ("10.0.0.0/33", false),
        ("ten", false),
        ("10.0.0", false),
    ] {
        let object = gateway().with("spec.exposure.trustedProxies", json!([network]));
        cases.push(if fits {
            accepted(network, object)
        } else {
            refused(network, object, "spec.exposure.trustedProxies[0]", "is no IP address or CIDR range")
        });
    }
    cases
}

pub(super) fn network() -> Vec<Case> {
    vec![
        refused(
            "an address for a range",
            full_gateway().with("spec.networkPolicy.egress[0].cidr", json!("10.0.0.1")),
            "spec.networkPolicy.egress[0].cidr",
            "is no CIDR range",
        ),
        refused(
            "two hosts in one entry",
            full_gateway().with("spec.proxy.noProxy[0]", json!("a,b")),
            "spec.proxy.noProxy[0]",
            "is no single host: write one host",
        ),
    ]
}

pub(super) fn names() -> Vec<Case> {
    let mut cases = texts(
        gateway,
        "spec.database.urlSecretRef.name",
        "is no name of an object",
        &["a.b-c"],
        &["A", "a/b", "-a", "a_b"],
    );
    cases.extend(texts(
        gateway,
        "spec.database.urlSecretRef.key",
        "is no key of a Secret",
        &["a.B_c-1"],
        &["a/b", "../a", "a b"],
    ));
    cases.extend(texts(gateway, "spec.upstreams[0].name", "is no plain name", &["a-1"], &["A", "a.b", "a-"]));
    let section = "spec.exposure.parentRefs[0].sectionName";
    cases.extend(texts(other_gateway, section, "is no name of an object", &["", "https"], &["HTTPS"]));
    cases.extend(texts(other_gateway, "spec.exposure.parentRefs[0].namespace", "is no plain name", &["", "a"], &["A"]));
    cases
}
