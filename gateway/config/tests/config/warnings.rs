//! What does not stop a gateway, but is worth a word.

use gateway_config::{Config, Environment, Loaded};

use crate::support::{LEAST, load, mounted, with};

fn warnings(text: &str) -> Vec<String> {
    said(load(text))
}

fn said(loaded: Loaded) -> Vec<String> {
    loaded.warnings.iter().map(ToString::to_string).collect()
}

/// A file whose door is not open to everyone, so that nothing is said of it.
fn private(text: &str) -> String {
    format!("{text}access_control: {{ allow_cidrs: [10.0.0.0/8] }}\n")
}

#[test]
fn a_door_open_to_everyone_is_mentioned() {
    let [warning] = warnings(LEAST).try_into().unwrap();
    assert!(warning.starts_with("access_control: every address is served"), "{warning}");
    assert!(warnings(&private(LEAST)).is_empty());
}

#[test]
fn a_list_that_lets_everyone_in_is_mentioned() {
    let text = with(
        "oidc",
        "{ issuer: https://idp, client_id: c, client_secret: s, allowed_groups: [], allowed_email_domains: [] }",
    );
    assert_eq!(
        warnings(&private(&text)),
        [
            "oidc.allowed_email_domains: is empty, which lets everyone in",
            "oidc.allowed_groups: is empty, which lets everyone in"
        ]
    );
}

#[test]
fn a_credential_in_the_clear_is_mentioned() {
    let upstream = |base_url: &str| {
        private(&with(
            "upstreams",
            &format!("[{{ provider: anthropic, base_url: '{base_url}', auth: {{ api_key: k }} }}]"),
        ))
    };
    assert_eq!(
        warnings(&upstream("http://proxy.internal:8080")),
        ["upstreams[0].base_url: sends the credential to proxy.internal without TLS"]
    );
    assert!(warnings(&upstream("http://127.0.0.1:8080")).is_empty());
    assert!(warnings(&upstream("https://proxy.internal")).is_empty());
}

#[test]
fn a_header_limit_that_changes_nothing_is_mentioned_and_held_down() {
    let loaded = load(&private(&with("limits", "{ max_request_header_bytes: 300000 }")));
    assert_eq!(loaded.config.limits.max_request_header_bytes, 262_144);
    assert_eq!(said(loaded), ["limits.max_request_header_bytes: above 262144 it changes nothing"]);
}

/// Whether requests to the identity provider go through the proxy, and what is said about it.
fn proxied(variables: &[(&str, &str)], keys: &str) -> (bool, usize) {
    let text = private(&with(
        "oidc",
        &format!("{{ issuer: 'https://idp.example.com', client_id: c, client_secret: s{keys} }}"),
    ));
    let mut pairs = variables.to_vec();
    pairs.extend([("JWT_SECRET", "a-secret-of-32-bytes-or-more-here"), ("API_KEY", "k")]);
    let environment: Environment = pairs.into_iter().collect();
    let loaded = Config::parse(&text, &environment, &mounted()).expect("a right file");
    (loaded.config.oidc.use_proxy, loaded.warnings.len())
}

#[test]
fn a_proxy_that_may_or_may_not_be_for_the_provider_is_asked_about() {
    let proxy = ("HTTPS_PROXY", "http://proxy:3128");
    let boundary = ("CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY", "1");
    assert_eq!(proxied(&[], ""), (false, 0));
    assert_eq!(proxied(&[proxy], ""), (false, 1));
    assert_eq!(proxied(&[proxy], ", use_proxy: false"), (false, 0));
    assert_eq!(proxied(&[proxy], ", use_proxy: true"), (true, 0));
    assert_eq!(proxied(&[proxy, boundary], ""), (true, 0));
    assert_eq!(proxied(&[proxy, boundary], ", use_proxy: false"), (false, 0));
    for exempt in [".example.com", "idp.example.com", "*", "a,.example.com"] {
        assert_eq!(proxied(&[proxy, ("NO_PROXY", exempt)], ""), (false, 0), "{exempt}");
    }
    assert_eq!(proxied(&[proxy, ("NO_PROXY", "example.com")], ""), (false, 1));
}
