//! A good provider signs people in, as the `oidc` section says.

use std::time::Duration;

use chrono::TimeDelta;
use e2e::cast::openid::{Algorithm, Behaviour, Misbehaviour, Person};
use gateway::identity::SignInError;
use gateway_config::{EmailClaim, SigningAlgorithm};
use serde_json::json;

use crate::stage::{REDIRECT_URI, Stage, groups};

fn omitting(claims: &[&str]) -> Behaviour {
    Behaviour { id_token_omits: groups(claims), ..Behaviour::default() }
}

#[tokio::test]
async fn alice_signs_in_with_her_email_name_and_groups() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let signed_in = stage.sign_in(&party, "alice").await.unwrap();
    let person = signed_in.person.person();
    assert_eq!(person.sub.0, "alice");
    assert_eq!(person.email.as_deref(), Some("alice@example.com"));
    assert_eq!(person.name.as_deref(), Some("Alice Example"));
    assert_eq!(person.groups, groups(&["eng", "everyone"]));
    assert!(signed_in.refresh_token.is_some());
}

#[tokio::test]
async fn the_authorization_request_says_what_is_configured() {
    let stage = Stage::usual().await.configured(|config| {
        config.scopes = groups(&["openid", "groups"]);
        config.extra_auth_params.insert("access_type".to_owned(), "off line&".to_owned());
    });
    let party = stage.party().await;
    stage.sign_in(&party, "alice").await.unwrap();
    let asked = stage.provider.requests_to("/authorize").remove(0);
    for (name, value) in [
        ("response_type", "code"),
        ("response_mode", "query"),
        ("client_id", "claude-gateway"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid groups"),
        ("code_challenge_method", "S256"),
        ("access_type", "off line&"),
    ] {
        assert_eq!(asked.query(name), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked.query(name).map(str::len), Some(43), "{name} has 256 bits");
    }
    let sent = stage.provider.requests_to("/token").remove(0);
    assert!(sent.form("code_verifier").is_some());
    assert_eq!(sent.form("redirect_uri"), Some(REDIRECT_URI));
}

#[tokio::test]
async fn no_two_departures_share_anything_secret() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let pairs = |url: &url::Url| url.query_pairs().into_owned().collect::<Vec<_>>();
    let (first, second) = (pairs(&party.depart().to), pairs(&party.depart().to));
    let value = |of: &[(String, String)], name| of.iter().find(|(key, _)| key == name).unwrap().1.clone();
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(value(&first, name), value(&second, name), "{name}");
    }
    let departure = party.depart();
    let printed = format!("{departure:?} {:?}", departure.pending);
    assert!(!printed.contains(&value(&pairs(&departure.to), "state")), "{printed}");
}

#[tokio::test]
async fn pkce_can_be_switched_off() {
    let stage = Stage::usual().await.configured(|config| config.use_pkce = false);
    stage.person("alice").await.unwrap();
    assert_eq!(stage.provider.requests_to("/authorize")[0].query("code_challenge"), None);
    assert_eq!(stage.provider.requests_to("/token")[0].form("code_verifier"), None);
}

