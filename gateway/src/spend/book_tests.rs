//! Shares on one pod, with a store that answers as told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Amount, Book, Counts, Held, Ledger, LimitKey, Meter, OpenReply, Pace, Reach,
    escrow::{Answer, Report, Short},
    journal::Owner,
};
use crate::{clock::SystemClock, identity::Subject};

const LIMIT: Amount = 1_000;

fn key(meter: Meter) -> LimitKey {
    LimitKey { subject: Subject("alice".to_owned()), meter }
}

fn granting(key: &LimitKey, granted: Amount) -> Answer {
    Answer {
        key: key.clone(),
        granted,
        limit: LIMIT,
        used: 0,
        granted_to_all: granted,
        idle_elsewhere: 0,
        wanted_elsewhere: false,
        resets_in: None,
    }
}

/// A pod that was granted so much of one limit.
fn granted(meter: Meter, amount: Amount, now: Instant) -> Arc<Book> {
    let book = Book::new(Pace::default());
    assert_eq!(book.try_hold(&key(meter), LIMIT, 1, now), Err(Short::Lease));
    let want = book.want(&key(meter), LIMIT, amount, now);
    let reports = book.reports(now);
    assert_eq!((reports.len(), reports[0].needed), (1, amount));
    book.learn(&[granting(&key(meter), amount)], now);
    drop(want);
    book
}

fn reply(ledger: &Arc<Ledger>, held: Held) -> OpenReply {
    ledger.reply(Subject("alice".to_owned()), "claude-opus-4-8".to_owned(), "anthropic".to_owned(), Some(held))
}

fn only(mut reports: Vec<Report>) -> Report {
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

#[test]
fn what_is_held_is_not_held_twice_and_comes_back_when_dropped() {
    let (meter, now) = (Meter::TokensPerMinute, Instant::now());
    let book = granted(meter, 100, now);
    let mut held = Held::new(book.clone(), false);
    held.try_add(key(meter), LIMIT, 60, now).unwrap();
    let mut more = Held::new(book, false);
    assert_eq!(more.try_add(key(meter), LIMIT, 60, now), Err(Short::Room));
    drop(held);
    more.try_add(key(meter), LIMIT, 60, now).unwrap();
}

#[test]
fn a_person_whom_nobody_limits_costs_nothing() {
    let book = Book::new(Pace::default());
    assert!(book.reports(Instant::now()).is_empty() && book.is_empty());
    assert!(book.heard(&key(Meter::TokensPerDay)).is_none());
}

#[test]
fn a_share_that_came_to_nothing_is_forgotten() {
    let now = Instant::now();
    let book = Book::new(Pace::default());
    let _ = book.try_hold(&key(Meter::TokensPerDay), LIMIT, 1, now);
    assert_eq!(book.len(), 1);
    assert!(book.reports(now).is_empty());
    assert!(book.is_empty());
}

#[tokio::test]
async fn a_want_is_urgent_and_its_answer_is_news() {
    let (meter, now) = (Meter::TokensPerDay, Instant::now());
    let book = Book::new(Pace::default());
    let mut news = book.news();
    let want = book.want(&key(meter), LIMIT, 50, now);
    tokio::time::timeout(Duration::from_secs(5), book.urgent()).await.unwrap();
    assert_eq!(only(book.reports(now)).needed, 50);
    book.learn(&[granting(&key(meter), 50)], now);
    tokio::time::timeout(Duration::from_secs(5), news.changed()).await.unwrap().unwrap();
    drop(want);
    book.try_hold(&key(meter), LIMIT, 50, now).unwrap();
    assert_eq!(book.heard(&key(meter)).unwrap().granted_to_all, 50);
}

#[test]
fn limits_are_charged_for_what_was_counted_in_the_same_flush() {
    let now = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), Owner::new("https://gateway.example", "one"), Arc::new(SystemClock));
    let book = granted(Meter::TokensPerDay, 100, now);
    let mut held = Held::new(book.clone(), false);
    held.try_add(key(Meter::TokensPerDay), LIMIT, 80, now).unwrap();
    let mut reply = reply(&ledger, held);
    let start = Counts { requests: 1, input_tokens: 30, cache_read_tokens: 500, output_tokens: 1, ..Counts::default() };
    reply.record(start);
    let told = ledger.take(1, |reach| book.reports_within(reach, now)).unwrap();
    assert_eq!(told.usage[0].counts, start);
    let report = only(told.reports);
    assert_eq!((report.spent, report.held), (31, 49));
    ledger.acknowledge(1);
    book.learn(&[granting(&key(Meter::TokensPerDay), 69)], now);

    reply.record(Counts { output_tokens: 90, ..start });
    drop(reply);
    let report = only(ledger.take(2, |reach| book.reports_within(reach, now)).unwrap().reports);
    assert_eq!((report.spent, report.held), (89, 0), "more than was estimated");
}

