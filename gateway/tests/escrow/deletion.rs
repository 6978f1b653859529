//! What is over goes, and nothing that is not.

use gateway::spend::{Meter, escrow::Report};

use crate::stage::{Stage, flush, key, patient, report, usage};

#[tokio::test]
async fn limits_go_when_they_say_nothing_any_more_and_their_shares_with_them() {
    let stage = Stage::new(1).await;
    let meters = [Meter::TokensPerMinute, Meter::TokensPerDay, Meter::ConcurrentRequests];
    let keys = meters.map(|meter| key("ada", meter));
    let reports = keys.iter().map(|key| Report { spent: 5, held: 1, ..report(key, 100) }).collect();
    stage.store.flush(&flush("pod", 1, reports), &patient()).await.unwrap();
    assert_eq!(stage.store.delete_limits_that_are_over().await.unwrap(), 0, "all are fresh");

    let an_hour_ago =
        "UPDATE limit_state SET touched_at = now() - interval '61 minutes', since = since - interval '61 minutes'
         WHERE meter = 'tokens_per_minute'";
    stage.execute(an_hour_ago).await;
    stage.execute("UPDATE limit_state SET touched_at = now() - interval '61 minutes'").await;
    assert_eq!(stage.store.delete_limits_that_are_over().await.unwrap(), 2, "the bucket and the places");
    assert!(stage.row(&keys[1]).await.is_some(), "its day is not over");

    stage.execute("UPDATE limit_state SET since = since - interval '1 day'").await;
    assert_eq!(stage.store.delete_limits_that_are_over().await.unwrap(), 1);
    assert_eq!(stage.store.shares_of("pod").await.unwrap(), []);
}

#[tokio::test]
async fn a_bucket_that_was_overdrawn_stays_until_it_is_full() {
    let stage = Stage::new(1).await;
    let bucket = key("ada", Meter::TokensPerMinute);
    let reports = vec![Report { spent: 100_000, ..report(&bucket, 100) }];
    stage.store.flush(&flush("pod", 1, reports), &patient()).await.unwrap();
    let long_ago = "UPDATE limit_state SET touched_at = now() - interval '2 hours', since = since - interval '2 hours'";
    stage.execute(long_ago).await;
    assert_eq!(stage.store.delete_limits_that_are_over().await.unwrap(), 0, "2 hours refill 12,000");
    stage.execute("UPDATE limit_state SET since = since - interval '15 hours'").await;
    assert_eq!(stage.store.delete_limits_that_are_over().await.unwrap(), 1);
}

#[tokio::test]
async fn a_pod_that_has_flushed_is_remembered_as_long_as_its_journal() {
    let stage = Stage::new(1).await;
    let hour = "2026-11-22T12:00:00Z".parse().unwrap();
    let mut sent = flush("flushed", 1, Vec::new());
    sent.usage = vec![usage("ada", hour, 1)];
    stage.store.flush(&sent, &patient()).await.unwrap();
    let idle = "INSERT INTO pod (incarnation, name, version, session_keys) VALUES ('idle', '', '', '{}')";
    stage.execute(idle).await;
    stage.execute("UPDATE pod SET seen_at = now() - interval '34 days'").await;
    stage.store.delete_pods_unseen_for_a_day().await.unwrap();
    assert_eq!(stage.store.last_sequence_of("flushed").await.unwrap(), Some(1));
    assert_eq!(stage.store.last_sequence_of("idle").await.unwrap(), None);
    stage.execute("UPDATE pod SET seen_at = now() - interval '36 days'").await;
    stage.store.delete_pods_unseen_for_a_day().await.unwrap();
    assert_eq!(stage.store.last_sequence_of("flushed").await.unwrap(), None);
}

#[tokio::test]
async fn usage_goes_by_its_hour() {
    let stage = Stage::new(1).await;
    let (old, new) = ("2025-01-01T00:00:00Z".parse().unwrap(), "2026-11-22T12:00:00Z".parse().unwrap());
    let mut sent = flush("pod", 1, Vec::new());
    sent.usage = vec![usage("ada", old, 1), usage("ada", new, 2)];
    stage.store.flush(&sent, &patient()).await.unwrap();
    assert_eq!(stage.store.delete_usage_before(new).await.unwrap(), 1);
    assert_eq!(stage.usage(&sent.usage[0].key.subject).await, [usage("ada", new, 2)]);
}
