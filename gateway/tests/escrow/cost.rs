//! What a flush of a thousand limits costs the store.

use std::time::{Duration, Instant};

use gateway::spend::{Meter, escrow::Report};

use crate::stage::{Stage, flush, key, patient, report, usage};

/// Far above what it takes, for machines that do much besides: it catches a plan that looks at every share for every share.
const BUDGET: Duration = Duration::from_millis(1_000);

#[tokio::test]
async fn a_flush_of_a_thousand_limits_is_quick() {
    let stage = Stage::new(1).await;
    let pace = patient();
    let keys: Vec<_> = (0..500)
        .flat_map(|n| [Meter::TokensPerDay, Meter::TokensPerMinute].map(|meter| key(&format!("person-{n}"), meter)))
        .collect();
    let hour = "2026-11-22T12:00:00Z".parse().unwrap();
    let (mut times, mut sequences) = (Vec::new(), [0; 4]);
    for round in 0..40_usize {
        let pod = round % sequences.len();
        sequences[pod] += 1;
        let reports = keys.iter().map(|key| Report { spent: 3, held: 20, ..report(key, 1_000_000) }).collect();
        let mut sent = flush(&format!("pod-{pod}"), sequences[pod], reports);
        sent.usage = (0..500).map(|n| usage(&format!("person-{n}"), hour, 1)).collect();
        let begun = Instant::now();
        let answers = stage.store.flush(&sent, &pace).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(answers.len(), keys.len());
    }
    times.sort();
    println!(
        "a flush of 1,000 limits of 4 pods, and 500 people's usage: median {:?}, slowest {:?}",
        times[20], times[39]
    );
    assert!(times[20] < BUDGET, "{:?}", times[20]);
}
