//! Who waits is heard by the other pods at once.

use std::{sync::Arc, time::Duration};

use gateway::spend::{Meter, escrow::Report};
use tokio::sync::broadcast::Receiver;

use crate::stage::{Stage, flush, key, patient, report, wants};

async fn rung(rings: &mut Receiver<Arc<str>>) -> String {
    tokio::time::timeout(Duration::from_secs(60), rings.recv()).await.unwrap().unwrap().to_string()
}

#[tokio::test]
async fn a_want_rings_and_what_it_waited_for_rings_too() {
    let stage = Stage::new(1).await;
    let (store, mut rings) = (stage.store.clone(), stage.store.limit_rings());
    let listening = tokio::spawn(async move { store.listen(|| {}).await });
    // Nothing says when it listens, but that it hears.
    while rings.try_recv().is_err() {
        let channel = format!("{}_limit", stage.schema);
        sqlx::query("SELECT pg_notify($1, 'hark')").bind(channel).execute(&stage.pool).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let places = key("ada", Meter::ConcurrentRequests);
    let pace = patient();
    stage.store.flush(&flush("one", 1, vec![wants(&places, 1, 1)]), &pace).await.unwrap();
    let answers = stage.store.flush(&flush("two", 1, vec![wants(&places, 1, 1)]), &pace).await.unwrap();
    assert_eq!(answers[0].granted, 0);
    let heard = loop {
        match rung(&mut rings).await {
            said if said == "hark" => {}
            said => break said,
        }
    };
    let (from, word) = heard.split_once(' ').unwrap();
    assert_eq!((from, word.len()), ("two", 32));
    assert!(!heard.contains("ada"));
    let gives_back = Report { given_back: 1, ..report(&places, 1) };
    stage.store.flush(&flush("one", 2, vec![gives_back]), &pace).await.unwrap();
    assert_eq!(rung(&mut rings).await, format!("one {word}"));
    let answers = stage.store.flush(&flush("two", 2, vec![wants(&places, 1, 1)]), &pace).await.unwrap();
    assert_eq!(answers[0].granted, 1);
    listening.abort();
}
