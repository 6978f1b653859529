//! Refreshing (`state.md`, "Sessions and refresh"): who gets the next token, who is signed out, and who keeps what they have.

use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use e2e::cast::{
    length::short_or_full,
    openid::{Behaviour, Misbehaviour},
};
use futures_util::future::join_all;
use gateway::session::Lifetimes;

use crate::{
    browser::signed_in,
    stage::{Pod, Stage},
};

fn renewals(stage: &Stage) -> usize {
    let asked = stage.provider.requests_to("/token");
    asked.iter().filter(|request| request.form("grant_type") == Some("refresh_token")).count()
}

#[tokio::test]
async fn a_refresh_asks_the_provider_and_reads_the_claims_anew() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (access, refresh) = signed_in(&stage, &pod).await;
    stage.provider.behave(|behaviour| behaviour.person_mut("alice").groups = vec!["sales".to_owned()]);
    let answer = pod.refresh(&refresh).await;
    let (next_access, next_refresh) = answer.tokens();
    assert_eq!(answer.json()["email"], "alice@example.com");
    assert_ne!(next_refresh, refresh);
    let (before, after) = (pod.verifier.admit(&access).unwrap(), pod.verifier.admit(&next_access).unwrap());
    assert_eq!(after.person().groups, ["sales"]);
    assert_eq!((before.session(), before.started_at()), (after.session(), after.started_at()));
    assert_eq!(renewals(&stage), 1);
    assert_eq!(pod.audited("session.refresh").len(), 1);
}

#[tokio::test]
async fn every_refresh_moves_on_whether_or_not_the_provider_rotates() {
    for rotate_refresh_tokens in [true, false] {
        let stage = Stage::with(Behaviour { rotate_refresh_tokens, ..Behaviour::default() }).await;
        let pod = stage.deaf_pod().await;
        let mut seen = HashSet::new();
        let (_, mut refresh) = signed_in(&stage, &pod).await;
        for _ in 0..4 {
            assert!(seen.insert(refresh.clone()));
            (_, refresh) = pod.refresh(&refresh).await.tokens();
        }
        assert_eq!(renewals(&stage), 4);
    }
}

/// A lost reply, or two processes on one machine.
#[tokio::test]
async fn within_the_grace_the_previous_token_gets_the_same_successor_without_asking_the_provider() {
    let stage = Stage::usual().await;
    let pods = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (_, refresh) = signed_in(&stage, &pods[0]).await;
    let (_, successor) = pods[0].refresh(&refresh).await.tokens();
    for pod in &pods {
        let (access, again) = pod.refresh(&refresh).await.tokens();
        assert_eq!(again, successor);
        assert!(pod.verifier.admit(&access).is_ok());
    }
    assert_eq!(renewals(&stage), 1);
    pods[1].refresh(&successor).await.tokens();
}

/// Catalogue R31: fifty refreshes of one token at once, over sixteen pods.
#[tokio::test]
async fn fifty_refreshes_of_one_token_over_sixteen_pods_are_one_rotation() {
    let stage = Stage::usual().await.scripted(|script| script.connections = 2);
    let pods = stage.deaf_pods(16).await;
    let (_, refresh) = signed_in(&stage, &pods[0]).await;
    let answers = join_all((0..50).map(|n| pods[n % pods.len()].refresh(&refresh))).await;
    let successors: HashSet<_> = answers.iter().map(|answer| answer.tokens().1).collect();
    assert_eq!(successors.len(), 1, "all hold the same next token");
    assert_eq!(renewals(&stage), 1);
    let next = successors.into_iter().next().unwrap();
    let (access, _) = pods[9].refresh(&next).await.tokens();
    assert!(pods[3].verifier.admit(&access).is_ok(), "nobody was signed out");
}

/// Catalogue R31: reuse after the grace.
#[tokio::test]
async fn after_the_grace_the_previous_token_ends_the_session() {
    let grace = short_or_full(Duration::ZERO, Lifetimes::default().grace);
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.grace = grace);
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    let (access, successor) = pod.refresh(&refresh).await.tokens();
    tokio::time::sleep(grace).await;
    pod.refresh(&refresh).await.refused(401, "invalid_grant");
    pod.refresh(&successor).await.refused(401, "invalid_grant");
    assert!(pod.verifier.admit(&access).is_err());
    assert_eq!(pod.audited("session.revoke")[0]["reason"], "token_reused");
}

#[tokio::test]
async fn a_token_two_generations_old_ends_the_session_even_within_the_grace() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, first) = signed_in(&stage, &pod).await;
    let (_, second) = pod.refresh(&first).await.tokens();
    let (_, third) = pod.refresh(&second).await.tokens();
    pod.refresh(&first).await.refused(401, "invalid_grant");
    pod.refresh(&third).await.refused(401, "invalid_grant");
}

#[tokio::test]
async fn garbage_is_refused_and_ends_nothing() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (access, refresh) = signed_in(&stage, &pod).await;
    let cut = &refresh[..refresh.len() - 1];
    let long = "A".repeat(70_000);
    for garbage in ["x", cut, &*access, &*long, "\u{0}", "🦀"] {
        pod.refresh(garbage).await.refused(401, "invalid_grant");
    }
    pod.refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn a_refresh_token_is_no_bearer() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    assert!(pod.verifier.admit(&refresh).is_err());
}