#[tokio::test]
async fn every_configured_algorithm_is_accepted_and_no_other() {
    let algorithms = [
        (Algorithm::Rs256, SigningAlgorithm::Rs256),
        (Algorithm::Ps256, SigningAlgorithm::Ps256),
        (Algorithm::Es256, SigningAlgorithm::Es256),
        (Algorithm::EdDsa, SigningAlgorithm::EdDsa),
    ];
    for (signed, _) in algorithms {
        let mut stage = Stage::set(Behaviour::default().signing(signed)).await;
        for (accepted, configured) in algorithms {
            stage = stage.configured(|config| config.signing_algorithm = configured);
            assert_eq!(stage.person("alice").await.is_ok(), signed == accepted, "{signed:?} as {configured:?}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_gives_no_refresh_token_leaves_none() {
    let stage = Stage::set(Behaviour { refresh_tokens: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    assert!(stage.sign_in(&party, "alice").await.unwrap().refresh_token.is_none());
}

#[tokio::test]
async fn userinfo_fills_gaps_only_where_it_may_and_must() {
    let stage = Stage::set(omitting(&["email", "groups"])).await;
    let person = stage.person("alice").await.unwrap();
    assert_eq!((person.email, person.groups), (None, vec![]));
    assert_eq!(stage.fetches("/userinfo"), 0, "not without userinfo_fallback");

    let stage = stage.configured(|config| config.userinfo_fallback = true);
    let person = stage.person("alice").await.unwrap();
    assert_eq!(person.email.as_deref(), Some("alice@example.com"));
    assert_eq!(person.groups, groups(&["eng", "everyone"]));
    assert_eq!(stage.fetches("/userinfo"), 1);

    stage.provider.behave(|behaviour| behaviour.id_token_omits.clear());
    stage.person("alice").await.unwrap();
    assert_eq!(stage.fetches("/userinfo"), 1, "not without a gap");
}

#[tokio::test]
async fn a_failing_userinfo_is_the_providers_silence() {
    let stage = Stage::set(omitting(&["groups"]).misbehaving(Misbehaviour::UserinfoFails))
        .await
        .configured(|config| config.userinfo_fallback = true);
    assert!(matches!(stage.person("alice").await, Err(SignInError::Unavailable { .. })));
}

#[tokio::test]
async fn claims_are_mapped_by_pointers_and_fallbacks() {
    let dave = Person::new("dave", "Dave", &["flat"])
        .claim("email", json!(null))
        .claim("upn", json!("dave@corp.example"))
        .claim("resource_access", json!({"gateway": {"roles": ["deep"]}}));
    let stage = Stage::set(Behaviour::default().person(dave)).await.configured(|config| {
        config.email_claim = EmailClaim(groups(&["email", "/ids/mail", "upn"]));
        config.groups_claim = "/resource_access/gateway/roles".to_owned();
    });
    let person = stage.person("dave").await.unwrap();
    assert_eq!(person.email.as_deref(), Some("dave@corp.example"));
    assert_eq!(person.groups, groups(&["deep"]));
}

async fn not_admitted(stage: &Stage, sub: &str, because: &str) {
    match stage.person(sub).await {
        Err(SignInError::NotAdmitted { reason }) => assert!(reason.contains(because), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unverified_email_is_always_refused() {
    for word in [json!(false), json!("false")] {
        let eve = Person::new("eve", "Eve", &["eng"]).claim("email_verified", word);
        let stage = Stage::set(Behaviour::default().person(eve)).await;
        not_admitted(&stage, "eve", "not verified").await;
    }
    let frank = Person::new("frank", "Frank", &[]).claim("email_verified", json!(null));
    assert!(Stage::set(Behaviour::default().person(frank)).await.person("frank").await.is_ok());
}

#[tokio::test]
async fn domains_and_groups_decide_who_comes_in() {
    let stage = Stage::usual().await.configured(|config| config.allowed_groups = groups(&["eng"]));
    assert!(stage.person("alice").await.is_ok());
    not_admitted(&stage, "bob", "no group").await;
    not_admitted(&stage, "carol", "no group").await;
    let stage = stage.configured(|config| config.allowed_email_domains = groups(&["corp.example"]));
    not_admitted(&stage, "alice", "domain").await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_within_the_skew_is_forgiven() {
    let stage = Stage::usual().await;
    for ahead in [100, -3700] {
        stage.provider.behave(|behaviour| behaviour.clock_ahead = ahead);
        assert!(matches!(stage.person("alice").await, Err(SignInError::Untrustworthy { .. })), "{ahead} s, strict");
    }
    let stage = stage.configured(|config| config.clock_skew = Duration::from_secs(120));
    for (ahead, accepted) in [(100, true), (-3700, true), (130, false), (-3730, false)] {
        stage.provider.behave(|behaviour| behaviour.clock_ahead = ahead);
        assert_eq!(stage.person("alice").await.is_ok(), accepted, "{ahead} s, forgiving 120");
    }
    // The relying party's hands count, not the machine's.
    stage.provider.behave(|behaviour| behaviour.clock_ahead = 0);
    stage.time_passes(TimeDelta::days(400));
    assert!(stage.person("alice").await.is_ok());
}

#[tokio::test]
async fn additional_authorized_parties_are_accepted() {
    let broker = Misbehaviour::AuthorizedParty("broker".to_owned());
    let stage = Stage::set(Behaviour::default().misbehaving(broker))
        .await
        .configured(|config| config.additional_authorized_parties = groups(&["broker"]));
    assert!(stage.person("alice").await.is_ok());
}

#[tokio::test]
async fn a_callback_that_names_its_issuer_is_accepted() {
    let stage = Stage::set(Behaviour { names_itself_in_callback: true, ..Behaviour::default() }).await;
    assert!(stage.person("alice").await.is_ok());
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_or_fails_is_told_apart() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    for code in ["invalid_client", "invalid_grant", "server_error"] {
        stage.provider.misbehave(Misbehaviour::TokenEndpointRefuses(code.to_owned()));
        let refused = stage.sign_in(&party, "alice").await;
        assert!(matches!(refused, Err(SignInError::Refused { code: told }) if told == code));
    }
    for silence in
        [Misbehaviour::TokenEndpointFails, Misbehaviour::TokenEndpointRedirectsTo("http://127.0.0.1:9/".to_owned())]
    {
        stage.provider.misbehave(silence);
        assert!(matches!(stage.sign_in(&party, "alice").await, Err(SignInError::Unavailable { .. })));
    }
    stage.provider.behave_well();
    let (callback, pending) = stage.approve(&party, "alice");
    stage.provider.go_away().await;
    assert!(matches!(callback.redeem(&party, &pending).await, Err(SignInError::Unavailable { .. })));
}
