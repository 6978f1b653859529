//! What a policy's status says, and when it is worth writing. Pure.
//!
//! `Accepted` and `Synced` are always there; `Reconciling`, `Stalled` and `Paused` only while they are true, as kstatus reads
//! them. A time of transition moves with its condition's status and with nothing else.

use crds::UserPolicyStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    dereference::Away,
    validate::{Refusal, Verdict},
};

/// The bound on a message.
const MESSAGE: usize = 1_024;

/// What is known of one policy.
pub struct Facts<'a> {
    pub generation: i64,
    pub verdict: &'a Verdict,
    pub part: Stands<'a>,
}

/// What of it pods can read.
#[derive(Clone, Copy)]
pub enum Stands<'a> {
    /// It, or what was accepted of it last, since this revision.
    Row {
        revision: i64,
        enforcing: usize,
        pods: usize,
        people: i64,
    },
    Nothing,
    /// Nothing could be written or asked.
    Unknown(&'a Away),
}

/// The same for every policy of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    pub pods: bool,
    /// Where the store is away, it has been so for a while; nothing is waited for.
    pub outage: bool,
}

pub fn status(facts: &Facts<'_>, before: &UserPolicyStatus, now: Timestamp) -> UserPolicyStatus {
    if *facts.verdict == Verdict::Paused {
        return paused(before, facts.generation, now);
    }
    let mut conditions = Conditions { before: &before.conditions, generation: facts.generation, now, all: Vec::new() };
    match facts.verdict {
        Verdict::Accepted { warnings } => {
            let said = "The gateway takes the policy.".to_owned();
            let message = warnings.iter().fold(said, |said, warning| format!("{said} Look again: {warning}."));
            conditions.put("Accepted", true, "Accepted", &message);
            synced(&facts.part, &mut conditions);
        }
        Verdict::Refused { reason, message } => refused(*reason, message, &facts.part, &mut conditions),
        Verdict::Paused => {}
    }
    let conditions = conditions.all;
    let mut status = UserPolicyStatus { conditions, observed_generation: Some(facts.generation), ..before.clone() };
    match facts.part {
        Stands::Row { revision, enforcing, pods, people } => {
            status.revision = Some(revision);
            status.enforcing_replicas = Some(count(enforcing));
            status.replicas = Some(count(pods));
            status.people = Some(people);
        }
        Stands::Nothing => {
            (status.revision, status.enforcing_replicas, status.replicas, status.people) = (None, None, None, None);
        }
        Stands::Unknown(_) => {}
    }
    status
}

/// What to write, if it is different and does not have to wait until the whole gateway has settled.
pub fn worth_writing(next: UserPolicyStatus, before: &UserPolicyStatus, settled: Settled) -> Option<UserPolicyStatus> {
    if next == *before {
        return None;
    }
    // Of a new policy everything is news: it waits for the store a moment rather than be written twice.
    let is_new = condition(before, "Synced").is_none();
    if is_new && is_true(&next, "Accepted") && next.revision.is_none() && !settled.outage {
        return None;
    }
    let is_news_of_the_policy = next.observed_generation != before.observed_generation
        || condition(&next, "Accepted") != condition(before, "Accepted")
        || next.revision != before.revision;
    let (was_synced, is_synced) = (is_true(before, "Synced"), is_true(&next, "Synced"));
    let must_wait = match (was_synced, is_synced) {
        // The number of pods, which is every policy's.
        (true, true) => !settled.pods,
        // The database is away, or a pod has just come.
        (true, false) => next.revision == before.revision && !settled.outage && !settled.pods,
        (false, _) => false,
    };
    (is_news_of_the_policy || !must_wait).then_some(next)
}

fn synced(part: &Stands<'_>, conditions: &mut Conditions<'_>) {
    match *part {
        Stands::Row { pods: 0, .. } => {
            conditions.put("Synced", true, "Stored", "Stored; no pod runs, and those that start begin with it.");
        }
        Stands::Row { enforcing, pods, .. } if enforcing == pods => {
            conditions.put("Synced", true, "Enforced", "Every pod enforces the policy as it stands.");
        }
        Stands::Row { .. } => {
            conditions.put("Synced", false, "Spreading", "Stored; not every pod enforces it yet.");
            conditions.put("Reconciling", true, "Spreading", "Waiting for pods.");
        }
        Stands::Nothing => {
            conditions.put("Synced", false, "NotStored", "It is not stored yet.");
            conditions.put("Reconciling", true, "NotStored", "It is being stored.");
        }
        Stands::Unknown(Away { reason, message }) => {
            conditions.put("Synced", false, reason, message);
            conditions.put("Reconciling", true, reason, "It is tried again.");
        }
    }
}

