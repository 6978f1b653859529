//! The provider's keys change, vanish and cannot be fetched.

use chrono::TimeDelta;
use e2e::cast::{
    length::short_or_full,
    openid::{Behaviour, Misbehaviour},
};
use gateway::identity::SignInError;

use crate::stage::{Stage, untrustworthy};

const PAUSE: TimeDelta = TimeDelta::seconds(31);

#[tokio::test]
async fn s3_keys_rotated_in_the_middle_of_a_sign_in_are_fetched_anew() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    stage.time_passes(PAUSE);
    let (callback, pending) = stage.approve(&party, "alice");
    stage.provider.rotate_keys();
    assert!(callback.redeem(&party, &pending).await.is_ok());
    assert_eq!(stage.fetches("/jwks"), 2);
    assert!(stage.sign_in(&party, "alice").await.is_ok());
    assert_eq!(stage.fetches("/jwks"), 2, "and then they are known");
}

#[tokio::test]
async fn s3_keys_rotated_before_use_are_fetched_anew_without_key_ids_too() {
    let stage = Stage::set(Behaviour { key_ids: false, ..Behaviour::default() }).await;
    let party = stage.party().await;
    stage.provider.rotate_keys();
    stage.time_passes(PAUSE);
    assert!(stage.sign_in(&party, "alice").await.is_ok());
}

#[tokio::test]
async fn a_token_without_a_key_id_is_tried_with_every_key() {
    let stage = Stage::set(Behaviour { key_ids: false, ..Behaviour::default() }).await;
    assert!(stage.person("alice").await.is_ok(), "one key");
    stage.provider.add_key();
    stage.provider.add_key();
    assert!(stage.person("alice").await.is_ok(), "the last of three");
    let party = stage.party().await;
    stage.provider.misbehave(Misbehaviour::WrongSignature);
    untrustworthy(stage.sign_in(&party, "alice").await, "Crypto error");
}

#[tokio::test]
async fn r12_a_storm_of_unknown_key_ids_costs_one_fetch_in_thirty_seconds() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    stage.provider.misbehave(Misbehaviour::UnknownKeyId);
    let storm = async || {
        for _ in 0..short_or_full(1, 5) {
            let attempts = (0..64).map(|_| stage.sign_in(&party, "alice"));
            for refused in futures_util::future::join_all(attempts).await {
                untrustworthy(refused, "no key of the provider's");
            }
        }
    };
    storm().await;
    assert_eq!(stage.fetches("/jwks"), 1, "asked at boot, a moment ago");
    stage.time_passes(PAUSE);
    storm().await;
    assert_eq!(stage.fetches("/jwks"), 2);
    // The hands go on with the machine's clock, and a storm takes its time.
    stage.time_passes(TimeDelta::seconds(15));
    storm().await;
    assert_eq!(stage.fetches("/jwks"), 2);
    stage.provider.behave_well();
    assert!(stage.sign_in(&party, "alice").await.is_ok(), "and nobody else is harmed");
}

#[tokio::test]
async fn r11_known_keys_serve_for_a_day_while_the_key_set_cannot_be_fetched() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    stage.provider.misbehave(Misbehaviour::KeySetFails);
    stage.time_passes(TimeDelta::minutes(11));
    assert!(stage.sign_in(&party, "alice").await.is_ok());
    assert!(stage.sign_in(&party, "alice").await.is_ok());
    assert_eq!(stage.fetches("/jwks"), 2, "one try, then patience");
    stage.time_passes(TimeDelta::hours(23));
    assert!(stage.sign_in(&party, "alice").await.is_ok());
    stage.time_passes(TimeDelta::hours(1));
    assert!(matches!(stage.sign_in(&party, "alice").await, Err(SignInError::Unavailable { .. })));
    stage.provider.behave_well();
    stage.time_passes(PAUSE);
    assert!(stage.sign_in(&party, "alice").await.is_ok());
}

#[tokio::test]
async fn r11_a_new_key_behind_a_broken_key_set_is_silence_and_no_forgery() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    stage.time_passes(PAUSE);
    stage.provider.rotate_keys();
    stage.provider.misbehave(Misbehaviour::KeySetFails);
    for _ in 0..2 {
        assert!(matches!(stage.sign_in(&party, "alice").await, Err(SignInError::Unavailable { .. })));
    }
    assert_eq!(stage.fetches("/jwks"), 2);
}

#[tokio::test]
async fn a_set_without_a_usable_key_does_not_replace_a_good_one() {
    let stage = Stage::usual().await;
    let party = stage.party().await;
    stage.provider.misbehave(Misbehaviour::HugeKeySet);
    stage.time_passes(TimeDelta::minutes(11));
    assert!(stage.sign_in(&party, "alice").await.is_ok());
    assert_eq!(stage.fetches("/jwks"), 2);
}
