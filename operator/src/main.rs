//! `claude-gateway-operator`: reconciles gateways and policies until it is told to end, or loses the lease.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::engine::settings::Settings;

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
    let Arguments { settings: _, command } = Arguments::parse();
    match command.unwrap_or(Command::Run) {
        Command::Run => ExitCode::SUCCESS,
    }
}
