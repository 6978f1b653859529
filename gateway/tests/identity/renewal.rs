//! A refresh asks the provider again; only its `invalid_grant` says that somebody is gone.

use std::time::{Duration, Instant};

use e2e::cast::openid::{Behaviour, Misbehaviour};
use gateway::identity::RenewalError;
use secrecy::ExposeSecret;

use crate::stage::{Stage, groups, session, unavailable};

#[tokio::test]
async fn a_renewal_reads_the_claims_anew_and_hands_on_the_next_token() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.behave(|behaviour| behaviour.person_mut("alice").groups = groups(&["sales"]));
    let renewal = party.renew(&refresh_token, &alice).await.unwrap();
    assert_eq!(renewal.person.person().groups, groups(&["sales"]));
    let next = renewal.refresh_token.unwrap();
    assert_ne!(next.expose_secret(), refresh_token.expose_secret());
    assert!(party.renew(&next, &alice).await.is_ok());
    assert!(matches!(party.renew(&refresh_token, &alice).await, Err(RenewalError::PersonGone)), "it was rotated");
}

#[tokio::test]
async fn a_provider_that_does_not_rotate_leaves_the_token_as_it_is() {
    let stage = Stage::set(Behaviour { rotate_refresh_tokens: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    for _ in 0..2 {
        assert!(party.renew(&refresh_token, &alice).await.unwrap().refresh_token.is_none());
    }
}

#[tokio::test]
async fn a_disabled_person_is_gone_and_may_return() {
    let stage = Stage::set(Behaviour { rotate_refresh_tokens: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.disable("alice");
    assert!(matches!(party.renew(&refresh_token, &alice).await, Err(RenewalError::PersonGone)));
    stage.provider.enable("alice");
    assert!(party.renew(&refresh_token, &alice).await.is_ok());
}

#[tokio::test]
async fn no_other_refusal_and_no_failure_means_that_somebody_is_gone() {
    let stage = Stage::set(Behaviour { rotate_refresh_tokens: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    let refusals = ["invalid_client", "invalid_scope", "unauthorized_client", "invalid_request", "access_denied"];
    let faults = refusals.map(|code| Misbehaviour::TokenEndpointRefuses(code.to_owned())).into_iter().chain([
        Misbehaviour::RefusesWithServerError,
        Misbehaviour::TokenEndpointFails,
        Misbehaviour::TokenEndpointRedirectsTo("http://127.0.0.1:9/".to_owned()),
    ]);
    for fault in faults {
        stage.provider.misbehave(fault);
        unavailable(party.renew(&refresh_token, &alice).await);
    }
    stage.provider.behave_well();
    stage.provider.go_away().await;
    unavailable(party.renew(&refresh_token, &alice).await);
    stage.provider.come_back().await;
    assert!(party.renew(&refresh_token, &alice).await.is_ok());
}

#[tokio::test]
async fn a_hanging_provider_is_given_up_within_the_budget() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.misbehave(Misbehaviour::TokenEndpointHangs);
    let started = Instant::now();
    unavailable(party.renew(&refresh_token, &alice).await);
    let waited = started.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn s3_a_renewed_token_of_another_subject_or_issuer_is_not_believed() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    for (fault, because) in [
        (Misbehaviour::SubjectChangesOnRefresh, "another subject"),
        (Misbehaviour::IssuerChangesOnRefresh, "Invalid issuer"),
        (Misbehaviour::WrongSignature, "Crypto error"),
        (Misbehaviour::WrongAudience, "Invalid audiences"),
        (Misbehaviour::Expired, "Expired"),
    ] {
        stage.provider.behave_well();
        let (refresh_token, alice) = session(&stage, &party, "alice").await;
        stage.provider.misbehave(fault);
        let reason = unavailable(party.renew(&refresh_token, &alice).await);
        assert!(reason.contains(because), "{reason}");
    }
}

#[tokio::test]
async fn without_an_id_token_userinfo_is_asked_about_the_same_person() {
    let stage = Stage::set(Behaviour { id_token_on_refresh: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.behave(|behaviour| behaviour.person_mut("alice").groups = groups(&["sales"]));
    let renewal = party.renew(&refresh_token, &alice).await.unwrap();
    assert_eq!(renewal.person.person().groups, groups(&["sales"]));

    stage.provider.misbehave(Misbehaviour::UserinfoOfSomebodyElse);
    let reason = unavailable(party.renew(&renewal.refresh_token.unwrap(), &alice).await);
    assert!(reason.contains("another subject"), "{reason}");
}

#[tokio::test]
async fn with_neither_id_token_nor_userinfo_the_known_claims_stay() {
    let behaviour = Behaviour { id_token_on_refresh: false, userinfo: false, ..Behaviour::default() };
    let stage = Stage::set(behaviour).await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    assert_eq!(party.renew(&refresh_token, &alice).await.unwrap().person.into_person(), alice);
}

#[tokio::test]
async fn a_used_up_refresh_token_is_not_lost_to_a_hiccup_of_userinfo() {
    for (rotate_refresh_tokens, fault) in
        [(true, Misbehaviour::UserinfoFails), (true, Misbehaviour::UserinfoHangs), (false, Misbehaviour::UserinfoFails)]
    {
        let behaviour = Behaviour { id_token_on_refresh: false, rotate_refresh_tokens, ..Behaviour::default() };
        let stage = Stage::set(behaviour).await;
        let party = stage.party().await;
        let (refresh_token, alice) = session(&stage, &party, "alice").await;
        stage.provider.misbehave(fault);
        let renewed = party.renew(&refresh_token, &alice).await;
        if !rotate_refresh_tokens {
            unavailable(renewed);
            continue;
        }
        let renewal = renewed.unwrap();
        assert_eq!(renewal.person.into_person(), alice, "as she was known");
        stage.provider.behave_well();
        assert!(party.renew(&renewal.refresh_token.unwrap(), &alice).await.is_ok());
    }
}

#[tokio::test]
async fn an_email_that_is_left_out_stays_and_groups_do_not() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.behave(|behaviour| behaviour.id_token_omits = groups(&["email", "name", "groups"]));
    let renewed = party.renew(&refresh_token, &alice).await.unwrap().person.into_person();
    assert_eq!((renewed.email, renewed.name, renewed.groups), (alice.email, alice.name, vec![]));
}

#[tokio::test]
async fn groups_that_only_userinfo_tells_are_filled_at_a_renewal_too() {
    let behaviour = Behaviour { id_token_omits: groups(&["groups"]), ..Behaviour::default() };
    let stage = Stage::set(behaviour).await.configured(|config| config.userinfo_fallback = true);
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    let renewed = party.renew(&refresh_token, &alice).await.unwrap();
    assert_eq!(renewed.person.person().groups, groups(&["eng", "everyone"]));
}

#[tokio::test]
async fn s11_somebody_who_left_the_allowed_group_is_no_longer_admitted() {
    let stage = Stage::usual().await.configured(|config| config.allowed_groups = groups(&["eng"]));
    let party = stage.party().await;
    let (refresh_token, alice) = session(&stage, &party, "alice").await;
    stage.provider.behave(|behaviour| behaviour.person_mut("alice").groups = groups(&["everyone"]));
    assert!(matches!(party.renew(&refresh_token, &alice).await, Err(RenewalError::NotAdmitted { .. })));
}

#[tokio::test]
async fn the_scope_is_sent_again_only_where_that_is_configured() {
    for scope_on_refresh in [false, true] {
        let stage = Stage::usual().await.configured(|config| config.scope_on_refresh = scope_on_refresh);
        let party = stage.party().await;
        let (refresh_token, alice) = session(&stage, &party, "alice").await;
        party.renew(&refresh_token, &alice).await.unwrap();
        let sent = stage.provider.requests_to("/token").pop().unwrap();
        let expected = scope_on_refresh.then_some("openid profile email offline_access");
        assert_eq!(sent.form("scope"), expected);
    }
}
