//! The rules of a ClaudeGateway, one by one.

use serde_json::{Value, json};

use super::{
    Case, Change, accepted,
    objects::{all, full_gateway, gateway, other_gateway, secret},
    refused,
};

pub fn cases() -> Vec<Case> {
    let whole = all().map(|(name, object)| accepted(name, object)).into_iter();
    whole
        .chain(addresses())
        .chain(replicas_and_image())
        .chain(exposure())
        .chain(database())
        .chain(oidc())
        .chain(upstreams())
        .chain(models_and_admin())
        .chain(network())
        .chain(names())
        .collect()
}

/// Each value at the path, with what becomes of it: `None` is accepted.
fn each(base: fn() -> Value, path: &str, says: &str, values: &[(Value, bool)]) -> Vec<Case> {
    let full = path;
    values
        .iter()
        .map(|(value, fits)| {
            let name = format!("{path}: {value}");
            let object = base().with(full, value.clone());
            if *fits { accepted(&name, object) } else { refused(&name, object, path, says) }
        })
        .collect()
}

fn texts(base: fn() -> Value, path: &str, says: &str, good: &[&str], bad: &[&str]) -> Vec<Case> {
    let values: Vec<_> =
        good.iter().map(|text| (json!(text), true)).chain(bad.iter().map(|text| (json!(text), false))).collect();
    each(base, path, says, &values)
}

