//! Bad files and the exact lines that refuse them.

use crate::support::{LEAST, complaints, with};

/// Each section's body with what is said about it.
fn refused(section: &str, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        assert_eq!(complaints(&with(section, body)), *expected, "{section}: {body}");
    }
}

/// An upstream of Anthropic with further keys.
fn upstream(keys: &str) -> String {
    with("upstreams", &format!("\n  - provider: anthropic\n    auth: {{ api_key: k }}\n{keys}"))
}

#[test]
fn a_file_needs_its_sections() {
    assert_eq!(
        complaints("models: []"),
        "listen: is missing: write it: Where the gateway serves.\n\
         oidc: is missing: write it: The identity provider and who may sign in.\n\
         session: is missing: write it: How long a sign-in lasts and what signs it.\n\
         store: is missing: write it: The Postgres database.\n\
         upstreams: is missing: write it: Where inference goes, in the order in which they are tried."
    );
    for text in ["", "# nothing", "- a\n- b\n", "text"] {
        assert_eq!(
            complaints(text),
            "the file: holds no mapping: begin with the sections listen, oidc, session, store and upstreams"
        );
    }
}

#[test]
fn broken_yaml_is_refused_with_its_place() {
    assert_eq!(
        complaints("listen:\n  port: 1\n  port: 2\n"),
        "the file: line 3, column 3: a key stands twice in one mapping: keep one of them"
    );
    assert_eq!(
        complaints("listen: {}\n---\noidc: {}\n"),
        "the file: line 3, column 1: a second document starts: keep everything in one document"
    );
}

#[test]
fn an_unknown_key_is_told_its_neighbour() {
    refused(
        "listen",
        &[
            ("{ public_url: https://g, hots: a }", "listen.hots: is no known key: did you mean `host`?"),
            (
                "{ public_url: https://g, zzz: a }",
                "listen.zzz: is no known key: remove it; known here: host, port, public_url, tls, trusted_proxies, metrics",
            ),
        ],
    );
    assert_eq!(
        complaints(&format!("{LEAST}acess_control: {{}}\n")),
        "acess_control: is no known key: did you mean `access_control`?"
    );
    assert_eq!(complaints(&upstream("    regoin: eu")), "upstreams[0].regoin: is no known key: remove it");
    assert_eq!(
        complaints(&upstream("    prioritiy: 1")),
        "upstreams[0].prioritiy: is no known key: did you mean `priority`?"
    );
}

#[test]
fn a_value_has_its_type_and_range() {
    refused(
        "listen",
        &[
            (
                "{ public_url: https://g, port: 0 }",
                "listen.port: must be a whole number from 1 to 65535: write a number in that range",
            ),
            (
                "{ public_url: https://g, port: 80.5 }",
                "listen.port: must be a whole number from 1 to 65535: write a number in that range",
            ),
            (
                "{ public_url: https://g, port: '80' }",
                "listen.port: must be a whole number from 1 to 65535: write a number, without quotes",
            ),
            ("{ public_url: https://g, port: }", "listen.port: has no value: write one, or remove the key"),
            (
                "{ public_url: https://g, trusted_proxies: 10.0.0.0/8 }",
                "listen.trusted_proxies: must be a list: write one entry a line, each after a dash",
            ),
            ("{ public_url: https://g, tls: yes }", "listen.tls: must be a mapping: write `key: value` lines below it"),
            ("{ public_url: https://g, host: 1 }", "listen.host: must be text: put quotes around the value"),
            ("{ public_url: https://g, host: ' ' }", "listen.host: is empty: write a value, or remove the key"),
        ],
    );
    refused(
        "auto_include_builtin_models",
        &[("yes", "auto_include_builtin_models: must be true or false: write true or false, without quotes")],
    );
    refused(
        "limits",
        &[(
            "{ max_request_bytes: 0 }",
            "limits.max_request_bytes: must be a whole number from 1 to 1073741824: write a number in that range",
        )],
    );
    refused(
        "timeouts",
        &[(
            "{ upstream_ttfb_ms: -1 }",
            "timeouts.upstream_ttfb_ms: must be a whole number from 1 to 3600000: write a number in that range",
        )],
    );
    refused(
        "rate_limits",
        &[(
            "{ device_verify: { max: 0 } }",
            "rate_limits.device_verify.max: must be a whole number from 1 to 1000000: write a number in that range",
        )],
    );
}