fn refused(reason: Refusal, message: &str, part: &Stands<'_>, conditions: &mut Conditions<'_>) {
    conditions.put("Accepted", false, reason.word(), message);
    let (synced_reason, said) = match part {
        Stands::Row { .. } => ("LastAcceptedInForce", "What was accepted last stays in force until this is corrected."),
        Stands::Nothing => ("NotAccepted", "Nothing of it is in force."),
        Stands::Unknown(_) => ("NotAccepted", "What is in force cannot be said now."),
    };
    conditions.put("Synced", false, synced_reason, said);
    match reason {
        // It comes, or it does not: nothing of this object is wrong.
        Refusal::GatewayNotFound => conditions.put("Reconciling", true, reason.word(), "Waiting for the gateway."),
        Refusal::RefNotPermitted | Refusal::Malformed | Refusal::Invalid | Refusal::BaseConflict => {
            conditions.put("Stalled", true, reason.word(), "It needs a change: see Accepted.");
        }
    }
}

/// As it was, and that it is paused. It was seen: whoever waits for an object does not wait for one that rests.
fn paused(before: &UserPolicyStatus, generation: i64, now: Timestamp) -> UserPolicyStatus {
    let mut conditions = Conditions { before: &before.conditions, generation, now, all: Vec::new() };
    conditions.put(
        "Paused",
        true,
        "Annotated",
        "Nothing is changed until the annotation claude-gateway.dev/paused is gone.",
    );
    let rest = before.conditions.iter().filter(|condition| condition.type_ != "Paused").cloned();
    let conditions = rest.chain(conditions.all).collect();
    UserPolicyStatus { conditions, observed_generation: Some(generation), ..before.clone() }
}

struct Conditions<'a> {
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
    all: Vec<Condition>,
}

impl Conditions<'_> {
    fn put(&mut self, type_: &str, is_true: bool, reason: &str, message: &str) {
        let status = if is_true { "True" } else { "False" };
        let before = self.before.iter().find(|before| before.type_ == type_ && before.status == status);
        let last_transition_time = before.map_or(Time(self.now), |before| before.last_transition_time.clone());
        self.all.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: shortened(message),
            observed_generation: Some(self.generation),
            last_transition_time,
        });
    }
}

pub fn condition<'a>(status: &'a UserPolicyStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

fn is_true(status: &UserPolicyStatus, type_: &str) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == "True")
}

