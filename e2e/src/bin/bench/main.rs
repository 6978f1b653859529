//! One run that measures a direct connection, nginx as a plain reverse proxy, and this gateway with everything on.
//!
//! All of them face the same scripted provider, take turns (so that a noisy minute hurts everybody), and every byte of every
//! reply is checked. What counts is the CPU time of the proxy itself, read from /proc. Prints Markdown.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod cluster;
mod contestant;
mod hardship;
mod limits;
mod load;
mod nginx;
mod operator;
mod policies;
mod table;
mod timing;
mod wire;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use e2e::cast::{
    gateway::Gateway,
    provider::{Provider, Shape},
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use contestant::{Company, Contestant};
use load::{Bound, Cell, Sample};
use table::{Line, Table};

const AT_ONCE: Shape = Shape::Stream { deltas: 50, every_ms: 0 };
const SLOW: Shape = Shape::Stream { deltas: 100, every_ms: 40 };
const JSON: Shape = Shape::Json { bytes: 1024 };
const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

/// Measures the gateway beside nginx and a direct connection.
#[derive(Parser)]
struct Arguments {
    /// A look rather than a measurement: one short round, fewer rows.
    #[arg(long)]
    quick: bool,
    /// The reference gateway takes part too.
    #[arg(long, env = "REFERENCE", value_parser = clap::builder::FalseyValueParser::new())]
    reference: bool,
    /// Rounds in which everybody takes a turn; the table shows medians.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of load in each turn.
    #[arg(long)]
    seconds: Option<f64>,
    /// Leave out what `nginx` or `reference` would show: profile ours alone.
    #[arg(long)]
    only_ours: bool,
    /// Instead: this gateway alone under each load, then ended in order, so that an instrumented one writes its profile.
    #[arg(long)]
    profile: bool,
    /// Instead: whether the time of a refusal tells what was wrong with the secret in it, by so many samples of each pair.
    #[arg(long, value_name = "SAMPLES", num_args = 0..=1, default_missing_value = "100000")]
    timing: Option<usize>,
    /// Instead: how soon three pods under load enforce a changed policy and a revocation, over so many removals of a model.
    #[arg(long, value_name = "EDITS", num_args = 0..=1, default_missing_value = "50")]
    policies: Option<usize>,
    /// Instead: what limits that nobody reaches cost, under so many seconds of load.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10")]
    limits: Option<usize>,
    /// Instead: a store that crashes, a flood of bad bearers, and so many devices that wait.
    #[arg(long, value_name = "DEVICES", num_args = 0..=1, default_missing_value = "10000")]
    hardship: Option<usize>,
    /// Instead: how soon a UserPolicy edited by kubectl holds on the pods of a real cluster, over so many edits (needs root and
    /// `make image`).
    #[arg(long, value_name = "EDITS", num_args = 0..=1, default_missing_value = "30")]
    cluster: Option<usize>,
    /// Instead: the operator in front of so many policies, fifty of each gateway.
    #[arg(long, value_name = "POLICIES", num_args = 0..=1, default_missing_value = "10000")]
    operator: Option<usize>,
}

impl Arguments {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    fn turn(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 0.5 } else { 2.0 }))
    }

    fn cells(&self) -> Vec<Cell> {
        let connections: &[usize] = if self.quick { &[16, 64] } else { &[1, 16, 64] };
        let bodies: &[usize] = if self.quick { &[KIB] } else { &[KIB, MIB] };
        let shapes = [("JSON", JSON), ("50 deltas at once", AT_ONCE)];
        let mut cells = Vec::new();
        for (name, shape) in shapes {
            for body in bodies {
                for connections in connections {
                    cells.push(Cell {
                        name,
                        shape,
                        body: *body,
                        connections: *connections,
                        bound: Bound::For(self.turn()),
                    });
                }
            }
        }
        let replies = if self.quick { 1 } else { 2 };
        cells.push(slow(256, replies));
        cells
    }
}

