//! What limits cost that nobody reaches: three pods, two hundred people, a thousand requests a second.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::cast::{
    fleet::{Fleet, metric},
    gateway::{Config, Gateway},
    people::People,
    process::Process,
    provider::Shape,
};
use serde_json::{Value, json};
use tokio::{
    task::LocalSet,
    time::{sleep, sleep_until},
};

use crate::{
    contestant::Contestant,
    load::{self, Bound, Cell},
    wire::Wire,
};

const PODS: usize = 3;
const PEOPLE: usize = 200;
const A_SECOND: usize = 1_000;
/// To all pods together.
const CONNECTIONS: usize = 24;
const SHAPE: Shape = Shape::Counted { input: 250, output: 50, deltas: 4, every_ms: None };

/// One connection's share of the load.
struct Lane {
    pod: Contestant,
    /// One of each person.
    requests: Vec<Rc<[u8]>>,
    first: usize,
}

pub(crate) async fn cost(seconds: usize) -> Result<()> {
    LocalSet::new().run_until(measure(seconds)).await
}

async fn measure(seconds: usize) -> Result<()> {
    println!("## Limits that are far away: {PODS} pods, {PEOPLE} people\n");
    println!("| | requests/s | statements | per 1,000 requests | CPU s per 1,000 | first byte p50 ms | p99 ms |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    row("no limits", json!({}), seconds).await?;
    row("all five", all_five(), seconds).await
}

fn all_five() -> Value {
    json!({
        "tokens_per_minute": 50_000_000, "tokens_per_day": 500_000_000, "tokens_per_month": 5_000_000_000_u64,
        "requests_per_minute": 100_000, "concurrent_requests": 100,
    })
}

async fn row(name: &str, limits: Value, seconds: usize) -> Result<()> {
    let policies = json!([{"match": {}, "limits": limits}]);
    let prepared = |config: Config| config.set("/managed/policies", policies).release().log_to_file();
    let fleet = Fleet::of(PODS, prepared).await;
    let lanes = lanes(&fleet).await?;
    // Everybody comes to every pod: a first request asks, and is not what this is about.
    run(&lanes, PEOPLE * CONNECTIONS).await?;
    sleep(Duration::from_secs(1)).await;
    let (statements, cpu) = (statements(&fleet).await?, cpu(&fleet)?);
    let requests = seconds * A_SECOND;
    let since = Instant::now();
    let mut first_bytes = run(&lanes, requests).await?;
    let elapsed = since.elapsed().as_secs_f64();
    let (statements, cpu) = (self::statements(&fleet).await? - statements, self::cpu(&fleet)? - cpu);
    first_bytes.sort();
    let thousands = requests as f64 / 1e3;
    let ms = |share: f64| {
        let place = (first_bytes.len() as f64 * share) as usize;
        first_bytes.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "| {name} | {:.0} | {statements:.0} | {:.1} | {:.3} | {:.2} | {:.2} |",
        requests as f64 / elapsed,
        statements / thousands,
        cpu / thousands,
        ms(0.5),
        ms(0.99)
    );
    Ok(())
}

async fn lanes(fleet: &Fleet) -> Result<Vec<Lane>> {
    let people = People::from_token(&fleet.pods[0], &fleet.tokens.access_token)?;
    let cell = Cell { name: "", shape: SHAPE, body: 1024, connections: 1, bound: Bound::Replies(1) };
    let pods = fleet.pods.iter().map(|pod| {
        let contestant = |credential| contestant(pod, credential);
        let bearers = (0..PEOPLE).map(|n| format!("authorization: Bearer {}", people.bearer(&format!("person-{n}"))));
        let requests: Vec<Rc<[u8]>> = bearers.map(|bearer| load::request(&contestant(bearer), &cell).into()).collect();
        (contestant(String::new()), requests)
    });
    let pods: Vec<_> = pods.collect();
    let lane = |first: usize| {
        let (pod, requests) = pods[first % PODS].clone();
        Lane { pod, requests, first }
    };
    Ok((0..CONNECTIONS).map(lane).collect())
}

fn contestant(pod: &Gateway, credential: String) -> Contestant {
    let address = ([127, 0, 0, 1], pod.port()).into();
    Contestant { name: "pod", address, tls: None, credential, process: None }
}

/// So many requests, evenly over time, lanes and people; the times of their first bytes.
async fn run(lanes: &[Lane], requests: usize) -> Result<Vec<Duration>> {
    let expected: Rc<[u8]> = load::expected(SHAPE).into();
    let start = Instant::now() + Duration::from_millis(10);
    let running: Vec<_> = lanes
        .iter()
        .map(|Lane { pod, requests: of_people, first }| {
            let (pod, of_people, first, expected) = (pod.clone(), of_people.clone(), *first, expected.clone());
            tokio::task::spawn_local(async move {
                let (mut wire, mut first_bytes) = (Wire::to(&pod).await?, Vec::new());
                // The person's number moves on with each round, or each would always come to the same pod.
                for (round, n) in (first..requests).step_by(CONNECTIONS).enumerate() {
                    sleep_until((start + Duration::from_secs_f64(n as f64 / A_SECOND as f64)).into()).await;
                    let asked = Instant::now();
                    let request = &of_people[(n + round * 7) % PEOPLE];
                    first_bytes.push(wire.exchange(request, &expected).await? - asked);
                }
                anyhow::Ok(first_bytes)
            })
        })
        .collect();
    let mut all = Vec::new();
    for lane in running {
        all.extend(lane.await??);
    }
    ensure!(all.len() == requests, "{} of {requests}", all.len());
    Ok(all)
}

async fn statements(fleet: &Fleet) -> Result<f64> {
    let mut sum = 0.0;
    for pod in &fleet.pods {
        sum += metric(pod, "store_statements_total").await?;
    }
    Ok(sum)
}

fn cpu(fleet: &Fleet) -> Result<f64> {
    fleet.pods.iter().map(|pod| Ok(Process(pod.pid()?).cpu_seconds())).sum()
}
