//! `claude-gateway --config FILE` serves; `claude-gateway check --config FILE` says whether it would.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use aws_lc_rs::rand::SystemRandom;
use clap::{Parser, Subcommand};
use gateway::{
    boot::{Plan, Running, start},
    clock::SystemClock,
    door::watch::Patience,
    session::Lifetimes,
    telemetry::{Lines, logs},
};
use gateway_config::{Config, Environment, Loaded, LogLevel, ProcessSettings};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted control plane for Claude Code: sign-in, tokens and the model proxy.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The gateway.yaml to serve.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads and judges a configuration without opening a port or a connection.
    Check {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[expect(clippy::print_stderr, reason = "the words before there is a log, and the one line when a boot fails")]
#[expect(clippy::print_stdout, reason = "the verdict that `check` is asked for")]
fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    let environment = Environment::from_os(std::env::vars_os());
    let served = match (config, command) {
        (_, Some(Command::Check { config })) => judge(&config, &environment).map(|(loaded, _)| {
            loaded.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            println!("{} is valid", config.display());
        }),
        (Some(config), None) => judge(&config, &environment).and_then(|(loaded, process)| {
            serve(config, environment, loaded, process).map_err(|error| format!("the gateway did not start: {error:#}"))
        }),
        (None, None) => Err("no configuration: give one with --config FILE".to_owned()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn judge(path: &Path, environment: &Environment) -> Result<(Loaded, ProcessSettings), String> {
    let loaded = Config::load(path, environment);
    let process = ProcessSettings::read(environment);
    match (loaded, process) {
        (Ok(mut loaded), Ok((process, warnings))) => {
            loaded.warnings.extend(warnings);
            Ok((loaded, process))
        }
        (loaded, process) => {
            let errors = [loaded.err(), process.err()].into_iter().flatten();
            Err(errors.map(|errors| errors.to_string()).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn serve(path: PathBuf, environment: Environment, loaded: Loaded, process: ProcessSettings) -> anyhow::Result<()> {
    let lines = Lines::to(std::io::stderr()).context("the log's writer")?;
    logs::install(level(process.log_level), lines.clone());
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let drain_timeout = process.drain_timeout;
    let patience = Patience { stalled: process.client_stall, ..Patience::default() };
    let plan = Plan {
        lifetimes: Lifetimes::of(&loaded.config.session),
        config: loaded.config,
        process,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::new()),
        patience,
        lines: lines.clone(),
        source: Some((path, environment)),
    };
    let control =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("control").enable_all().build()?;
    let outcome = control.block_on(async {
        let running = start(plan).await?;
        tracing::info!(address = %running.address, version = env!("CARGO_PKG_VERSION"), "ready");
        until_told(running, drain_timeout).await
    });
    lines.flush(Duration::from_secs(2));
    control.shutdown_background();
    outcome
}

/// The first signal drains, the second ends at once.
async fn until_told(running: Running, drain_timeout: Duration) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    tokio::select! {
        () = running.lifecycle.drain(drain_timeout) => {}
        _ = terminate.recv() => running.lifecycle.end_now(),
        _ = interrupt.recv() => running.lifecycle.end_now(),
    }
    let _ = tokio::time::timeout(Duration::from_millis(500), running.ended()).await;
    tracing::info!("ended");
    Ok(())
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    }
}
