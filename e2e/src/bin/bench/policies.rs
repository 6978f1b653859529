//! How soon what changes in the store holds on every pod: three of them, all with people at work.
//!
//! The time of an edit runs from its commit to the first answer of the last pod that enforces it. Whoever is not meant must
//! notice nothing: one answer that is not 200 is an error.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::cast::{
    client::Client,
    fleet::{Fleet, ask},
    gateway::Config,
    policies::PolicyRows,
    postgres::Postgres,
    signin::sign_in,
};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::table::times;

const PODS: usize = 3;
/// On each pod, one request after the other.
const AT_WORK: usize = 8;
const EDITED: &str = "claude-opus-4-8";
const UNTOUCHED: &str = "claude-haiku-4-5";
/// Edits that nobody is notified of, each way.
const SILENT: usize = 10;
const REVOCATIONS: usize = 50;

#[derive(Default)]
struct Work {
    done: Cell<usize>,
    disturbed: Cell<usize>,
    over: Cell<bool>,
}

pub(crate) async fn spread(edits: usize) -> Result<()> {
    LocalSet::new().run_until(measure(edits)).await
}

async fn measure(edits: usize) -> Result<()> {
    let postgres = Postgres::start().await?;
    let fleet = Fleet::on(&postgres, PODS, prepared).await?;
    let rows = PolicyRows::open(&fleet.database).await?;
    rows.replace(&policies(true)).await?;
    let work = Rc::new(Work::default());
    for client in fleet.clients().iter().flat_map(|client| vec![client; AT_WORK]) {
        tokio::task::spawn_local(labour(client.clone(), work.clone()));
    }
    println!("## News on {PODS} pods under load\n");
    println!("| | of | median ms | slowest ms |\n|---|---:|---:|---:|");
    let (mut removed, mut returned, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    // A model is removed so many times, and returned as often.
    for edit in 0..2 * edits {
        let allowed = edit % 2 == 1;
        rows.replace(&policies(allowed)).await?;
        let taken = until_all(fleet.clients(), EDITED, if allowed { 200 } else { 400 }).await?;
        if allowed { returned.push(taken) } else { removed.push(taken) }
    }
    for edit in 0..2 * SILENT {
        let allowed = edit % 2 == 1;
        rows.replace_silently(&policies(allowed)).await?;
        silent.push(until_all(fleet.clients(), EDITED, if allowed { 200 } else { 400 }).await?);
    }
    println!("{}", times("a model removed", removed));
    println!("{}", times("a model returned", returned));
    println!("{}", times("an edit that nobody was notified of", silent));
    println!("{}", times("a session revoked", revocations(&fleet).await?));
    work.over.set(true);
    println!("\nmeanwhile {} requests of others, {} of them disturbed", work.done.get(), work.disturbed.get());
    Ok(())
}

fn prepared(config: Config) -> Config {
    // Bob signs in often, and from one address.
    let codes = json!({"max": 10 * REVOCATIONS, "window_seconds": 600});
    config
        .set("/managed/source", json!("store"))
        .set("/rate_limits/device_authorization", codes.clone())
        .set("/rate_limits/device_verify", codes)
        .release()
        .log_to_file()
}

fn policies(allowed: bool) -> Vec<(&'static str, Value)> {
    let models: &[&str] = if allowed { &[EDITED, UNTOUCHED] } else { &[UNTOUCHED] };
    vec![
        ("eng", json!({"match": {"groups": ["eng"]}, "code": {"availableModels": models}})),
        ("base", json!({"match": {}})),
    ]
}

async fn revocations(fleet: &Fleet) -> Result<Vec<Duration>> {
    let mut taken = Vec::new();
    for n in 0..REVOCATIONS {
        let tokens = sign_in(&fleet.pods[n % PODS], "bob").await?;
        let clients = fleet.clients_with(&tokens.access_token);
        let answer =
            clients[n % PODS].post("/oauth/revoke").form(&[("token", tokens.access_token.as_str())]).send().await?;
        ensure!(answer.status == 200, "not revoked: {}", answer.status);
        taken.push(until_all(clients, UNTOUCHED, 401).await?);
    }
    Ok(taken)
}

async fn until_all(clients: Vec<Client>, model: &'static str, status: u16) -> Result<Duration> {
    let since = Instant::now();
    let mut pods = JoinSet::new();
    for client in clients {
        pods.spawn(async move {
            loop {
                let answer = ask(&client, model).send().await?;
                if answer.status == status {
                    return anyhow::Ok(());
                }
                ensure!(since.elapsed() < Duration::from_secs(30), "still {} after 30 s", answer.status);
            }
        });
    }
    while let Some(pod) = pods.join_next().await {
        pod??;
    }
    Ok(since.elapsed())
}

async fn labour(client: Client, work: Rc<Work>) {
    while !work.over.get() {
        let undisturbed = match ask(&client, UNTOUCHED).send().await {
            Ok(answer) => answer.status == 200 && answer.bytes().await.is_ok(),
            Err(_) => false,
        };
        work.done.set(work.done.get() + 1);
        work.disturbed.set(work.disturbed.get() + usize::from(!undisturbed));
    }
}
