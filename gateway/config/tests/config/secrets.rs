//! A secret shows nowhere.

use gateway_config::{Config, Environment};

use super::complete::COMPLETE;
use crate::support::{complaints, environment, load, mounted, with};

#[test]
fn a_whole_configuration_prints_no_secret() {
    let printed = format!("{:?}", load(COMPLETE));
    for secret in ["canary", "p@ss", "p%40ss", "in-a-file", "PRIVATE KEY", "somebody:else"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn a_complaint_about_a_secret_does_not_quote_it() {
    let secrets = "
listen: { public_url: \"https://me:canary@gateway.example.com\", host: \"${CANARY}\", port: \"${CANARY}\", tls: { cert: \"${CANARY}\", key: \"${CANARY}\" } }
oidc:
  issuer: ${CANARY}
  client_id: [canary]
  client_secret: { canary: 1 }
  token_endpoint_auth_method: ${CANARY}
  use_pkce: ${CANARY}
  scopes: [\"${CANARY} \"]
  ca_cert_pem: ${CANARY}
  email_claim: \"/~${CANARY}\"
session: { jwt_secret: [canary, \"${CANARY}\"], ttl_hours: \"${CANARY}\" }
store: { postgres_url: \"postgres://user:canary/#@db/x\", password: [\"canary\"], schema: \"${CANARY}\" }
upstreams:
  - provider: ${CANARY}
  - provider: anthropic
    name: two
    auth: { api_key: \"canary\\nline\" }
    headers: { x-token: \"canary\\u0007\" }
    base_url: https://user:canary@proxy
";
    let environment: Environment = [("CANARY", "canary canary")].into_iter().collect();
    let errors = Config::parse(secrets, &environment, &mounted()).unwrap_err().to_string();
    assert!(errors.lines().count() > 15, "{errors}");
    // The one key that was written as if it were a name stands in its path; nothing else may.
    let shown: Vec<_> = errors.lines().filter(|line| line.contains("canary")).collect();
    assert!(shown.is_empty(), "{shown:?}");
}

#[test]
fn broken_yaml_does_not_quote_what_it_holds() {
    for line in
        ["*canary", "&canary *canary", "!canary {", "\"canary", "{ canary", "|canary", "%canary", "@canary", "`canary"]
    {
        let text = format!("session:\n  jwt_secret: {line}\n");
        let complaints = complaints(&text);
        assert!(!complaints.is_empty() && !complaints.contains("canary"), "{line}: {complaints}");
    }
}

#[test]
fn a_hint_never_comes_from_an_expanded_value() {
    let environment: Environment = [
        ("CLIENT_SECRET", "s"),
        ("JWT_SECRET", "a-secret-of-32-bytes-or-more-here"),
        ("API_KEY", "k"),
        ("R", "stricd"),
    ]
    .into_iter()
    .collect();
    let text = with("store", "{ postgres_url: postgres://db/x, readiness: \"${R}\" }");
    let errors = Config::parse(&text, &environment, &mounted()).unwrap_err().to_string();
    assert_eq!(errors, "store.readiness: must be one of strict, booted: write one of them");
}

#[test]
fn an_environment_prints_names_only() {
    let printed = format!("{:?}", environment());
    assert!(printed.contains("API_KEY") && !printed.contains("canary"));
}