#[test]
fn a_reference_has_to_lead_somewhere() {
    refused(
        "session",
        &[
            (
                "{ jwt_secret: '${NONE}' }",
                "session.jwt_secret: the variable NONE is not set: set it in the gateway's environment",
            ),
            ("{ jwt_secret: '${EMPTY}' }", "session.jwt_secret: is empty: write a value, or remove the key"),
            (
                "{ jwt_secret: ['${file:/none}'] }",
                "session.jwt_secret[0]: the file /none cannot be read (entity not found): mount it, or correct the path and the rights",
            ),
            (
                "{ jwt_secret: 'x${file:/run/jwt}' }",
                "session.jwt_secret: `${file:…}` stands inside a longer value: make it the whole value",
            ),
            (
                "{ jwt_secret: '${A-B}' }",
                "session.jwt_secret: holds a `${` that begins no reference: write ${VARIABLE}, or ${file:/path} as the whole value",
            ),
        ],
    );
}

#[test]
fn a_listener_knows_its_own_origin() {
    refused(
        "listen",
        &[
            (
                "{}",
                "listen.public_url: is missing, and listen.host is not a loopback address: write the https origin that developers see",
            ),
            (
                "{ public_url: 'http://g.example.com' }",
                "listen.public_url: is plain http on an address that is not loopback: write the https origin that developers see",
            ),
            (
                "{ public_url: 'https://g/path' }",
                "listen.public_url: is more than an origin: write only the scheme, the host and the port",
            ),
            (
                "{ public_url: 'https://me:p@g' }",
                "listen.public_url: carries credentials in the URL: take them out of the URL",
            ),
            (
                "{ public_url: g.example.com }",
                "listen.public_url: is no http or https URL: write one such as https://host.example.com",
            ),
            (
                "{ public_url: https://g, host: 'a b' }",
                "listen.host: is no address to bind: write one such as 0.0.0.0, ::, 127.0.0.1 or localhost",
            ),
            (
                "{ public_url: https://g, trusted_proxies: [proxy, 10.0.0.0/8, 1.2.3.4/99] }",
                "listen.trusted_proxies[0]: is no IP address or CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7\nlisten.trusted_proxies[2]: is no IP address or CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7",
            ),
            (
                "{ public_url: https://g, metrics: '9464' }",
                "listen.metrics: is no address and port: write one such as 127.0.0.1:9464",
            ),
            (
                "{ public_url: https://g, metrics: '127.0.0.1:8080' }",
                "listen.metrics: is the port that the gateway itself serves: choose another port",
            ),
            (
                "{ public_url: https://g, tls: { cert: /tls/tls.crt } }",
                "listen.tls.key: is missing: write it: Path of its private key in PEM form, not encrypted.",
            ),
            (
                "{ public_url: https://g, tls: { cert: /run/text, key: /tls/tls.crt } }",
                "listen.tls.cert: holds no PEM certificate: write the PEM itself; for a mounted file, `${file:/path/to/it.pem}`\nlisten.tls.key: holds no PEM private key: write the path of an unencrypted PEM key",
            ),
            (
                "{ public_url: https://g, tls: { cert: /none, key: /tls/tls.key } }",
                "listen.tls.cert: the file that it names cannot be read (entity not found): mount it, or correct the path and the rights",
            ),
        ],
    );
    refused(
        "access_control",
        &[(
            "{ allow_cidrs: [intranet], deny_cidrs: ['::/129'] }",
            "access_control.allow_cidrs[0]: is no IP address or CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7\naccess_control.deny_cidrs[0]: is no IP address or CIDR range: write one such as 10.0.0.0/8 or 192.0.2.7",
        )],
    );
}