fn slow(connections: usize, replies: usize) -> Cell {
    Cell { name: "100 deltas, 40 ms apart", shape: SLOW, body: KIB, connections, bound: Bound::Replies(replies) }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let open_files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: open_files.maximum, maximum: open_files.maximum })?;
    // One thread for the load: two cores are shared with the provider and the proxy under test.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<()> {
    if arguments.profile {
        return profile(arguments).await;
    }
    if let Some(samples) = arguments.timing {
        return timing::compare(samples).await;
    }
    if let Some(seconds) = arguments.limits {
        return limits::cost(seconds).await;
    }
    if let Some(edits) = arguments.cluster {
        return cluster::edits(edits).await;
    }
    if let Some(devices) = arguments.hardship {
        return hardship::measure(devices).await;
    }
    if let Some(policies) = arguments.operator {
        return operator::measure(policies).await;
    }
    if let Some(edits) = arguments.policies {
        return policies::spread(edits).await;
    }
    let provider = Provider::builder().threads(2).unwatched().start()?;
    let mut company = Company::gather(&provider, arguments.reference, arguments.only_ours).await?;
    println!("## Requests\n");
    let mut table = Table::new();
    for cell in arguments.cells() {
        rounds(&mut table, &company.everybody(), &cell, arguments.rounds()).await?;
    }
    println!("{}", table.markdown());
    println!("## Memory, and 2,000 slow streams\n");
    crowd(&company, if arguments.quick { 500 } else { 2000 }).await?;
    println!("\n## From start to ready, with a migrated store\n");
    boots(&mut company.ours, if arguments.quick { 3 } else { 7 }).await?;
    drop(company);
    println!("\n## TLS on both sides\n");
    tls(arguments).await
}

async fn profile(arguments: &Arguments) -> Result<()> {
    for provider in [Provider::builder().threads(2).unwatched(), Provider::builder().threads(2).tls().unwatched()] {
        let provider = provider.start()?;
        let mut company = Company::gather(&provider, false, true).await?;
        let mut table = Table::new();
        for cell in arguments.cells() {
            rounds(&mut table, &company.everybody(), &cell, arguments.rounds()).await?;
        }
        println!("{}", table.markdown());
        company.ours.signal(Signal::TERM)?;
        company.ours.ended().await?;
    }
    Ok(())
}

/// Everybody takes a turn, as often as there are rounds.
async fn rounds(table: &mut Table, everybody: &[Contestant], cell: &Cell, rounds: usize) -> Result<()> {
    let mut samples: Vec<Vec<Sample>> = everybody.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contestant, samples) in everybody.iter().zip(&mut samples) {
            load::warm_up(contestant, cell).await;
            samples.push(load::run(contestant, cell).await);
        }
    }
    for (contestant, samples) in everybody.iter().zip(&samples) {
        table.push(Line::of(cell, contestant.name, samples));
    }
    Ok(())
}

/// The machine is full here, so only errors and memory say something.
async fn crowd(company: &Company, streams: usize) -> Result<()> {
    println!("| | idle MB | peak MB with {streams} streams | errors |");
    println!("|---|---:|---:|---:|");
    for contestant in company.everybody() {
        let Some(process) = contestant.process else { continue };
        // Memory that earlier turns took and gave back is not this turn's.
        let before = process.resident()?;
        process.forget_peak()?;
        let sample = load::run(&contestant, &slow(streams, 1)).await;
        let (idle, peak) = (company.idle_of(contestant.name).unwrap_or(before), process.peak()?);
        println!("| {} | {:.1} | {:.1} | {} |", contestant.name, megabytes(idle), megabytes(peak), sample.errors.len());
        if let Some(first) = sample.errors.first() {
            println!("\n{}'s first error: {first}\n", contestant.name);
        }
    }
    Ok(())
}

async fn boots(ours: &mut Gateway, times: usize) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..times {
        ours.restart().await?;
        all.push(ours.boot_time());
    }
    all.sort();
    println!("median {:.0} ms, slowest {:.0} ms of {times}", ms(all[times / 2]), ms(all[times - 1]));
    Ok(())
}

async fn tls(arguments: &Arguments) -> Result<()> {
    let provider = Provider::builder().threads(2).tls().unwatched().start()?;
    let company = Company::gather(&provider, false, arguments.only_ours).await?;
    let mut table = Table::new();
    for (name, shape) in [("JSON", JSON), ("50 deltas at once", AT_ONCE)] {
        let cell = Cell { name, shape, body: KIB, connections: 64, bound: Bound::For(arguments.turn()) };
        rounds(&mut table, &company.everybody(), &cell, arguments.rounds()).await?;
    }
    println!("{}", table.markdown());
    Ok(())
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