#[test]
fn places_are_held_to_the_end_and_requests_are_used_up_at_the_first_word() {
    let now = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), Owner::new("https://gateway.example", "one"), Arc::new(SystemClock));
    let meters = [Meter::ConcurrentRequests, Meter::RequestsPerMinute];
    let book = Book::new(Pace::default());
    let wants = meters.map(|meter| book.want(&key(meter), LIMIT, 1, now));
    book.reports(now);
    book.learn(&meters.map(|meter| granting(&key(meter), 1)), now);
    drop(wants);
    let mut held = Held::new(book.clone(), true);
    meters.iter().for_each(|meter| held.try_add(key(*meter), LIMIT, 1, now).unwrap());
    let mut reply = reply(&ledger, held);
    reply.record(Counts { requests: 1, cache_read_tokens: 7, ..Counts::default() });
    let report = only(book.reports(now));
    assert_eq!((report.key.meter, report.spent, report.held), (Meter::RequestsPerMinute, 1, 0));
    assert_eq!(book.try_hold(&key(Meter::ConcurrentRequests), LIMIT, 1, now), Err(Short::Room));
    drop(reply);
    book.try_hold(&key(Meter::ConcurrentRequests), LIMIT, 1, now).unwrap();
}

#[test]
fn the_last_reports_give_everything_back() {
    let now = Instant::now();
    let book = granted(Meter::TokensPerDay, 100, now);
    let report = only(book.last_reports(&Reach::default()));
    assert!(report.closed);
    assert_eq!(report.given_back, 100);
    book.learn(&[granting(&key(Meter::TokensPerDay), 0)], now);
    assert!(book.last_reports(&Reach::default()).is_empty() && book.is_empty());
}

#[tokio::test]
async fn the_store_rings_for_a_limit_in_words_that_name_nobody() {
    const ALICES_DAY: &str = "e772881036ad867dba8debc4c1f4fbc6";
    let now = Instant::now();
    let book = granted(Meter::TokensPerDay, 100, now);
    book.try_hold(&key(Meter::TokensPerDay), LIMIT, 40, now).unwrap();
    book.ring(&format!("this-pod {ALICES_DAY}"), "this-pod");
    book.ring("another-pod 00000000000000000000000000000000 nonsense", "this-pod");
    assert!(book.reports(now).is_empty(), "nobody else rang for anything of this pod's");
    book.ring(&format!("another-pod {ALICES_DAY}"), "this-pod");
    tokio::time::timeout(Duration::from_secs(5), book.urgent()).await.unwrap();
    let report = only(book.reports(now));
    assert_eq!((report.held, report.given_back), (40, 60));
}

#[test]
fn a_flush_that_leaves_counts_behind_leaves_their_charge_too() {
    let now = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), Owner::new("https://gateway.example", "one"), Arc::new(SystemClock));
    ledger.flush_at_most(1);
    let book = Book::new(Pace::default());
    for person in ["alice", "bob", "carol"] {
        let subject = Subject(person.to_owned());
        let mut held = Held::new(book.clone(), false);
        held.add_regardless(LimitKey { subject: subject.clone(), meter: Meter::TokensPerDay }, LIMIT, 7, now);
        let mut reply = ledger.reply(subject, "claude-opus-4-8".to_owned(), "anthropic".to_owned(), Some(held));
        reply.record(Counts { requests: 1, input_tokens: 7, ..Counts::default() });
    }
    for (sequence, person) in (1..).zip(["alice", "bob", "carol"]) {
        let told = ledger.take(sequence, |reach| book.reports_within(reach, now)).unwrap();
        assert_eq!((told.usage.len(), told.usage[0].key.subject.0.as_str()), (1, person));
        let report = only(told.reports);
        assert_eq!((report.key.subject.0.as_str(), report.spent), (person, 7));
        ledger.acknowledge(sequence);
    }
}

#[tokio::test]
async fn what_comes_back_while_another_pod_waits_is_given_at_once() {
    let now = Instant::now();
    let key = key(Meter::ConcurrentRequests);
    let book = granted(Meter::ConcurrentRequests, 1, now);
    let mut held = Held::new(book.clone(), false);
    held.try_add(key.clone(), LIMIT, 1, now).unwrap();
    book.reports(now);
    book.learn(&[Answer { wanted_elsewhere: true, ..granting(&key, 1) }], now);
    // What was urgent before.
    let _ = tokio::time::timeout(Duration::from_millis(10), book.urgent()).await;
    drop(held);
    tokio::time::timeout(Duration::from_secs(5), book.urgent()).await.unwrap();
    assert_eq!(only(book.reports(now)).given_back, 1);
}
