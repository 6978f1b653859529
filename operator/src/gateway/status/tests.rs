//! Statuses as tools read them.

use serde_json::json;

use super::*;

fn now(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn probed() -> Probed {
    Probed {
        database: Finding::good(Reason::DatabaseReady, "yes"),
        identity_provider: Finding::good(Reason::IdentityProviderReady, "yes"),
        login: None,
        pods: Some(Vec::new()),
        revision: Some(0),
    }
}

fn applied(ready: i32) -> Applied {
    let deployment = json!({
        "metadata": { "generation": 1 }, "spec": { "replicas": 2, "selector": {}, "template": {} },
        "status": { "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": ready, "availableReplicas": ready },
    });
    Applied::stand_in(serde_json::from_value(deployment).unwrap())
}

fn facts() -> Facts {
    Facts { url: "https://claude.example.com".to_owned(), replicas: Some(2), ..Facts::default() }
}

fn verdicts(status: &ClaudeGatewayStatus) -> Vec<(&str, &str, &str)> {
    status.conditions.iter().map(|of| (of.type_.as_str(), of.status.as_str(), of.reason.as_str())).collect()
}

fn of(before: Option<&ClaudeGatewayStatus>, outcome: &Outcome<'_>, at: i64) -> ClaudeGatewayStatus {
    status(before, Some(1), outcome, now(at))
}

fn done(before: Option<&ClaudeGatewayStatus>, ready: i32, at: i64) -> ClaudeGatewayStatus {
    of(before, &Outcome::Applied { probed: &probed(), applied: &applied(ready), facts: &facts() }, at)
}

#[test]
fn b1_the_first_status_says_that_nothing_is_known_yet() {
    let begun = of(None, &Outcome::Begun, 0);
    assert_eq!(verdicts(&begun), [("Ready", "Unknown", "Reconciling"), ("Reconciling", "True", "Reconciling")]);
    assert_eq!(begun.observed_generation, Some(1));
}

#[test]
fn b2_a_rollout_is_in_progress_until_every_pod_is_there_and_then_current() {
    let rolling = done(None, 0, 0);
    assert!(verdicts(&rolling).contains(&("Reconciling", "True", "RollingOut")));
    assert!(verdicts(&rolling).contains(&("Ready", "False", "PodsNotReady")));
    let current = done(Some(&rolling), 2, 1);
    assert!(verdicts(&current).contains(&("Ready", "True", "Available")));
    let special = |status: &ClaudeGatewayStatus| {
        status.conditions.iter().any(|condition| [RECONCILING, STALLED, PAUSED].contains(&condition.type_.as_str()))
    };
    assert!(!special(&current), "only while they are true");
}

#[test]
fn b3_whoever_has_to_act_sees_a_stall() {
    let finding = Finding::bad(Reason::SecretMissing, "Make it.");
    let stalled = of(None, &Outcome::Refused(&finding), 0);
    assert_eq!(verdicts(&stalled), [("Ready", "False", "SecretMissing"), ("Stalled", "True", "SecretMissing")]);
    let mended = done(Some(&stalled), 2, 1);
    assert!(!mended.conditions.iter().any(|condition| condition.type_ == STALLED));
}

#[test]
fn b4_a_time_moves_only_when_a_status_does_and_what_is_the_same_is_equal() {
    let first = done(None, 2, 0);
    assert_eq!(done(Some(&first), 2, 100), first, "nothing to write");
    let worse = done(Some(&first), 0, 200);
    let time = |status: &ClaudeGatewayStatus, name: &str| {
        status.conditions.iter().find(|condition| condition.type_ == name).unwrap().last_transition_time.0
    };
    assert_eq!((time(&worse, READY), time(&worse, DATABASE_READY)), (now(200), now(0)));
}

#[test]
fn b8_a_pause_is_seen_and_keeps_what_was_known() {
    let before = done(None, 2, 0);
    let paused = of(Some(&before), &Outcome::Paused, 1);
    assert!(verdicts(&paused).contains(&("Paused", "True", "Paused")));
    assert!(verdicts(&paused).contains(&("Ready", "True", "Available")));
}

#[test]
fn a_database_that_is_away_is_the_reason_why_nobody_can_sign_in() {
    let away =
        Probed { database: Finding::bad(Reason::DatabaseUnavailable, "away"), pods: None, revision: None, ..probed() };
    let status = of(None, &Outcome::Applied { probed: &away, applied: &applied(2), facts: &facts() }, 0);
    for verdict in [
        ("Ready", "False", "DatabaseUnavailable"),
        ("DatabaseReady", "False", "DatabaseUnavailable"),
        ("PoliciesSynced", "Unknown", "NotProbed"),
    ] {
        assert!(verdicts(&status).contains(&verdict), "{verdict:?}");
    }
}

#[test]
fn another_certificate_is_told_of_two_weeks_ahead_and_only_then() {
    let renewal = now(0);
    let at = |second: i64| {
        let facts = Facts { renewal: Some(renewal), ..facts() };
        let outcome = Outcome::Applied { probed: &probed(), applied: &applied(2), facts: &facts };
        of(None, &outcome, second).conditions.into_iter().find(|condition| condition.type_ == CERTIFICATE_RENEWAL_DUE)
    };
    let day = 86_400;
    assert_eq!(at(-15 * day), None);
    let told = at(-13 * day).unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", "CertificateRenewalDue"));
    assert!(told.message.contains(&renewal.to_string()), "{}", told.message);
    assert_eq!(at(-day).unwrap().message, told.message, "nothing to write from day to day");
    assert_eq!(at(1), None);
}

#[test]
fn c15_a_newer_image_is_offered_and_takes_nothing_from_being_ready() {
    let facts = Facts { newer_image: Some("gateway:2".to_owned()), ..facts() };
    let status = of(None, &Outcome::Applied { probed: &probed(), applied: &applied(2), facts: &facts }, 0);
    assert!(verdicts(&status).contains(&("Progressing", "False", "NewerImage")));
    assert!(verdicts(&status).contains(&("Ready", "True", "Available")));
    let said = status.conditions.iter().find(|condition| condition.type_ == PROGRESSING).unwrap();
    assert!(said.message.contains("gateway:2") && said.message.contains("claude-gateway.dev/take-image"));
}