/// The keys of `oidc` besides issuer, client_id and client_secret.
fn oidc(keys: &str) -> String {
    let body = format!("\n  issuer: https://idp\n  client_id: c\n  client_secret: s\n  {keys}");
    complaints(&with("oidc", &body))
}

#[test]
fn a_provider_is_described_rightly() {
    for (keys, expected) in [
        ("scopes: [email]", "oidc.scopes: does not hold openid: add openid: without it there is no id_token"),
        (
            "scopes: ['openid email']",
            "oidc.scopes: does not hold openid: add openid: without it there is no id_token\noidc.scopes[0]: is no single scope: write one scope an entry, without spaces and quotes",
        ),
        (
            "extra_auth_params: { State: x, hd: y }",
            "oidc.extra_auth_params.State: is set by the gateway itself: remove it",
        ),
        (
            "extra_auth_params: { max_age: 3 }",
            "oidc.extra_auth_params.max_age: must be text: put quotes around the value",
        ),
        (
            "discovery_url: https://idp/openid",
            "oidc.discovery_url: has no `/.well-known/` in its path: write the whole address of the discovery document",
        ),
        (
            "groups_claim: /a~2",
            "oidc.groups_claim: is no JSON Pointer: write `~0` for `~` and `~1` for `/` within a key",
        ),
        ("email_claim: []", "oidc.email_claim: is an empty list: write one entry at least"),
        (
            "allowed_email_domains: [a@b]",
            "oidc.allowed_email_domains[0]: is no single e-mail domain: write one such as example.com",
        ),
        ("allowed_groups: ['']", "oidc.allowed_groups[0]: is empty: write a value, or remove the key"),
        (
            "form_action_origins: ['https://*.example.com']",
            "oidc.form_action_origins[0]: is more than an origin: write only the scheme, the host and the port",
        ),
        (
            "ca_cert_pem: /etc/ca.pem",
            "oidc.ca_cert_pem: holds no PEM certificate: write the PEM itself; for a mounted file, `${file:/path/to/it.pem}`",
        ),
        (
            "id_token_signed_response_alg: HS256",
            "oidc.id_token_signed_response_alg: must be one of RS256, ES256, PS256, EdDSA: did you mean `RS256`?",
        ),
        (
            "google_groups: { service_account_json_path: /run/text, admin_email: admin }",
            "oidc.google_groups.admin_email: is no e-mail address: write one such as admin@example.com\noidc.google_groups.service_account_json_path: names a file that is no service account key: write the path of the JSON key that Google issued, with client_email and private_key",
        ),
    ] {
        assert_eq!(oidc(keys), expected, "{keys}");
    }
}

#[test]
fn a_plain_http_issuer_is_accepted() {
    assert_eq!(complaints(&with("oidc", "{ issuer: 'http://localhost:8081', client_id: c, client_secret: s }")), "");
}

#[test]
fn a_client_proves_itself_in_one_way() {
    let certificate = "token_endpoint_auth_method: private_key_jwt";
    let pair = |key: &str, certificate: &str| {
        format!(
            "client_assertion: {{ private_key_pem: '${{file:{key}}}', certificate_pem: '${{file:{certificate}}}' }}"
        )
    };
    let only = |keys: &str| complaints(&with("oidc", &format!("\n  issuer: https://idp\n  client_id: c\n  {keys}")));
    assert_eq!(
        only("use_pkce: true"),
        "oidc.client_secret: is missing: write it, or set token_endpoint_auth_method: private_key_jwt and client_assertion"
    );
    assert_eq!(
        only(certificate),
        "oidc.client_assertion: is missing, and private_key_jwt needs it: write private_key_pem and certificate_pem below it"
    );
    assert_eq!(
        oidc(&format!("{certificate}\n  {}", pair("/tls/tls.key", "/tls/tls.crt"))),
        "oidc.client_secret: does not go with private_key_jwt: remove it"
    );
    assert_eq!(
        oidc(&pair("/tls/tls.key", "/tls/tls.crt")),
        "oidc.client_assertion: goes with token_endpoint_auth_method: private_key_jwt only: set that method, or remove client_assertion"
    );
    let unfit = "is no RSA key of 2048 bits or more: make one with `openssl genpkey -algorithm RSA`";
    for (key, file, expected) in [
        ("/tls/short.key", "/tls/tls.crt", format!("private_key_pem: {unfit}")),
        ("/tls/ec.key", "/tls/tls.crt", format!("private_key_pem: {unfit}")),
        ("/tls/encrypted.key", "/tls/tls.crt", "private_key_pem: is an encrypted key: decrypt it with `openssl pkey`".into()),
        ("/run/text", "/tls/tls.crt", "private_key_pem: holds no PEM private key: write the PEM itself; for a mounted file, `${file:/path/to/it.key}`".into()),
        ("/tls/tls.key", "/tls/chain.crt", "certificate_pem: holds more than one certificate: leave out the rest of the chain".into()),
        ("/tls/tls.key", "/tls/other.crt", "certificate_pem: is the certificate of another key: write the certificate that was made for private_key_pem".into()),
    ] {
        assert_eq!(only(&format!("{certificate}\n  {}", pair(key, file))), format!("oidc.client_assertion.{expected}"));
    }
}

