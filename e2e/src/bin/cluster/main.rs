//! Kubernetes on this machine, for a person: two nodes, the operator by its chart, and a gateway that it made.
//!
//! Invariant: it ends as one. Ctrl-C, a closed terminal or a killed process leaves no server, no mount and no file behind.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads this in a terminal")]

mod door;
mod words;

use std::{net::TcpListener, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use e2e::{
    cast::{interrupt::Interrupt, provider::Persona},
    chart,
    cluster::{
        Cluster, Surroundings,
        sample::{self, Sample, Values},
        surroundings::images,
    },
};

/// A Kubernetes with the operator and a gateway to try. It needs root.
#[derive(Parser)]
struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Only the cluster: no operator and no gateway.
    #[arg(long)]
    bare: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread: it is that which visits the cluster.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("a runtime").and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    // Asked for before anything starts, so that an early Ctrl-C ends what has started, too.
    let mut interrupt = Interrupt::new()?;
    tokio::select! {
        ended = stand(arguments) => ended,
        () = interrupt.asked() => {
            println!("\n{}", words::FAREWELL);
            Ok(())
        }
    }
}

/// Until it is dropped.
async fn stand(arguments: &Arguments) -> Result<()> {
    // On this machine's own loopback, which is left behind below.
    let door = TcpListener::bind(("127.0.0.1", door::PORT)).with_context(|| format!("port {} is taken", door::PORT))?;
    words::step(&format!("{} nodes", arguments.nodes));
    let images = if arguments.bare { Vec::new() } else { images()? };
    let cluster = Cluster::start(arguments.nodes, &images).await?;
    let _visit = cluster.visit()?;
    if arguments.bare {
        print!("{}", words::entrance(&cluster));
        return std::future::pending().await;
    }
    words::step("Postgres, an identity provider, a model provider and an ingress at the head");
    let surroundings = Surroundings::start(&cluster, Persona::Talkative, &[words::HOST]).await?;
    words::step("the operator, by its chart");
    surroundings.install(&chart::folder()).await?;
    words::step("a gateway");
    let kubectl = cluster.plane().kubectl();
    kubectl.run(&format!("create namespace {}", sample::NAMESPACE)).await?;
    Sample::with(&Values::of(&surroundings, words::HOST).await?)?.apply(kubectl, sample::NAMESPACE).await?;
    sample::until_ready(kubectl, sample::NAMESPACE, sample::GATEWAY).await?;
    let front = &surroundings.front;
    front.follow().await?;
    let trust = cluster.home().join("trust.pem");
    std::fs::write(&trust, front.authority_pem())?;
    print!("{}{}", words::welcome(&trust), words::entrance(&cluster));
    door::keep(door, front).await
}
