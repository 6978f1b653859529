//! The operator is killed at each step, and the next one finishes what it began.

use std::time::Instant;

use e2e::{
    cast::{length::short_or_full, patience::eventually_within},
    cluster::Trouble,
};

use super::{Ledger, PATIENCE, converged, tell};
use crate::stage::{ALONE, Operator, Stage};

/// The calls after which the process may be killed: when a write was made and it does not know yet, at full length also
/// before each read and each write.
async fn steps(stage: &Stage, ledger: &Ledger) -> Vec<(usize, Trouble)> {
    ledger.watch("plain", None);
    stage.apply(&stage.one_of_many("plain")).await;
    converged(stage, "plain", Instant::now()).await;
    stage.until_settled().await;
    let calls = ledger.calls("plain");
    let last = calls.iter().rposition(|call| call.is_write()).unwrap();
    let calls = calls.iter().take(last + 1).enumerate();
    let step = |(index, call): (usize, &e2e::cluster::Passing)| {
        let after = call.is_write().then_some((index, Trouble::HeldAnswer));
        after.into_iter().chain(short_or_full(None, Some((index, Trouble::Silence))))
    };
    calls.flat_map(step).collect()
}

#[tokio::test]
async fn an_operator_that_is_killed_at_any_step_leaves_nothing_that_the_next_one_does_not_finish() {
    let stage = Stage::empty().await;
    let (gate, ledger) = (stage.plane.gate().await.unwrap(), Ledger::default());
    ledger.attach(&gate);
    let mut operator: Operator = stage.operator_through(&gate, &ALONE).await;
    let steps = steps(&stage, &ledger).await;
    let mut slowest = std::time::Duration::ZERO;
    let mut killed = 0;
    for (number, (index, trouble)) in steps.iter().enumerate() {
        let name = format!("k{number}x");
        let since = stage.plane.mark();
        ledger.watch(&name, Some((*index, *trouble)));
        stage.apply(&stage.one_of_many(&name)).await;
        let done = || ledger.spoiled_at(&name).is_some();
        eventually_within(PATIENCE, "the call is made", async || done() || stage.has_become(&name).await).await;
        if !done() {
            // The look that follows the last write comes a little later.
            stage.until_settled().await;
        }
        if !done() {
            continue;
        }
        operator.kill().await;
        let keys = stage.get(&format!("secret {name}-keys")).await["data"].clone();
        let (at, began) = (ledger.calls(&name)[*index].clone(), Instant::now());
        operator = stage.operator_through(&gate, &ALONE).await;
        let took = converged(&stage, &name, began).await;
        println!("killed at {} {} ({trouble:?}): {took:.1?}", at.method, at.path);
        (slowest, killed) = (slowest.max(took), killed + 1);
        stage.until_settled().await;
        stage.is_tidy(&name, since).await;
        let now = stage.get(&format!("secret {name}-keys")).await["data"].clone();
        assert!(keys.is_null() || keys == now, "keys that were made are never made anew");
        stage.run(&format!("delete claudegateway {name} --wait=false")).await;
    }
    assert!(killed * 10 >= steps.len() * 9, "{killed} of {} steps", steps.len());
    tell(&format!("killed at {killed} steps, the slowest"), slowest);
}
