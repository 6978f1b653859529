//! A set of policies, written as a whole.

use std::sync::Arc;

use operator::store::{GatewayStore, PolicyRow};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use super::{Place, access};

pub(crate) fn row(key: &str, position: i32, document: Value) -> PolicyRow {
    PolicyRow { key: key.to_owned(), position, document: Arc::new(document) }
}

fn of_group(group: &str) -> Value {
    json!({"match": {"groups": [group]}})
}

#[tokio::test]
async fn only_what_changed_gets_the_new_revision() {
    let store = Place::migrated().await.store;
    let both = [row("a/one", -5, of_group("x")), row("a/two", 0, of_group("y"))];
    let first = store.replace_policies(&both).await.unwrap();
    assert!(first.changed && first.head.revision == 1);
    let edited = [row("a/one", -5, of_group("x")), row("a/two", 0, of_group("z"))];
    let second = store.replace_policies(&edited).await.unwrap();
    assert_eq!((second.changed_in["a/one"], second.changed_in["a/two"]), (1, 2));
    let moved = [row("a/one", -6, of_group("x")), row("a/two", 0, of_group("z"))];
    let third = store.replace_policies(&moved).await.unwrap();
    assert_eq!((third.changed_in["a/one"], third.changed_in["a/two"]), (3, 2));
    let fourth = store.replace_policies(&moved[..1]).await.unwrap();
    assert!(fourth.changed && fourth.changed_in.len() == 1 && fourth.head.revision == 4);
    assert_eq!(store.policy_head().await.unwrap(), fourth.head);
}

#[tokio::test]
async fn an_unchanged_set_writes_nothing_and_rings_nobody() {
    let place = Place::migrated().await;
    // Keys in another order, a number in another form: the same document.
    let set = |day: &str| {
        let document =
            format!(r#"{{"match": {{"groups": ["x"]}}, "limits": {{"tokens_per_day": {day}}}, "mode": "audit"}}"#);
        [row("a/one", 0, serde_json::from_str(&document).unwrap())]
    };
    let first = place.store.replace_policies(&set("10")).await.unwrap();
    let mut bell = PgListener::connect(&place.url).await.unwrap();
    bell.listen("claude_gateway_revocation").await.unwrap();
    // Who made each row version, and who has locked it since.
    let marks = "SELECT sum(xmin::text::bigint * 3 + xmax::text::bigint)::bigint FROM (
        SELECT xmin, xmax FROM claude_gateway.policy UNION ALL SELECT xmin, xmax FROM claude_gateway.policy_set) AS row";
    let before = place.count(marks).await;
    let mut other = set("10");
    let Value::Object(entries) = other[0].document.as_ref().clone() else { panic!("an object") };
    other[0].document = Arc::new(entries.into_iter().rev().collect());
    for set in [set("10"), other, set("10.0")] {
        let again = place.store.replace_policies(&set).await.unwrap();
        assert!(!again.changed && again.head == first.head && again.changed_in == first.changed_in);
    }
    assert_eq!(place.count(marks).await, before, "no row was written or locked");
    let heard = tokio::time::timeout(std::time::Duration::from_millis(300), bell.recv()).await;
    assert!(heard.is_err(), "nobody was rung");
    place.store.replace_policies(&set("11")).await.unwrap();
    bell.recv().await.unwrap();
}

#[tokio::test]
async fn two_operators_at_once_come_one_after_the_other() {
    let place = Place::new().await;
    let other = GatewayStore::connect(place.store.access().clone()).unwrap();
    let (one, two) = tokio::join!(place.store.migrate(), other.migrate());
    one.and(two).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let (one, two) = tokio::join!(place.store.ensure_pod_login(None, &random), other.ensure_pod_login(None, &random));
    let working = [one, two].into_iter().filter(Result::is_ok).count();
    assert!(working >= 1, "whoever was last has a login that works");
    let set = |who: &str, turn: usize| -> Vec<PolicyRow> {
        (0..20).map(|n| row(&format!("{who}/{n}"), 0, of_group(&turn.to_string()))).collect()
    };
    let write = async |store: &GatewayStore, who: &str| {
        let mut written = 0;
        for turn in 0..15 {
            written += i64::from(store.replace_policies(&set(who, turn)).await.unwrap().changed);
        }
        written
    };
    let (one, two) = tokio::join!(write(&place.store, "one"), write(&other, "two"));
    assert_eq!(place.store.policy_head().await.unwrap().revision, one + two, "no two wrote one revision");
    assert_eq!(place.count("SELECT count(*) FROM claude_gateway.policy").await, 20, "the set is one of theirs, whole");
    assert_eq!(place.count("SELECT count(DISTINCT changed_in) FROM claude_gateway.policy").await, 1);
}

#[tokio::test]
async fn what_stands_is_read_back_also_where_nobody_can_read_it() {
    let place = Place::migrated().await;
    place.store.replace_policies(&[row("a/one", -3, of_group("x")), row("a/two", 0, json!({}))]).await.unwrap();
    let unreadable = r#"UPDATE claude_gateway.policy SET document = '{"n": 1e400}' WHERE key = 'a/two'"#;
    place.postgres.execute(&place.url, unreadable).await.unwrap();
    let keys = ["a/one", "a/two", "a/none"].map(str::to_owned);
    let stood = place.store.stored_policies(&keys).await.unwrap();
    assert_eq!((stood["a/one"].position, stood["a/one"].changed_in), (-3, 1));
    assert_eq!(stood["a/one"].document, Some(of_group("x")));
    assert_eq!((stood.len(), &stood["a/two"].document), (2, &None));
}

/// Ten thousand policies: each write sends the set, and an edit changes one row.
#[tokio::test]
async fn an_edit_among_ten_thousand_policies_changes_one_row() {
    let place = Place::migrated().await;
    let mut rows: Vec<_> = (0..10_000).map(|n| row(&format!("team/{n:05}"), -n, of_group(&format!("g{n}")))).collect();
    place.store.replace_policies(&rows).await.unwrap();
    rows[5_000] = row("team/05000", -5_000, of_group("other"));
    let since = std::time::Instant::now();
    let written = place.store.replace_policies(&rows).await.unwrap();
    println!("an edit among ten thousand: {:?}", since.elapsed());
    assert_eq!(written.changed_in.values().filter(|revision| **revision == 2).count(), 1);
    assert!(since.elapsed().as_secs() < 10, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_schema_that_is_not_there_yet_says_so() {
    let place = Place::new().await;
    assert!(!place.store.is_migrated().await.unwrap());
    let error = place.store.replace_policies(&[]).await.unwrap_err();
    assert_eq!(error.reason(), "DatabaseNotMigrated");
    place.store.migrate().await.unwrap();
    assert!(place.store.is_migrated().await.unwrap());
    let again = GatewayStore::connect(access(&place.url, "claude_gateway")).unwrap();
    again.migrate().await.unwrap();
}
