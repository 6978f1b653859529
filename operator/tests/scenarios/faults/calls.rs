//! C6: each call to the API server fails once, in each way, and each failing object is left in peace.

use std::time::{Duration, Instant};

use e2e::{
    cast::{length::short_or_full, patience::eventually},
    cluster::Trouble,
};

use super::{Ledger, PATIENCE, converged, tell};
use crate::stage::{ALONE, Stage};

const TROUBLES: [Trouble; 6] = [
    Trouble::Status(409),
    Trouble::Status(429),
    Trouble::Status(500),
    Trouble::Silence,
    Trouble::Cut,
    Trouble::LostAnswer,
];

/// Gateways at a time.
const AT_ONCE: usize = 12;

/// How many calls the operator makes until a gateway is what it shall be.
async fn calls_of_an_untroubled(stage: &Stage, ledger: &Ledger) -> usize {
    ledger.watch("plain", None);
    stage.apply(&stage.one_of_many("plain")).await;
    converged(stage, "plain", Instant::now()).await;
    stage.until_settled().await;
    let calls = ledger.calls("plain");
    let last = calls.iter().rposition(|call| call.is_write()).unwrap();
    println!("C6: {} calls, of which {} write", last + 1, calls.iter().filter(|call| call.is_write()).count());
    last + 1
}

/// Every index with every trouble; in short one of them each, so that all come in turn.
fn cases(calls: usize) -> Vec<(usize, Trouble)> {
    let all = |index: usize| TROUBLES.map(|trouble| (index, trouble)).to_vec();
    let one = |index: usize| vec![(index, TROUBLES[index % TROUBLES.len()])];
    (0..calls).flat_map(|index| short_or_full(one(index), all(index))).collect()
}

#[tokio::test]
async fn c6_whichever_call_fails_a_gateway_becomes_what_it_shall_be() {
    let stage = Stage::empty().await;
    let (gate, ledger) = (stage.plane.gate().await.unwrap(), Ledger::default());
    ledger.attach(&gate);
    let mut operator = stage.operator_through(&gate, &ALONE).await;
    let cases = cases(calls_of_an_untroubled(&stage, &ledger).await);
    let (mut slowest, mut met) = (Duration::ZERO, 0);
    for (batch, cases) in cases.chunks(AT_ONCE).enumerate() {
        let names: Vec<_> = (0..cases.len()).map(|number| format!("g{batch}-{number}x")).collect();
        let since = stage.plane.mark();
        for (name, case) in names.iter().zip(cases) {
            ledger.watch(name, Some(*case));
        }
        stage.apply(&names.iter().flat_map(|name| stage.one_of_many(name)).collect::<Vec<_>>()).await;
        for (name, case) in names.iter().zip(cases) {
            converged(&stage, name, Instant::now()).await;
            let Some(at) = ledger.spoiled_at(name) else { continue };
            println!("C6: {case:?}: {} {}: {:.1?}", name, ledger.calls(name)[case.0].path, at.elapsed());
            (slowest, met) = (slowest.max(at.elapsed()), met + 1);
        }
        stage.until_settled().await;
        for name in &names {
            stage.is_tidy(name, since).await;
        }
        stage.run("delete claudegateways,userpolicies --all --wait=false").await;
        eventually("they are forgotten", async || {
            stage.get("claudegateways").await["items"].as_array().is_none_or(Vec::is_empty)
        })
        .await;
    }
    assert!(operator.is_running(), "no failure ends the process");
    assert!(met * 10 >= cases.len() * 9, "{met} of {} calls were spoiled", cases.len());
    tell(&format!("C6: {met} calls spoiled, the slowest (with those beside it)"), slowest);
}

/// C6: an object whose calls always fail costs less than a request a second.
#[tokio::test]
async fn c6_an_object_that_always_fails_is_tried_ever_more_seldom() {
    let stage = Stage::empty().await;
    let (gate, ledger) = (stage.plane.gate().await.unwrap(), Ledger::default());
    ledger.watch("failing", None);
    let passing = ledger.clone();
    gate.judge(move |call| {
        let fails = call.is_write() && call.path.ends_with("/deployments/failing");
        passing.pass(call).or(fails.then_some(Trouble::Status(500)))
    });
    let _operator = stage.operator_through(&gate, &ALONE).await;
    stage.apply(&stage.one_of_many("failing")).await;
    let tries = || {
        ledger
            .calls("failing")
            .iter()
            .filter(|call| call.path.ends_with("/deployments/failing") && call.is_write())
            .count()
    };
    eventually("it fails", async || tries() >= 1).await;
    eventually("its status says so", async || {
        super::says(&stage.conditions("claudegateways", "failing").await, "Ready", "ApplyFailed")
    })
    .await;
    let window = short_or_full(Duration::from_secs(40), Duration::from_secs(600));
    tokio::time::sleep(window / 2).await;
    let (tried, called) = (tries(), ledger.calls("failing").len());
    tokio::time::sleep(window).await;
    let (tried, called) = (tries() - tried, ledger.calls("failing").len() - called);
    let rate = called as f64 / window.as_secs_f64();
    println!("C6: in {window:?} {tried} tries and {called} calls about an object that always fails: {rate:.2}/s");
    assert!(tried >= 1, "it is still tried");
    assert!(rate < short_or_full(2.0, 1.0), "{rate:.2} calls a second");

    gate.open();
    eventually_in_full(&stage).await;
}

async fn eventually_in_full(stage: &Stage) {
    // The wait has grown to the better part of a minute.
    let patience = PATIENCE + short_or_full(Duration::ZERO, Duration::from_secs(300));
    e2e::cast::patience::eventually_within(patience, "it is made", async || stage.has_become("failing").await).await;
}
