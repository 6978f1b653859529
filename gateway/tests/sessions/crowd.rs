//! A crowd of callers on one pod: it may wait, and the pod still knows how its store is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use e2e::cast::postgres;
use tokio::task::JoinSet;

use crate::stage::Stage;

/// Every caller's connection is stuck behind a lock, and there is always a next caller in line before the tick.
#[tokio::test]
async fn a_crowd_of_callers_does_not_make_the_store_look_away() {
    let stage = Stage::usual().await;
    let pod = stage.pod().await;
    let pool = postgres::pool(&stage.database).await.unwrap();
    let mut lock = pool.begin().await.unwrap();
    let statement = format!("LOCK TABLE {}.rate_window IN ACCESS EXCLUSIVE MODE", stage.schema);
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *lock).await.unwrap();
    let mut crowd = JoinSet::new();
    // One beat of a busy machine may be late; the crowd would keep each of them away.
    let away = Duration::from_secs(2);
    let (since, mut reached) = (Instant::now(), Instant::now());
    while since.elapsed() < Duration::from_secs(7) {
        let store = Arc::clone(&pod.store);
        crowd.spawn(async move { store.count_in_window("crowd", "", 1, Duration::from_secs(60)).await.is_err() });
        tokio::time::sleep(Duration::from_millis(2)).await;
        if pod.store.health().is_reachable() {
            reached = Instant::now();
        }
        assert!(reached.elapsed() < away, "away since {:?}, after {:?}", reached.elapsed(), since.elapsed());
    }
    lock.rollback().await.unwrap();
    assert!(crowd.join_next().await.unwrap().unwrap(), "the callers were stuck, or this test shows nothing");
}
