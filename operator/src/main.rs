//! `claude-gateway-operator`: reconciles gateways and policies until it is told to end, or loses the lease.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use gateway_config::{Disk, Environment, Files as _};
use gateway_egress::Egress;
use operator::{
    check::{Finding, Plan, check},
    engine::settings::Settings,
    import::{Imported, Wishes, import},
    run::{run, way_out},
};
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
    /// Says whether this cluster lets the operator and its gateways work, and what to do where it does not. Writes nothing.
    Check {
        /// Ask no cluster: only what the other options name is checked.
        #[arg(long)]
        no_cluster: bool,
        #[command(flatten)]
        plan: Plan,
    },
    /// Makes a ClaudeGateway, UserPolicies and Secrets of a gateway.yaml, and prints them for `kubectl apply -f -`. Reads no
    /// cluster and writes nothing.
    Import {
        /// The gateway.yaml.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What the ClaudeGateway is called; the other objects' names begin with it.
        #[arg(long, default_value = "claude")]
        name: String,
        /// The namespace that the objects name; none unless said.
        #[arg(long)]
        namespace: Option<String>,
        /// The public host, in place of the file's listen.public_url.
        #[arg(long)]
        host: Option<String>,
    },
}

fn main() -> ExitCode {
    let Arguments { settings, command } = Arguments::parse();
    match command.unwrap_or(Command::Run) {
        Command::Run => reconcile(settings),
        Command::Check { no_cluster, plan } => preflight(&settings, &plan, no_cluster),
        Command::Import { file, name, namespace, host } => convert(&file, &Wishes { name, namespace, host }),
    }
}

#[expect(clippy::print_stdout, reason = "the objects, for whoever typed the command")]
#[expect(clippy::print_stderr, reason = "what is to be known besides, where no pipe takes it for an object")]
fn convert(file: &Path, wishes: &Wishes) -> ExitCode {
    let text = match Disk.read(file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            eprintln!("{} is not UTF-8 text: check that this is the right file", file.display());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("{} cannot be read ({}): correct the path or the rights", file.display(), error.kind());
            return ExitCode::FAILURE;
        }
    };
    match import(&text, &Environment::from_os(std::env::vars_os()), &Disk, wishes) {
        Ok(Imported { objects, warnings, to_fill_in }) => {
            print!("{objects}");
            warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            to_fill_in.iter().for_each(|place| eprintln!("to fill in: the Secret {place}"));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to a command is for whoever typed it")]
fn preflight(settings: &Settings, plan: &Plan, no_cluster: bool) -> ExitCode {
    let checked = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        runtime.block_on(async {
            let egress = Egress::new(way_out());
            if no_cluster {
                return check(settings, plan, None, &egress).await;
            }
            match kube::Client::try_default().await {
                Ok(client) => check(settings, plan, Some(&client), &egress).await,
                Err(error) => vec![Finding::Bad(format!("no way to the cluster ({error}): set KUBECONFIG"))],
            }
        })
    });
    let findings = checked.unwrap_or_else(|error| vec![Finding::Bad(format!("no runtime: {error}"))]);
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.iter().any(|finding| matches!(finding, Finding::Bad(_))) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
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