#[test]
fn a_session_is_long_enough_and_not_too_long() {
    refused(
        "session",
        &[
            (
                "{ jwt_secret: short }",
                "session.jwt_secret[0]: is shorter than 32 bytes: make one with `openssl rand -base64 32`",
            ),
            (
                "{ jwt_secret: ['${JWT_SECRET}', short] }",
                "session.jwt_secret[1]: is shorter than 32 bytes: make one with `openssl rand -base64 32`",
            ),
            ("{ jwt_secret: [] }", "session.jwt_secret: is an empty list: write one entry at least"),
            (
                "{ jwt_secret: '${JWT_SECRET}', ttl_hours: 0.0165 }",
                "session.ttl_hours: is less than a minute: write 0.0167 or more",
            ),
            (
                "{ jwt_secret: '${JWT_SECRET}', ttl_hours: 25, max_days: 1 }",
                "session.ttl_hours: is longer than max_days allows a session to be: lower it, or raise max_days",
            ),
            (
                "{ jwt_secret: '${JWT_SECRET}', max_days: 0 }",
                "session.max_days: must be a whole number from 1 to 3650: write a number in that range",
            ),
        ],
    );
}

#[test]
fn a_store_is_one_postgres() {
    let url = "is no Postgres URL: write one such as postgres://gateway@db.example.com:5432/gateway";
    refused(
        "store",
        &[
            ("{ postgres_url: 'mysql://db/x' }", &format!("store.postgres_url: {url}")),
            ("{ postgres_url: db.example.com }", &format!("store.postgres_url: {url}")),
            (
                "{ postgres_url: 'postgres://a:1,b:2/x' }",
                "store.postgres_url: names more than one host: write the one address of the primary",
            ),
            (
                "{ postgres_url: 'postgres://a/x?host=b,c' }",
                "store.postgres_url: names more than one host: write the one address of the primary",
            ),
            (
                "{ postgres_url: 'postgres:///x' }",
                "store.postgres_url: names no host: write it after the slashes; for a socket its directory, as in postgres://%2Frun%2Fpostgresql/gateway",
            ),
            (
                "{ postgres_url: 'postgres://u:a/b@db/x' }",
                "store.postgres_url: cannot be read as a URL: move the password to store.password",
            ),
            (
                "{ postgres_url: 'postgres://db/x', schema: 'a;b' }",
                "store.schema: is no plain identifier: write lower-case letters, digits and underscores, 63 at most",
            ),
            (
                "{ postgres_url: 'postgres://db/x', schema: pg_mine }",
                "store.schema: belongs to Postgres itself: choose another name",
            ),
            (
                "{ postgres_url: 'postgres://db/x', connect_timeout_seconds: 61 }",
                "store.connect_timeout_seconds: must be a whole number from 1 to 60: write a number in that range",
            ),
            (
                "{ postgres_url: 'postgres://db/x', readiness_grace_seconds: 3601 }",
                "store.readiness_grace_seconds: must be a whole number from 0 to 3600: write a number in that range",
            ),
            (
                "{ postgres_url: 'postgres://db/x', readiness: Strict }",
                "store.readiness: must be one of strict, booted: did you mean `strict`?",
            ),
        ],
    );
}

