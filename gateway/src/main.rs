//! `claude-gateway --config FILE` serves; `claude-gateway check --config FILE` says whether it would, and `claude-gateway
//! explain` what it would decide.

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
    admin::Question,
    boot::{Plan, Running, explain, reload::Marks, start},
    clock::SystemClock,
    door::watch::Patience,
    inference::{Catalogue, Models},
    session::Lifetimes,
    spend::flusher::LAST_TRIES,
    store::CALL,
    telemetry::{Lines, logs},
};
use gateway_config::{Config, Environment, Loaded, LogLevel, ProcessSettings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

/// The store is told what was counted last, in tries of which the last is waited for, and its connections are closed; what it
/// cannot be told stays in the journal.
const LAST_FLUSH: Duration = LAST_TRIES.saturating_add(CALL).saturating_add(Duration::from_secs(1));
const AT_ONCE: Duration = Duration::from_millis(500);

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
    /// Says which policy decides for a person, and why: matches, settings and their origins, models, limits.
    Explain {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The person's subject or e-mail address.
        #[arg(long, value_name = "USER")]
        user: String,
        /// A group that the identity provider says the person is in; again for each further one.
        #[arg(long, value_name = "GROUP")]
        groups: Vec<String>,
        /// Also says whether the person may use this model.
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// Prints JSON, as the admin API answers.
        #[arg(long)]
        json: bool,
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
        (_, Some(Command::Explain { config, user, groups, model, json })) => {
            let question = Question { user, groups, model };
            explained(&config, &environment, &question, json, |warning| eprintln!("warning: {warning}"))
                .map(|text| println!("{text}"))
        }
        (Some(config), None) => begin(config, environment),
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

/// Reads twice: only a reading says which files there are to look at, and a look has to come before the reading that counts.
fn begin(path: PathBuf, environment: Environment) -> Result<(), String> {
    let (first, _) = judge(&path, &environment)?;
    let seen = Marks::of(&path, &first.config.files);
    let (loaded, process) = judge(&path, &environment)?;
    serve((path, environment, seen), loaded, process).map_err(|error| format!("the gateway did not start: {error:#}"))
}

fn judge(path: &Path, environment: &Environment) -> Result<(Loaded, ProcessSettings), String> {
    let loaded = Config::load(path, environment);
    let process = ProcessSettings::read(environment);
    match (loaded, process) {
        (Ok(mut loaded), Ok((process, warnings))) => {
            Models::new(&loaded.config, &Catalogue::builtin()).map_err(|error| error.to_string())?;
            loaded.warnings.extend(warnings);
            Ok((loaded, process))
        }
        (loaded, process) => {
            let errors = [loaded.err(), process.err()].into_iter().flatten();
            Err(errors.map(|errors| errors.to_string()).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn explained(
    path: &Path,
    environment: &Environment,
    question: &Question,
    json: bool,
    warn: impl Fn(String),
) -> Result<String, String> {
    let (loaded, _) = judge(path, environment)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let explained = runtime.block_on(explain(&loaded.config, question, warn)).map_err(|error| format!("{error:#}"))?;
    match json {
        true => serde_json::to_string_pretty(&explained).map_err(|error| error.to_string()),
        false => Ok(explained.to_string().trim_end().to_owned()),
    }
}

fn serve(source: (PathBuf, Environment, Marks), loaded: Loaded, process: ProcessSettings) -> anyhow::Result<()> {
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
        source: Some(source),
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
    let mut signals = Signals::listen()?;
    signals.next().await;
    tracing::info!("draining");
    let patience = tokio::select! {
        () = running.lifecycle.drain(drain_timeout) => LAST_FLUSH,
        () = signals.next() => AT_ONCE,
    };
    running.lifecycle.end_now();
    tokio::select! {
        _ = tokio::time::timeout(patience, running.ended()) => {}
        () = signals.next() => {}
    }
    tracing::info!("ended");
    Ok(())
}

/// What asks a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    }
}