fn shortened(message: &str) -> String {
    match message.char_indices().take_while(|(at, letter)| at + letter.len_utf8() <= MESSAGE - 3).last() {
        Some((at, letter)) if at + letter.len_utf8() < message.len() && message.len() > MESSAGE => {
            format!("{}…", &message[..at + letter.len_utf8()])
        }
        _ => message.to_owned(),
    }
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: Verdict = Verdict::Accepted { warnings: Vec::new() };
    const NOTHING_SETTLED: Settled = Settled { pods: false, outage: false };

    fn row(revision: i64, enforcing: usize, pods: usize) -> Stands<'static> {
        Stands::Row { revision, enforcing, pods, people: 2 }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn next(before: &UserPolicyStatus, verdict: &Verdict, part: Stands<'_>, second: i64) -> UserPolicyStatus {
        status(&Facts { generation: 4, verdict, part }, before, at(second))
    }

    fn says(status: &UserPolicyStatus, type_: &str) -> Option<(String, String)> {
        condition(status, type_).map(|condition| (condition.status.clone(), condition.reason.clone()))
    }

    fn pair(status: &str, reason: &str) -> Option<(String, String)> {
        Some((status.to_owned(), reason.to_owned()))
    }

    #[test]
    fn b2_an_edit_is_in_progress_until_every_pod_enforces_it() {
        let spreading = next(&UserPolicyStatus::default(), &ACCEPTED, row(9, 1, 3), 0);
        assert_eq!(says(&spreading, "Synced"), pair("False", "Spreading"));
        assert_eq!(says(&spreading, "Reconciling"), pair("True", "Spreading"));
        let done = next(&spreading, &ACCEPTED, row(9, 3, 3), 1);
        assert_eq!(says(&done, "Synced"), pair("True", "Enforced"));
        assert_eq!((says(&done, "Reconciling"), says(&done, "Stalled")), (None, None));
        assert_eq!((done.revision, done.enforcing_replicas, done.replicas), (Some(9), Some(3), Some(3)));
        assert_eq!((done.observed_generation, done.people), (Some(4), Some(2)));
    }

    #[test]
    fn b2_what_needs_a_change_is_stalled_and_what_waits_is_not() {
        for (reason, type_, other) in [
            (Refusal::Invalid, "Stalled", "Reconciling"),
            (Refusal::Malformed, "Stalled", "Reconciling"),
            (Refusal::RefNotPermitted, "Stalled", "Reconciling"),
            (Refusal::BaseConflict, "Stalled", "Reconciling"),
            (Refusal::GatewayNotFound, "Reconciling", "Stalled"),
        ] {
            let verdict = Verdict::Refused { reason, message: "spec.x: is wrong: mend it".to_owned() };
            let refused = next(&UserPolicyStatus::default(), &verdict, Stands::Nothing, 0);
            assert_eq!(says(&refused, "Accepted"), pair("False", reason.word()));
            assert_eq!(says(&refused, type_), pair("True", reason.word()));
            assert_eq!(says(&refused, other), None);
            assert_eq!(refused.revision, None);
        }
    }

    #[test]
    fn b4_a_transition_time_moves_with_the_status_only() {
        let first = next(&UserPolicyStatus::default(), &ACCEPTED, row(9, 1, 3), 0);
        let second = next(&first, &ACCEPTED, row(9, 3, 3), 5);
        let time = |status: &UserPolicyStatus, type_| condition(status, type_).unwrap().last_transition_time.0;
        assert_eq!((time(&second, "Accepted"), time(&second, "Synced")), (at(0), at(5)));
        let away = Away { reason: "DatabaseUnavailable", message: "Not written.".to_owned() };
        let third = next(&second, &ACCEPTED, Stands::Unknown(&away), 9);
        assert_eq!((time(&third, "Accepted"), time(&third, "Synced")), (at(0), at(9)));
        assert_eq!(third.revision, Some(9), "what was known is kept");
    }

    #[test]
    fn b4_what_is_the_same_is_not_written() {
        let done = next(&UserPolicyStatus::default(), &ACCEPTED, row(9, 3, 3), 0);
        let settled = Settled { pods: true, outage: true };
        assert_eq!(worth_writing(next(&done, &ACCEPTED, row(9, 3, 3), 60), &done, settled), None);
    }

    #[test]
    fn what_concerns_every_policy_is_written_when_it_has_settled() {
        let done = next(&UserPolicyStatus::default(), &ACCEPTED, row(9, 3, 3), 0);
        let away = Away { reason: "DatabaseUnavailable", message: "Not written.".to_owned() };
        for part in [row(9, 4, 4), row(9, 3, 4), Stands::Unknown(&away)] {
            let later = next(&done, &ACCEPTED, part, 1);
            assert!(worth_writing(later.clone(), &done, NOTHING_SETTLED).is_none());
            assert!(worth_writing(later, &done, Settled { pods: true, outage: true }).is_some());
        }
        let edited = next(&done, &ACCEPTED, row(10, 0, 3), 1);
        assert!(worth_writing(edited.clone(), &done, NOTHING_SETTLED).is_some(), "its own news never wait");
        let enforced = next(&edited, &ACCEPTED, row(10, 3, 3), 2);
        assert!(worth_writing(enforced, &edited, NOTHING_SETTLED).is_some());
    }

    #[test]
    fn c10_a_new_policy_is_told_of_its_store_and_not_that_it_waits_for_it() {
        let before = UserPolicyStatus::default();
        let away = Away { reason: "GatewayNotReady", message: "Not known yet.".to_owned() };
        let waits = next(&before, &ACCEPTED, Stands::Unknown(&away), 0);
        assert_eq!(worth_writing(waits.clone(), &before, NOTHING_SETTLED), None);
        let lasts = Settled { pods: false, outage: true };
        assert!(worth_writing(waits, &before, lasts).is_some(), "it has waited long enough");
        let stored = next(&before, &ACCEPTED, row(1, 0, 0), 0);
        assert!(worth_writing(stored.clone(), &before, NOTHING_SETTLED).is_some());
        let verdict = Verdict::Refused { reason: Refusal::Invalid, message: "spec.x: is wrong: mend it".to_owned() };
        let refused = next(&before, &verdict, Stands::Unknown(&away), 0);
        assert!(worth_writing(refused, &before, NOTHING_SETTLED).is_some(), "what it needs does not wait");
        // An operator that begins anew finds what it said, and has not opened the store yet.
        let again = next(&stored, &ACCEPTED, Stands::Unknown(&away), 5);
        assert_eq!(worth_writing(again, &stored, NOTHING_SETTLED), None);
    }

    #[test]
    fn b8_a_paused_policy_says_so_and_changes_nothing_else() {
        let done = next(&UserPolicyStatus::default(), &ACCEPTED, row(9, 3, 3), 0);
        let paused = next(&done, &Verdict::Paused, row(9, 2, 3), 5);
        assert_eq!(says(&paused, "Paused"), pair("True", "Annotated"));
        assert_eq!((says(&paused, "Synced"), paused.enforcing_replicas), (pair("True", "Enforced"), Some(3)));
        assert_eq!(next(&paused, &Verdict::Paused, row(9, 2, 3), 9), paused);
        let unseen = next(&UserPolicyStatus::default(), &Verdict::Paused, Stands::Nothing, 5);
        assert_eq!((unseen.observed_generation, unseen.conditions.len()), (Some(4), 1), "B2: nobody waits for it");
        let again = next(&paused, &ACCEPTED, row(9, 3, 3), 12);
        assert_eq!(says(&again, "Paused"), None);
    }

    #[test]
    fn b5_a_message_is_bounded() {
        let verdict = Verdict::Refused { reason: Refusal::Invalid, message: "ä".repeat(900) };
        let refused = next(&UserPolicyStatus::default(), &verdict, Stands::Nothing, 0);
        let message = &condition(&refused, "Accepted").unwrap().message;
        assert!(message.len() <= MESSAGE && message.ends_with('…'), "{}", message.len());
    }
}