#[test]
fn an_upstream_has_one_name_and_one_credential() {
    refused(
        "upstreams",
        &[
            ("[]", "upstreams: is an empty list: write one upstream at least"),
            (
                "[{ auth: {} }]",
                "upstreams[0].provider: is missing: write one of anthropic, bedrock, mantle, anthropicAws, vertex, foundry",
            ),
            (
                "[{ provider: antropic, auth: {} }]",
                "upstreams[0].provider: must be one of anthropic, bedrock, mantle, anthropicAws, vertex, foundry: did you mean `anthropic`?",
            ),
            (
                "[{ provider: anthropic }]",
                "upstreams[0].auth: is missing: write it: The credential: one of three kinds.",
            ),
            (
                "[{ provider: anthropic, auth: {} }]",
                "upstreams[0].auth: holds no credential: write api_key, oauth_token, or the keys of workload identity federation",
            ),
            (
                "[{ provider: anthropic, auth: { api_key: a, oauth_token: b } }]",
                "upstreams[0].auth: holds more than one kind of credential: keep one of api_key, oauth_token and workload identity federation",
            ),
            (
                "[{ provider: anthropic, auth: { federation_rule_id: a } }]",
                "upstreams[0].auth.identity_token_file: is missing, and workload identity federation needs it: write it\nupstreams[0].auth.organization_id: is missing, and workload identity federation needs it: write it",
            ),
            (
                "[{ provider: anthropic, auth: { api_key: \"a\\nb\" } }]",
                "upstreams[0].auth.api_key: has a character that no header can carry: write printable ASCII without spaces at the ends",
            ),
            (
                "\n  - provider: anthropic\n    auth: { api_key: '${API_KEY}' }\n  - provider: anthropic\n    auth: { api_key: '${MISSING}' }",
                "upstreams[1].auth.api_key: the variable MISSING is not set: set it in the gateway's environment\nupstreams[1].name: is the name of an earlier upstream too: give each its own `name`",
            ),
        ],
    );
    for (keys, expected) in [
        ("base_url: ftp://a", "base_url: is no http or https URL: write one such as https://host.example.com"),
        ("base_url: https://a?b", "base_url: has a query: remove `?` and what follows it"),
        ("models: ['a*b*']", "models[0]: has more than one `*`: write one entry for each pattern"),
        ("models: []", "models: is an empty list, so nothing would go here: name models, or remove the key"),
        ("weight: 0", "weight: must be a whole number from 1 to 1000: write a number in that range"),
        ("max_concurrent: 0", "max_concurrent: must be a whole number from 1 to 1000000: write a number in that range"),
        (
            "forward_user_identity: true",
            "forward_user_identity: would send developers' e-mail addresses to Anthropic: set base_url to a proxy of your own, or remove it",
        ),
        (
            "{ forward_user_identity: true, base_url: 'https://API.Anthropic.com.:443/x' }",
            "forward_user_identity: would send developers' e-mail addresses to Anthropic: set base_url to a proxy of your own, or remove it",
        ),
    ] {
        let keys = keys.trim_start_matches('{').trim_end_matches('}').trim().replace(", ", "\n    ");
        assert_eq!(complaints(&upstream(&format!("    {keys}"))), format!("upstreams[0].{expected}"), "{keys}");
    }
}

