//! `claude-gateway-operator`: reconciles gateways and policies until it is told to end, or loses the lease.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::{engine::settings::Settings, run::run};
use tokio::signal::unix::{SignalKind, signal};

/// Makes running gateways of ClaudeGateway objects, and enforced policies of UserPolicy objects.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Reconciles: what is done when nothing else is asked for.
    Run,
}

fn main() -> ExitCode {
    let Arguments { settings, command } = Arguments::parse();
    match command.unwrap_or(Command::Run) {
        Command::Run => reconcile(settings),
    }
}

#[expect(clippy::print_stderr, reason = "the one line when there is no runtime to log from")]
fn reconcile(settings: Settings) -> ExitCode {
    let _ = tracing_subscriber::fmt()
        .with_max_level(settings.log_level)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let told = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run(settings, told).await
    });
    // What still runs may neither write nor keep the process: the fence is closed.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the operator ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}
