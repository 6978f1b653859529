//! An edit of a policy holds on every pod before somebody could look.

use std::time::Duration;

use e2e::cluster::Edit;

use crate::stage::{REPLICAS, turn};

/// What is promised is 2 s, and `bench --cluster` prints what it takes. A machine that compiles besides takes longer.
const BOUND: Duration = Duration::from_secs(15);
/// Back and forth.
const EDITS: usize = 4;

#[tokio::test]
async fn every_pod_enforces_an_edited_policy_soon_and_its_status_says_so() {
    let Some(turn) = turn("every_pod_enforces_an_edited_policy_soon_and_its_status_says_so").await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let pods = stage.clients_of_pods().await;
    for edit in 0..EDITS {
        let cluster = stage.surroundings.cluster;
        let edit = Edit::time(cluster, &stage.policy, edit % 2 == 1, &pods).await.unwrap();
        println!("enforced on every pod after {:.0?}, told after {:.0?}", edit.enforced, edit.told);
        assert!(edit.enforced < BOUND && edit.told < BOUND, "{edit:?}");
    }
}