#[test]
fn a_header_is_the_operators_to_set() {
    let reserved = "is a reserved header: remove it: the gateway sets it, or nobody may";
    for name in [
        "Authorization",
        "x-api-key",
        "Host",
        "content-type",
        "user-agent",
        "anthropic-beta",
        "X-Goog-User",
        "x-amz-date",
        "x-amzn-trace",
        "transfer-encoding",
        "x-litellm-end-user-id",
    ] {
        let expected = format!("upstreams[0].headers.{name}: {reserved}");
        assert_eq!(complaints(&upstream(&format!("    headers: {{ {name}: v }}"))), expected);
    }
    for (headers, expected) in [
        ("{ 'a b': v }", "[\"a b\"]: is no header name: write letters, digits and dashes"),
        (
            "{ x-a: ' v' }",
            ".x-a: has a character that no header can carry: write printable ASCII without spaces at the ends",
        ),
        ("{ x-a: v, X-A: w }", ".X-A: stands twice in different letter case: keep one of them"),
        ("{ x-a: 1 }", ".x-a: must be text: put quotes around the value"),
    ] {
        assert_eq!(
            complaints(&upstream(&format!("    headers: {headers}"))),
            format!("upstreams[0].headers{expected}")
        );
    }
}

#[test]
fn a_model_names_upstreams_that_are_there() {
    refused(
        "models",
        &[
            (
                "[{ id: a, upstream_model: { antropic: b } }]",
                "models[0].upstream_model.antropic: names no upstream: did you mean `anthropic`?",
            ),
            (
                "[{ id: a, upstream_model: { bedrock: b } }]",
                "models[0].upstream_model.bedrock: names no upstream: write one of anthropic, or remove it",
            ),
            ("[{ id: a }, { id: a }]", "models[1].id: is the id of an earlier model too: remove one of the two"),
            ("[{ label: a }]", "models[0].id: is missing: write it: The id that clients send."),
        ],
    );
}

/// What is said besides that this version does not do it.
fn besides(text: &str) -> String {
    let lines: Vec<_> =
        complaints(text).lines().filter(|line| !line.contains("does not do it yet")).map(str::to_owned).collect();
    lines.join("\n")
}

#[test]
fn a_cloud_upstream_is_checked_too() {
    for (upstreams, expected) in [
        ("[{ provider: bedrock, auth: {} }]", "upstreams[0].region: is missing: write it: The provider's region."),
        (
            "[{ provider: bedrock, region: EU, auth: {} }]",
            "upstreams[0].region: is no region: write lower-case letters, digits and dashes",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: { aws_access_key_id: a } }]",
            "upstreams[0].auth.aws_secret_access_key: is missing, and the other AWS keys need it: write it, or remove the others",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: { aws_session_token: a } }]",
            "upstreams[0].auth.aws_access_key_id: is missing, and the other AWS keys need it: write it, or remove the others",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: {}, guardrail: { id: a, version: 1 } }]",
            "upstreams[0].guardrail.version: must be text: put quotes around the value",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: { aws_bearer_token: t }, assume_role: { role_arn: 'arn:aws:iam::1:role/a' } }]",
            "upstreams[0].assume_role: cannot be signed with aws_bearer_token: use AWS keys or the default chain, or remove assume_role",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: {}, assume_role: { role_arn: a } }]",
            "upstreams[0].assume_role.role_arn: is no ARN of a role: write one such as arn:aws:iam::123456789012:role/gateway",
        ),
        (
            "[{ provider: bedrock, region: eu, auth: {}, guardrail: { id: a, version: DRAFT } }, { provider: bedrock, name: b, region: eu, auth: {} }, { provider: mantle, region: eu, models: [a] }]",
            "upstreams[1].guardrail: is missing, while another bedrock upstream has one: set it on all of them or on none\nupstreams[2].provider: applies no guardrail, while a bedrock upstream has one: remove this upstream, or the guardrails",
        ),
        (
            "[{ provider: mantle, region: eu }]",
            "upstreams[0].models: is missing: write it: The models granted on Mantle, as clients name them.",
        ),
        (
            "[{ provider: mantle, region: eu, models: [a], assume_role: { role_arn: a } }]",
            "upstreams[0].assume_role: is no known key: remove it",
        ),
        (
            "[{ provider: foundry, resource: a.b, auth: { api_key: k, use_azure_ad: true } }]",
            "upstreams[0].auth: holds use_azure_ad and api_key: keep one of the two\nupstreams[0].resource: is no resource name: write only the name, without the rest of its address",
        ),
        (
            "[{ provider: foundry, resource: a, auth: {} }]",
            "upstreams[0].auth: holds no credential: write use_azure_ad: true, or api_key",
        ),
    ] {
        assert_eq!(besides(&with("upstreams", upstreams)), expected, "{upstreams}");
    }
}

