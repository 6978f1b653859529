//! What the catalogue's worse days cost (`operations.md` 4): a store that crashes (R5), a flood of bad bearers (S1), and ten
//! thousand devices that wait for their people (R32).

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::cast::{
    client::Raw,
    postgres::Postgres,
    provider::Provider,
    signin::{DEVICE_GRANT, Device},
    stage::Stage,
};
use serde_json::json;
use tokio::{
    task::LocalSet,
    time::{interval, sleep},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// 100,000 a minute.
const BAD_BEARERS_A_SECOND: u32 = 1_667;
/// One request in 10 ms, as one person's client at most.
const GOOD: usize = 1_000;
/// RFC 8628 section 3.5: each device polls every five seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) async fn measure(devices: usize) -> Result<()> {
    println!("## Worse days\n");
    println!("| | of | p50 ms | p99 ms | slowest ms |\n|---|---:|---:|---:|---:|");
    crashes(5).await?;
    LocalSet::new().run_until(flood()).await?;
    polls(devices).await
}

/// From the moment that Postgres accepts connections again to the first sign-in that begins.
async fn crashes(times: usize) -> Result<()> {
    let own = Postgres::start().await?;
    let database = own.database().await?;
    let stage = Stage::with(vec![Provider::start()?], |config| {
        config.store(&database).set("/rate_limits/device_authorization", plenty()).release().log_to_file()
    })
    .await;
    let client = stage.gateway.client()?;
    let mut recoveries = Vec::new();
    for _ in 0..times {
        own.restart_immediate().await?;
        let since = Instant::now();
        while let Err(error) = Device::ask(&client).await {
            ensure!(since.elapsed() < PATIENCE, "no sign-in begins after a crash of the store: {error}");
            sleep(Duration::from_millis(5)).await;
        }
        recoveries.push(since.elapsed());
        sleep(Duration::from_secs(2)).await;
    }
    show("sign-ins after a crash of Postgres", recoveries);
    Ok(())
}

async fn flood() -> Result<()> {
    let stage = Stage::with(vec![Provider::start()?], |config| config.release().log_to_file()).await;
    show("good requests", good_requests(&stage).await?);
    let over = Rc::new(Cell::new(false));
    let bad = bad_request(&stage);
    let (mut raw, still) = (stage.raw().await, over.clone());
    let flooding = tokio::task::spawn_local(async move {
        let mut pace = interval(Duration::from_secs(1) / BAD_BEARERS_A_SECOND);
        let mut sent = 0_usize;
        while !still.get() {
            pace.tick().await;
            raw.send(&bad).await?;
            ensure!(raw.reply(PATIENCE).await?.0 == 401, "a bad bearer is refused");
            sent += 1;
        }
        anyhow::Ok(sent)
    });
    let since = Instant::now();
    let taken = good_requests(&stage).await?;
    over.set(true);
    let rate = flooding.await?? as f64 / since.elapsed().as_secs_f64();
    show(&format!("good requests beside {rate:.0} bad bearers a second"), taken);
    Ok(())
}

fn bad_request(stage: &Stage) -> String {
    let token = &stage.tokens.access_token;
    let bad = format!("{}x{}", &token[..token.len() - 20], &token[token.len() - 19..]);
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {bad}\r\ncontent-length: 2\r\n\r\n{{}}"
    )
}

async fn good_requests(stage: &Stage) -> Result<Vec<Duration>> {
    let body = Stage::prompt(false).to_string();
    let request = format!("{}\r\n{body}", stage.head(&format!("content-length: {}", body.len())));
    let (mut raw, mut pace) = (stage.raw().await, interval(Duration::from_millis(10)));
    let mut taken = Vec::with_capacity(GOOD);
    for _ in 0..GOOD {
        pace.tick().await;
        taken.push(timed(&mut raw, &request, &[200]).await?);
    }
    Ok(taken)
}

/// As many devices wait as there are; each polls once, evenly over the interval.
async fn polls(devices: usize) -> Result<()> {
    let stage = Stage::with(vec![Provider::start()?], |config| {
        config.set("/rate_limits/device_authorization", plenty()).release().log_to_file()
    })
    .await;
    let client = stage.gateway.client()?;
    let mut raw = stage.raw().await;
    let mut requests = Vec::with_capacity(devices);
    for _ in 0..devices {
        let code = Device::ask(&client).await?.device_code;
        let form = format!("grant_type={DEVICE_GRANT}&device_code={code}");
        requests.push(format!(
            "POST /oauth/token HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{form}",
            form.len()
        ));
    }
    let mut pace = interval(POLL_INTERVAL / u32::try_from(devices)?);
    let mut taken = Vec::with_capacity(devices);
    for request in &requests {
        pace.tick().await;
        taken.push(timed(&mut raw, request, &[400]).await?);
    }
    show("polls of waiting devices", taken);
    Ok(())
}

async fn timed(raw: &mut Raw, request: &str, expected: &[u16]) -> Result<Duration> {
    let since = Instant::now();
    raw.send(request).await?;
    let (status, _) = raw.reply(PATIENCE).await?;
    ensure!(expected.contains(&status), "answered with {status}");
    Ok(since.elapsed())
}

fn plenty() -> serde_json::Value {
    json!({"max": 1_000_000, "window_seconds": 600})
}

fn show(about: &str, mut taken: Vec<Duration>) {
    taken.sort();
    let at = |share: f64| {
        let place = ((taken.len() as f64 * share) as usize).min(taken.len().saturating_sub(1));
        taken.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    println!("| {about} | {} | {:.2} | {:.2} | {:.2} |", taken.len(), at(0.5), at(0.99), at(1.0));
}
