//! Catalogue S2 and S3, and section 5: what a bad provider sends, one promise each. Every stage signs somebody in first, so
//! that what is refused afterwards is refused for its one fault.

use e2e::cast::openid::{Algorithm, Behaviour, Misbehaviour};
use gateway_config::SigningAlgorithm;

use crate::stage::{Stage, untrustworthy};

async fn refused(misbehaviour: Misbehaviour, because: &str) {
    refused_on(Stage::usual().await, misbehaviour, because).await;
}

async fn refused_on(stage: Stage, misbehaviour: Misbehaviour, because: &str) {
    let party = stage.party().await;
    assert_eq!(stage.sign_in(&party, "alice").await.unwrap().person.person().sub.0, "alice");
    stage.provider.misbehave(misbehaviour);
    untrustworthy(stage.sign_in(&party, "alice").await, because);
}

macro_rules! s3_refused {
    ($($promise:ident: $misbehaviour:expr, $because:expr;)*) => {
        $(#[tokio::test]
        async fn $promise() {
            refused($misbehaviour, $because).await;
        })*
    };
}

s3_refused! {
    s3_a_wrong_issuer_is_refused: Misbehaviour::WrongIssuer, "Invalid issuer";
    s3_an_issuer_spelled_differently_is_refused: Misbehaviour::IssuerSpelledDifferently, "Invalid issuer";
    s3_a_wrong_audience_is_refused: Misbehaviour::WrongAudience, "Invalid audiences";
    s3_a_second_audience_without_an_authorized_party_is_refused: Misbehaviour::SecondAudience, "several audiences";
    s3_another_authorized_party_is_refused:
        Misbehaviour::AuthorizedParty("another-client".to_owned()), "authorized party is another client";
    s3_a_wrong_nonce_is_refused: Misbehaviour::WrongNonce, "Invalid nonce";
    s3_a_missing_nonce_is_refused: Misbehaviour::NoNonce, "Invalid nonce";
    s3_a_wrong_signature_is_refused: Misbehaviour::WrongSignature, "Crypto error";
    s3_a_missing_subject_is_refused: Misbehaviour::NoSubject, "no sub";
    s3_an_empty_subject_is_refused: Misbehaviour::EmptySubject, "about nobody";
    s3_a_missing_time_of_issue_is_refused: Misbehaviour::NoIssuedAt, "no iat";
    s3_a_missing_expiry_is_refused: Misbehaviour::NoExpiry, "no exp";
    s3_an_expired_token_is_refused: Misbehaviour::Expired, "Expired";
    s3_a_token_not_yet_valid_is_refused: Misbehaviour::NotYetValid, "not valid yet";
    s3_a_token_issued_in_the_future_is_refused: Misbehaviour::IssuedInTheFuture, "issued in the future";
    s3_a_token_for_another_access_token_is_refused: Misbehaviour::WrongAccessTokenHash, "another access token";
    s3_a_missing_id_token_is_refused: Misbehaviour::NoIdToken, "no ID token";
    s3_a_callback_of_another_issuer_is_refused: Misbehaviour::CallbackOfAnotherIssuer, "another provider's";
    s2_the_algorithm_none_is_refused: Misbehaviour::AlgorithmNone, "algorithm is \"none\"";
    s2_the_algorithm_none_in_capitals_is_refused: Misbehaviour::AlgorithmNoneInCapitals, "algorithm is \"nOnE\"";
    s2_hs256_with_the_public_key_is_refused: Misbehaviour::HmacWithPublicKey, "algorithm is \"HS256\"";
    s2_hs256_with_the_client_secret_is_refused: Misbehaviour::HmacWithClientSecret, "algorithm is \"HS256\"";
    s2_a_symmetric_key_of_the_key_set_is_refused: Misbehaviour::SymmetricKeyInKeySet, "algorithm is \"HS256\"";
    s2_a_key_in_the_header_is_not_looked_at: Misbehaviour::KeyInHeader, "Crypto error";
    s2_an_unknown_critical_header_is_refused: Misbehaviour::UnknownCriticalHeader, "critical";
    s2_an_access_token_is_no_id_token: Misbehaviour::AccessTokenType, "JWT type";
    s2_a_nested_token_is_refused: Misbehaviour::NestedToken, "nested";
    s2_an_unknown_key_id_is_refused: Misbehaviour::UnknownKeyId, "no key of the provider's";
    s2_a_token_in_two_parts_is_refused: Misbehaviour::Garbage, "no signed JWT";
    s2_a_vast_token_is_refused: Misbehaviour::VastToken, "more than 1048576 bytes";
}

#[tokio::test]
async fn s2_an_elliptic_signature_of_zeros_is_refused() {
    let stage = Stage::set(Behaviour::default().signing(Algorithm::Es256))
        .await
        .configured(|config| config.signing_algorithm = SigningAlgorithm::Es256);
    refused_on(stage, Misbehaviour::ZeroSignature, "Crypto error").await;
}

#[tokio::test]
async fn s3_userinfo_of_somebody_else_is_refused() {
    let behaviour = Behaviour { id_token_omits: vec!["groups".to_owned()], ..Behaviour::default() };
    let stage = Stage::set(behaviour).await.configured(|config| config.userinfo_fallback = true);
    refused_on(stage, Misbehaviour::UserinfoOfSomebodyElse, "another subject").await;
}

#[tokio::test]
async fn s3_a_callback_that_must_name_its_issuer_and_does_not_is_refused() {
    let stage = Stage::set(Behaviour { names_itself_in_callback: true, ..Behaviour::default() }).await;
    refused_on(stage, Misbehaviour::CallbackWithoutIssuer, "does not name its provider").await;
}

#[tokio::test]
async fn s3_an_injected_code_is_refused_by_the_challenge_or_the_nonce() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let (victim, _) = stage.approve(&party, "alice");
    let (_, attacker) = stage.approve(&party, "bob");
    assert!(victim.redeem(&party, &attacker).await.is_err(), "the provider checks the challenge");

    let stage = Stage::usual().await.configured(|config| config.use_pkce = false);
    let party = stage.party().await;
    let (victim, _) = stage.approve(&party, "alice");
    let (_, attacker) = stage.approve(&party, "bob");
    untrustworthy(victim.redeem(&party, &attacker).await, "nonce");
}

#[tokio::test]
async fn s8_a_code_works_once() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    let (callback, pending) = stage.approve(&party, "alice");
    callback.redeem(&party, &pending).await.unwrap();
    let again = callback.redeem(&party, &pending).await;
    assert!(matches!(again, Err(gateway::identity::SignInError::Refused { code }) if code == "invalid_grant"));
}