#[test]
fn a_policy_is_checked_too() {
    for (policies, expected) in [
        (
            "[{ match: { groups: [] } }]",
            "[0].match.groups: is an empty list, which matches nobody: name some, or remove the key",
        ),
        ("[{ match: { groups: [''] } }]", "[0].match.groups[0]: is empty: write a value, or remove the key"),
        ("[{ match: { email_domain: '' } }]", "[0].match.email_domain: is empty: write a value, or remove the key"),
        (
            "[{ match: { email_domain: 'a, b' } }]",
            "[0].match.email_domain: is no single e-mail domain: write one such as example.com",
        ),
        (
            "[{ match: { email_domain: 'a@b' } }]",
            "[0].match.email_domain: is no single e-mail domain: write one such as example.com",
        ),
        (
            "[{ code: {} }]",
            "[0].match: is missing: write it: Whom it is for; empty: everyone, and the base of all others.",
        ),
        (
            "[{ match: {}, cli: { mcpServers: {} } }]",
            "[0].cli.mcpServers: is not read from managed settings: write managedMcpServers",
        ),
        (
            "[{ match: {}, cli: {} }, { match: { groups: [a] }, code: {} }]",
            "[1].code: is another spelling of `cli`, which this file uses too: write `cli` everywhere",
        ),
        (
            "[{ match: {} }, { match: {} }]",
            "[1].match: is empty, and so is an earlier policy's: keep one policy for everybody in each mode",
        ),
        (
            "[{ match: {}, name: a }, { match: { groups: [a] }, name: a }]",
            "[1].name: is the name of an earlier policy too: give each policy its own name",
        ),
        (
            "[{ match: {}, code: { availableModels: opus } }]",
            "[0].code.availableModels: must be a list of texts: write it as Claude Code's settings reference has it",
        ),
        (
            "[{ match: {}, code: { env: { A: [x], B: 1, C: true } } }]",
            "[0].code.env.A: must be text, or a number, or true or false: write it as Claude Code's settings reference has it",
        ),
        (
            "[{ match: {}, code: { permissions: { deny: x } } }]",
            "[0].code.permissions.deny: must be a list of texts: write it as Claude Code's settings reference has it",
        ),
        (
            "[{ match: {}, desktop: { inferenceModels: [], otlpEndpoint: x } }]",
            "[0].desktop.inferenceModels: is set by the gateway itself: remove it: upstreams, models and telemetry say it\nmanaged.policies[0].desktop.otlpEndpoint: is set by the gateway itself: remove it: upstreams, models and telemetry say it",
        ),
        (
            "[{ match: {}, limits: { tokens_per_day: 0 } }]",
            "[0].limits.tokens_per_day: must be a whole number from 1 to 1000000000000000: write a number in that range",
        ),
        (
            "[{ match: {}, retention: { telemetry: some } }]",
            "[0].retention.telemetry: must be one of full, redacted, none: did you mean `none`?",
        ),
    ] {
        let said = besides(&with("managed", &format!("{{ policies: {policies} }}")));
        assert_eq!(said, format!("managed.policies{expected}"), "{policies}");
    }
    assert_eq!(
        besides(&with("managed", "{ source: store, policies: [] }")),
        "managed.policies: stands beside source: store: keep the policies in one place: remove one of the two"
    );
}

