//! C10: an operator that starts in front of 200 gateways with 10,000 policies, and then an ordinary day.
//!
//! The API server, its store, the databases and the operator share this machine's cores; nothing of them is a fake but that
//! pods stay pending. What is counted is what the API server's audit log says.

mod place;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::{
    cast::{client::Client, process::Process},
    cluster::{Call, Mark},
};
use serde_json::{Value, json};

use self::place::{Operator, Place};

/// Longer than any figure that could still be called slow.
const PATIENCE: Duration = Duration::from_secs(1800);
const EDITS: usize = 200;
const REST: Duration = Duration::from_secs(60);

pub(crate) async fn measure(policies: usize) -> Result<()> {
    let gateways = (policies / 50).max(1);
    let place = Place::set(gateways, policies / gateways).await?;
    let begun = (place.plane.mark(), Instant::now());
    let operator = Operator::start(&place)?;
    let process = operator.process()?;
    let (first, all) = cold_start(&place, begun, gateways * (policies / gateways)).await?;
    let (resident, peak, cold_cpu) = (process.resident()?, process.peak()?, process.cpu_seconds());
    let asked = asked(place.plane.calls_since(begun.0)?, &place.user());
    until_at_rest(&place).await?;
    let mut edits = edits(&place).await?;
    until_at_rest(&place).await?;
    let (writes, reads, cpu) = at_rest(&place, process).await?;
    let lasting = (mebibytes(process.resident()?), mebibytes(process.peak()?));
    operator.end().await?;
    let anew = begun_anew(&place, gateways).await?;
    edits.sort();
    let at = |share: f64| edits[((edits.len() as f64 * share) as usize).min(edits.len() - 1)].as_secs_f64() * 1e3;
    println!("## The operator with {gateways} gateways and {policies} policies\n");
    println!("| | measured | promised |\n|---|---:|---:|");
    println!("| cold start: the first policy is current, s | {:.1} | |", first.as_secs_f64());
    println!("| cold start: everything is current, s | {:.1} | 60 |", all.as_secs_f64());
    println!("| CPU of the operator until then, s | {cold_cpu:.1} | |");
    println!("| resident then, and at its peak, MiB | {:.0}, {:.0} | 256 |", mebibytes(resident), mebibytes(peak));
    println!("| from an edit to its status, median of {EDITS}, ms | {:.0} | |", at(0.5));
    println!("| p99, ms | {:.0} | 2000 |", at(0.99));
    println!("| at rest: writes to the API in {} s | {writes} | 0 |", REST.as_secs());
    println!("| reads a second | {reads:.1} | |");
    println!("| CPU of the operator, % of a core | {:.1} | |", cpu * 100.0);
    println!("| resident at last, and at its peak, MiB | {:.0}, {:.0} | 256 |", lasting.0, lasting.1);
    println!("| begun anew, with an edit of each gateway's policies waiting: everything is current, s | {anew:.1} | |");
    println!(
        "\n### What the API server was asked during the cold start\n\n| | the operator | others |\n|---|---:|---:|"
    );
    for (what, [own, others]) in asked {
        println!("| {what} | {own} | {others} |");
    }
    Ok(())
}

/// Requests by verb and kind, the operator's own and all others'; those that came at least a hundred times.
fn asked(calls: Vec<Call>, user: &str) -> Vec<(String, [usize; 2])> {
    let mut asked = BTreeMap::<_, [usize; 2]>::new();
    for call in calls {
        let what = [&*call.verb, &*call.resource, &*call.subresource].join(" ");
        asked.entry(what).or_default()[usize::from(call.user != user)] += 1;
    }
    asked.retain(|_, [own, others]| *own + *others >= 100);
    let mut asked: Vec<_> = asked.into_iter().collect();
    asked.sort_by_key(|(_, [own, others])| Reverse(*own + *others));
    asked
}