/// The deprovisioning hook.
#[tokio::test]
async fn a_person_whom_the_provider_no_longer_knows_is_signed_out() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (access, refresh) = signed_in(&stage, &pod).await;
    stage.provider.disable("alice");
    pod.refresh(&refresh).await.refused(401, "invalid_grant");
    assert!(pod.verifier.admit(&access).is_err(), "the bearer goes with the session");
    stage.provider.enable("alice");
    pod.refresh(&refresh).await.refused(401, "invalid_grant");
}

#[tokio::test]
async fn a_person_who_is_no_longer_admitted_is_signed_out() {
    let stage = Stage::usual().await.scripted(|script| script.allowed_groups = vec!["eng".to_owned()]);
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    stage.provider.behave(|behaviour| behaviour.person_mut("alice").groups = vec!["sales".to_owned()]);
    pod.refresh(&refresh).await.refused(401, "invalid_grant");
    assert_eq!(pod.audited("session.revoke")[0]["reason"], "not_admitted");
}

/// An expired secret of ours, above all, must not sign a company out.
#[tokio::test]
async fn whatever_else_the_provider_says_nobody_is_signed_out_for_it() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (access, refresh) = signed_in(&stage, &pod).await;
    let refusals = ["invalid_client", "unauthorized_client", "invalid_scope", "temporarily_unavailable"];
    let faults = refusals.map(|code| Misbehaviour::TokenEndpointRefuses(code.to_owned())).into_iter();
    for fault in faults.chain([Misbehaviour::TokenEndpointFails, Misbehaviour::RefusesWithServerError]) {
        stage.provider.misbehave(fault);
        pod.refresh(&refresh).await.refused(503, "temporarily_unavailable");
    }
    stage.provider.behave_well();
    stage.provider.go_away().await;
    pod.refresh(&refresh).await.refused(503, "temporarily_unavailable");
    stage.provider.come_back().await;
    assert!(pod.verifier.admit(&access).is_ok());
    pod.refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_and_the_token_stays_good() {
    let renewal = short_or_full(Duration::from_millis(300), Lifetimes::default().renewal);
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.renewal = renewal);
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    stage.provider.misbehave(Misbehaviour::TokenEndpointHangs);
    pod.refresh(&refresh).await.refused(503, "temporarily_unavailable");
    stage.provider.behave_well();
    pod.refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn a_refresh_waits_for_another_pods_claim_and_then_says_503() {
    let stage = Stage::usual().await.scripted(|script| {
        script.lifetimes.renewal = Duration::from_secs(3);
        script.lifetimes.wait = Duration::from_millis(400);
    });
    let pods = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (_, refresh) = signed_in(&stage, &pods[0]).await;
    stage.provider.misbehave(Misbehaviour::TokenEndpointHangs);
    let second = async {
        while stage.provider.requests_to("/token").len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pods[1].refresh(&refresh).await
    };
    let (first, second) = tokio::join!(pods[0].refresh(&refresh), second);
    first.refused(503, "temporarily_unavailable");
    second.refused(503, "temporarily_unavailable");
    assert_eq!(renewals(&stage), 1, "only the pod that claimed it asked");
    stage.provider.behave_well();
    pods[1].refresh(&refresh).await.tokens();
}

/// A pod that dies while it holds a claim.
#[tokio::test]
async fn a_claim_that_nobody_gives_back_runs_out() {
    let claim = short_or_full(Duration::from_millis(300), Lifetimes::default().claim);
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.claim = claim);
    let pods = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (_, refresh) = signed_in(&stage, &pods[0]).await;
    stage.provider.misbehave(Misbehaviour::TokenEndpointHangs);
    let abandoned = tokio::time::timeout(Duration::from_millis(1000), pods[0].refresh(&refresh)).await;
    assert!(abandoned.is_err());
    stage.provider.behave_well();
    pods[1].refresh(&refresh).await.tokens();
}

#[tokio::test]
async fn no_session_outlives_its_days() {
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.session = Duration::from_secs(7200));
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    stage.time_passes(TimeDelta::minutes(90));
    let answer = pod.refresh(&refresh).await;
    let (access, refresh) = answer.tokens();
    let left = answer.json()["expires_in"].as_u64().unwrap();
    assert!((1700..=1800).contains(&left), "the last bearer ends with the session: {left}");
    assert!(pod.verifier.admit(&access).is_ok());
    stage.time_passes(TimeDelta::minutes(31));
    assert!(pod.verifier.admit(&access).is_err());
    pod.refresh(&refresh).await.refused(401, "invalid_grant");
    assert_eq!(renewals(&stage), 1);
}

/// Catalogue R26: signing keys rotate in steps, and nobody notices.
#[tokio::test]
async fn a_rotated_signing_key_signs_nobody_out() {
    let stage = Stage::usual().await;
    let pods: [Pod; 2] = [stage.deaf_pod().await, stage.deaf_pod().await];
    let (access, refresh) = signed_in(&stage, &pods[0]).await;
    let (old, new) = (stage.script.secrets[0].clone(), "the second secret of these pods, long enough for all".into());
    pods[1].keys.reload(&[new, old]).unwrap();
    assert!(pods[1].verifier.admit(&access).is_ok());
    let (access, successor) = pods[1].refresh(&refresh).await.tokens();
    assert!(pods[0].verifier.admit(&access).is_err(), "this pod has not heard of the new key");
    pods[0]
        .keys
        .reload(&[stage.script.secrets[0].clone(), "the second secret of these pods, long enough for all".into()])
        .unwrap();
    assert!(pods[0].verifier.admit(&access).is_ok());
    let (_, again) = pods[0].refresh(&refresh).await.tokens();
    assert_eq!(again, successor, "the grace outlives the rotation");
    pods[0].refresh(&successor).await.tokens();
}