fn addresses() -> Vec<Case> {
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

fn replicas_and_image() -> Vec<Case> {
    let autoscaling = json!({ "maxReplicas": 5 });
    let mut cases = vec![
        refused(
            "replicas beside autoscaling",
            gateway().with("spec.replicas", json!(2)).with("spec.autoscaling", autoscaling.clone()),
            "spec",
            "replicas stands beside autoscaling",
        ),
        accepted("autoscaling alone", gateway().with("spec.autoscaling", autoscaling)),
        accepted("no replicas for the night", gateway().with("spec.replicas", json!(0))),
        refused(
            "fewest above most",
            gateway().with("spec.autoscaling", json!({ "minReplicas": 6, "maxReplicas": 5 })),
            "spec.autoscaling",
            "minReplicas is above maxReplicas",
        ),
        refused(
            "a default of two above the most",
            gateway().with("spec.autoscaling", json!({ "maxReplicas": 1 })),
            "spec.autoscaling",
            "minReplicas is above maxReplicas",
        ),
        refused(
            "a tag beside a digest",
            other_gateway().with("spec.image.tag", json!("1")),
            "spec.image",
            "tag stands beside digest",
        ),
    ];
    let repository = "spec.image.repository";
    cases.extend(texts(
        full_gateway,
        repository,
        "is no repository",
        &["gateway", "localhost:5000/a/b"],
        &["Gateway", "a/b@sha256", "-a"],
    ));
    cases.extend(texts(full_gateway, "spec.image.tag", "is no tag", &["0.1.0", "latest", "_a"], &["-a", "a:b", "a/b"]));
    cases.extend(texts(other_gateway, "spec.image.digest", "is no digest", &[], &["sha256:abc", "md5:00"]));
    cases
}

fn exposure() -> Vec<Case> {
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

fn database() -> Vec<Case> {
    let one = "write one of urlSecretRef and host";
    let mut cases = vec![
        refused("no database", gateway().with("spec.database", json!({})), "spec.database", one),
        refused("two databases", other_gateway().with("spec.database.urlSecretRef", secret()), "spec.database", one),
        refused(
            "a host without its database",
            other_gateway().without("spec.database.name"),
            "spec.database",
            "name and migrationSecretRef go with host",
        ),
        refused(
            "a host without a role",
            other_gateway().without("spec.database.migrationSecretRef"),
            "spec.database",
            "name and migrationSecretRef go with host",
        ),
        refused(
            "a port beside a URL",
            gateway().with("spec.database.port", json!(5_432)),
            "spec.database",
            "port, name and sslMode go with host",
        ),
        refused(
            "a CA from two places",
            full_gateway().with("spec.database.caCertificate.secretRef", secret()),
            "spec.database.caCertificate",
            "takes exactly one of configMapRef, secretRef",
        ),
    ];
    cases.extend(texts(
        other_gateway,
        "spec.database.host",
        "is no single host",
        &["postgres", "10.0.0.1", "fd00::1"],
        &["user:password@postgres", "postgres:5432", "one,two", "postgres/claude"],
    ));
    cases.extend(texts(
        other_gateway,
        "spec.database.name",
        "is no name of a database",
        &["claude_1", "Claude-2"],
        &["a b", "a?sslmode=disable", "a/b"],
    ));
    cases.extend(texts(
        gateway,
        "spec.database.schema",
        "is no schema of yours",
        &["claude", "_a1"],
        &["Claude", "a-b", "1a", "pg_catalog", "information_schema", "a;drop"],
    ));
    cases
}

fn oidc() -> Vec<Case> {
    let one = "write one of clientSecretRef and clientAssertion";
    let mut cases = vec![
        refused("no credential", gateway().without("spec.oidc.clientSecretRef"), "spec.oidc", one),
        refused(
            "an assertion without its method",
            other_gateway().without("spec.oidc.tokenEndpointAuthMethod"),
            "spec.oidc",
            one,
        ),
        refused(
            "a secret beside an assertion",
            other_gateway().with("spec.oidc.clientSecretRef", secret()),
            "spec.oidc",
            one,
        ),
        refused(
            "an assertion beside a secret",
            gateway().with(
                "spec.oidc.clientAssertion",
                json!({ "privateKeySecretRef": secret(), "certificateSecretRef": secret() }),
            ),
            "spec.oidc",
            one,
        ),
        refused(
            "scopes without openid",
            gateway().with("spec.oidc.scopes", json!(["email"])),
            "spec.oidc.scopes",
            "does not hold openid",
        ),
        refused(
            "a scope of two words",
            gateway().with("spec.oidc.scopes", json!(["openid", "a b"])),
            "spec.oidc.scopes[1]",
            "is no single scope",
        ),
        refused(
            "an address for a domain",
            gateway().with("spec.oidc.allowedEmailDomains", json!(["a@example.com"])),
            "spec.oidc.allowedEmailDomains[0]",
            "is no single e-mail domain",
        ),
        refused(
            "a broken pointer",
            gateway().with("spec.oidc.emailClaim", json!(["/a~b"])),
            "spec.oidc.emailClaim[0]",
            "is no JSON Pointer",
        ),
        refused(
            "an origin with a path",
            gateway().with("spec.oidc.formActionOrigins", json!(["https://a.example.com/x"])),
            "spec.oidc.formActionOrigins[0]",
            "is no origin: write",
        ),
        refused(
            "an origin that ends the directive",
            gateway().with("spec.oidc.formActionOrigins", json!(["https://a.example.com;"])),
            "spec.oidc.formActionOrigins[0]",
            "is no origin: write",
        ),
        refused(
            "an administrator who is no address",
            full_gateway().with("spec.oidc.googleGroups.adminEmail", json!("admin")),
            "spec.oidc.googleGroups.adminEmail",
            "is no e-mail address",
        ),
    ];
    cases.extend(texts(
        gateway,
        "spec.oidc.groupsClaim",
        "is no JSON Pointer",
        &["groups", "/a/b~1c", "a~b"],
        &["/a~b", "/a~"],
    ));
    for name in ["state", "Nonce", "redirect_uri", "code_challenge", "client_id", "scope"] {
        cases.push(refused(
            &format!("the gateway's own parameter {name}"),
            gateway().with("spec.oidc.extraAuthParams", json!([{ "name": name, "value": "x" }])),
            "spec.oidc.extraAuthParams[0].name",
            "is set by the gateway itself",
        ));
    }
    cases
}

fn upstreams() -> Vec<Case> {
    let auth = "spec.upstreams[0].provider.anthropic.auth";
    let one = "takes exactly one of apiKeySecretRef, oauthTokenSecretRef, federation";
    let identity = "forwardUserIdentity would send";
    let forwarding = |base_url: Option<&str>| {
        let object = gateway().with("spec.upstreams[0].provider.anthropic.forwardUserIdentity", json!(true));
        match base_url {
            Some(url) => object.with("spec.upstreams[0].provider.anthropic.baseUrl", json!(url)),
            None => object,
        }
    };
    let anthropic = "spec.upstreams[0].provider.anthropic";
    let header = |name: &str, value: Value| {
        gateway().with("spec.upstreams[0].headers", json!([{ "name": name, "value": value }]))
    };
    let mut cases = vec![
        refused(
            "no provider",
            gateway().with("spec.upstreams[0].provider", json!({})),
            "spec.upstreams[0].provider",
            "is empty: write anthropic",
        ),
        refused("no credential of a provider", gateway().with(auth, json!({})), auth, one),
        refused(
            "two credentials of a provider",
            gateway().with(auth, json!({ "apiKeySecretRef": secret(), "oauthTokenSecretRef": secret() })),
            auth,
            one,
        ),
        refused("people's addresses to Anthropic by default", forwarding(None), anthropic, identity),
        refused("people's addresses to Anthropic", forwarding(Some("https://api.anthropic.com")), anthropic, identity),
        refused(
            "people's addresses to Anthropic by another spelling",
            forwarding(Some("https://api.anthropic.com.:443/v1")),
            anthropic,
            identity,
        ),
        accepted("people's addresses to a proxy", forwarding(Some("https://models.example.com"))),
        accepted("people's addresses to a proxy of a like name", forwarding(Some("https://notanthropic.com"))),
        refused(
            "two stars",
            gateway().with("spec.upstreams[0].models", json!(["claude-*-*"])),
            "spec.upstreams[0].models[0]",
            "has more than one *",
        ),
        refused(
            "a header with two values",
            gateway().with(
                "spec.upstreams[0].headers",
                json!([{ "name": "x-a", "value": "b", "valueSecretRef": secret() }]),
            ),
            "spec.upstreams[0].headers[0]",
            "write one of value and valueSecretRef",
        ),
        refused(
            "a header without a value",
            gateway().with("spec.upstreams[0].headers", json!([{ "name": "x-a" }])),
            "spec.upstreams[0].headers[0]",
            "write one of value and valueSecretRef",
        ),
        refused(
            "a header over two lines",
            header("x-a", json!("b\r\nx-c: d")),
            "spec.upstreams[0].headers[0].value",
            "no header can carry",
        ),
        accepted("a header with a value", header("x-a", json!("b c"))),
    ];
    let reserved = [
        "authorization",
        "x-api-key",
        "host",
        "anthropic-beta",
        "x-amz-date",
        "X-Team",
        "x team",
        "cookie",
        "x-litellm-end-user-id",
    ];
    for name in reserved {
        cases.push(refused(
            name,
            header(name, json!("b")),
            "spec.upstreams[0].headers[0].name",
            "is no header of yours to set",
        ));
    }
    cases
}

fn models_and_admin() -> Vec<Case> {
    vec![
        refused(
            "a model of an upstream that is not there",
            full_gateway().with("spec.models[0].upstreamModel[0].upstream", json!("other")),
            "spec",
            "models: upstreamModel names an upstream",
        ),
        refused(
            "one id for two keys",
            full_gateway().with("spec.admin.readKeys[0].id", json!("platform")),
            "spec.admin",
            "writeKeys and readKeys share an id",
        ),
        refused(
            "a session that outlives itself",
            gateway().with("spec.session", json!({ "ttlMinutes": 1_441, "maxDays": 1 })),
            "spec.session",
            "ttlMinutes is longer than maxDays",
        ),
        accepted(
            "a session of one token",
            gateway().with("spec.session", json!({ "ttlMinutes": 1_440, "maxDays": 1 })),
        ),
        refused(
            "metrics where people sign in",
            gateway().with("spec.metrics.port", json!(8_080)),
            "spec.metrics",
            "port is the one that the gateway itself serves",
        ),
        refused(
            "lowest above highest",
            full_gateway()
                .with("spec.policies.allowed[0].minPriority", json!(5))
                .with("spec.policies.allowed[0].maxPriority", json!(4)),
            "spec.policies.allowed[0]",
            "minPriority is above maxPriority",
        ),
    ]
}

fn network() -> Vec<Case> {
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

fn names() -> Vec<Case> {
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