/// How long until the first policy has its status, and until all have.
async fn cold_start(
    place: &Place,
    (mut mark, begun): (Mark, Instant),
    policies: usize,
) -> Result<(Duration, Duration)> {
    let (mut told, mut first) = (HashSet::new(), None);
    while told.len() < policies {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let next = place.plane.mark();
        for call in own(place, mark)?.into_iter().filter(is_status_of_policy) {
            told.insert((call.namespace, call.name));
        }
        mark = next;
        if !told.is_empty() {
            first.get_or_insert_with(|| begun.elapsed());
        }
        ensure!(begun.elapsed() < PATIENCE, "{} of {policies} policies are current", told.len());
    }
    // A status may say that there is something to wait for, so what it says is read, too.
    while !place.everything_is_current().await? {
        ensure!(begun.elapsed() < PATIENCE, "not everything is current");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok((first.unwrap_or_default(), begun.elapsed()))
}

fn is_status_of_policy(call: &Call) -> bool {
    call.resource == "userpolicies" && call.subresource == "status" && call.status < 300
}

/// One after the other, each of another policy, from the answer to the edit until its status speaks of it.
async fn edits(place: &Place) -> Result<Vec<Duration>> {
    let client = place.plane.client()?;
    let mut taken = Vec::new();
    for edit in 0..EDITS {
        let path = place.policy(edit * 47);
        let generation = edited(&client, &path, 10 + edit).await?["metadata"]["generation"].clone();
        let since = Instant::now();
        loop {
            let policy: Value = client.get(&path).send().await?.json().await?;
            if policy["status"]["observedGeneration"] == generation {
                break;
            }
            ensure!(since.elapsed() < PATIENCE, "an edit is not observed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        taken.push(since.elapsed());
    }
    Ok(taken)
}

/// A policy with another priority.
async fn edited(client: &Client, path: &str, priority: usize) -> Result<Value> {
    let patch = json!({ "spec": { "priority": priority } });
    let edit = client.request(http::Method::PATCH, path);
    let answer = edit.body("application/merge-patch+json", patch.to_string()).send().await?;
    ensure!(answer.status == 200, "an edit: {}", answer.status);
    answer.json().await
}

/// Seconds until another operator has brought everything up to date that changed while there was none.
async fn begun_anew(place: &Place, gateways: usize) -> Result<f64> {
    let client = place.plane.client()?;
    for gateway in 0..gateways {
        edited(&client, &place.policy_of(gateway), 500).await?;
    }
    let begun = (place.plane.mark(), Instant::now());
    let operator = Operator::start(place)?;
    let (_, all) = cold_start(place, begun, gateways).await?;
    operator.end().await?;
    Ok(all.as_secs_f64())
}

async fn until_at_rest(place: &Place) -> Result<()> {
    let since = Instant::now();
    loop {
        let mark = place.plane.mark();
        tokio::time::sleep(Duration::from_secs(15)).await;
        if own(place, mark)?.iter().all(|call| !call.is_write()) {
            return Ok(());
        }
        ensure!(since.elapsed() < PATIENCE, "it does not come to rest");
    }
}

/// Writes, reads a second, and the share of a core.
async fn at_rest(place: &Place, process: Process) -> Result<(usize, f64, f64)> {
    let (mark, cpu) = (place.plane.mark(), process.cpu_seconds());
    tokio::time::sleep(REST).await;
    let calls = own(place, mark)?;
    let writes = calls.iter().filter(|call| call.is_write()).count();
    let share = (process.cpu_seconds() - cpu) / REST.as_secs_f64();
    Ok((writes, (calls.len() - writes) as f64 / REST.as_secs_f64(), share))
}

/// The operator's calls, but for its lease.
fn own(place: &Place, mark: Mark) -> Result<Vec<Call>> {
    let calls = place.plane.calls_since(mark)?;
    Ok(calls.into_iter().filter(|call| call.user == place.user() && call.resource != "leases").collect())
}

fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