#[test]
fn telemetry_is_checked_too() {
    let loopback = "is plain http to a loopback address: set CLAUDE_GATEWAY_ALLOW_LOOPBACK=1 in the gateway's environment, or write an https URL";
    for (body, expected) in [
        ("{ forward_to: [{ url: 'http://otel:4318' }] }", "forward_to[0].url: is plain http: write an https URL".to_owned()),
        ("{ forward_to: [{ url: 'http://127.0.0.1:4318' }] }", format!("forward_to[0].url: {loopback}")),
        ("{ forward_to: [{ url: 'http://localhost:4318' }, {}] }", "forward_to[1].url: is missing: write it: Its base URL: https, or http on loopback where the environment allows loopback.".to_owned()),
        ("{ resource_attributes: { User.x: a } }", "resource_attributes[\"User.x\"]: is a reserved attribute: choose another name".to_owned()),
        ("{ resource_attributes: { service.name: a } }", "resource_attributes[\"service.name\"]: is a reserved attribute: choose another name".to_owned()),
        ("{ resource_attributes: { a/b: c } }", "resource_attributes[\"a/b\"]: is no attribute name: write letters, digits, dots, dashes and underscores".to_owned()),
        ("{ resource_attributes: { a: 'b c' } }", "resource_attributes.a: has a space, a character that is not ASCII, or one of , ; = \\ \" %: write letters, digits and other signs".to_owned()),
        (&format!("{{ resource_attributes: {{ a: '{}' }} }}", "/".repeat(86)), "resource_attributes.a: is longer than 255 characters, percent-encoded: shorten it".to_owned()),
    ] {
        assert_eq!(besides(&with("telemetry", body)), format!("telemetry.{expected}"), "{body}");
    }
}

#[test]
fn limits_and_prices_are_checked_too() {
    let key = "a-key-of-thirty-two-characters-or-more";
    for (section, body, expected) in [
        (
            "admin",
            "{ write_keys: [{ id: a, key: short }] }".to_owned(),
            "admin.write_keys[0].key: is shorter than 32 characters: make one with `openssl rand -base64 32`",
        ),
        (
            "admin",
            format!("{{ write_keys: [{{ id: a, key: {key} }}], read_keys: [{{ id: a, key: {key} }}] }}"),
            "admin.read_keys[0].id: is the id of an earlier key too: give each key its own id\nadmin.read_keys[0].key: is the key of an earlier entry too: give each id its own key",
        ),
        (
            "admin",
            "{ admin_groups: [''] }".to_owned(),
            "admin.admin_groups[0]: is empty: write a value, or remove the key",
        ),
        (
            "admin",
            "{ group_limit_mode: least }".to_owned(),
            "admin.group_limit_mode: must be one of min, max: write one of them",
        ),
        (
            "enforcement",
            "{ fail_closed_on_error: true }".to_owned(),
            "enforcement.fail_closed_on_error: is on, and there are no limits to enforce: add an admin section, or a policy with limits",
        ),
        (
            "pricing",
            "{ multiplier: 2 }".to_owned(),
            "pricing: has no reader: add an admin section, or a managed policy",
        ),
        (
            "load_test_mode",
            "{ reply_tokens: 10 }".to_owned(),
            "load_test_mode.enabled: is missing: write it: true turns it on; false keeps the numbers in the file.",
        ),
        (
            "load_test_mode",
            "{ enabled: true, reply_seconds: 601 }".to_owned(),
            "load_test_mode.reply_seconds: must be a number from 0 to 600: write a number in that range",
        ),
    ] {
        assert_eq!(besides(&with(section, &body)), expected, "{section} {body}");
    }
    let row = |upstream: &str, model: &str, input: &str| {
        format!("{{ upstream: {upstream}, model: {model}, input: {input}, output: 1, cache_read: 1, cache_write: 1 }}")
    };
    let priced = |rows: &[String]| {
        let text = with("pricing", &format!("{{ overrides: [{}] }}", rows.join(", ")));
        besides(&format!("{text}admin: {{}}\n"))
    };
    assert_eq!(
        priced(&[row("anthropic", "a", "0")]),
        "pricing.overrides[0].input: must be a number from 0.000001 to 10000: write a number in that range"
    );
    assert_eq!(
        priced(&[row("antropic", "a", "1")]),
        "pricing.overrides[0].upstream: names no upstream: did you mean `anthropic`?"
    );
    assert_eq!(
        priced(&[row("anthropic", "a", "1"), row("anthropic", "A", "2")]),
        "pricing.overrides[1].model: has a price for this upstream already: keep one of the two rows"
    );
}
