//! Kubernetes on this machine, for a person: two nodes, the operator by its chart, and a gateway that it made.
//!
//! Invariant: it ends as one. Ctrl-C, a closed terminal or a killed process leaves no server, no mount and no file behind.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads this in a terminal")]

mod door;
mod sample;
mod words;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::{
    cast::{
        interrupt::Interrupt,
        node::CertifiedProvider,
        postgres::Postgres,
        provider::{Persona, Provider},
    },
    cluster::{Cluster, Front, HEAD},
};

use self::sample::Sample;

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
    let front = Front::start(&cluster).await?;
    let people = CertifiedProvider::published_as(sample::ISSUER, &[sample::REDIRECT]).await?;
    front.publish(sample::IDENTITY_NAME, people.server()).await?;
    let model = Provider::builder().persona(Persona::Talkative).tls_for("model.test").at((HEAD, 0).into()).start()?;
    let store = Postgres::at(HEAD).await?;
    words::step("the operator, by its chart");
    install(&cluster).await?;
    words::step("a gateway");
    let database = store.database().await?.replace("127.0.0.1", &HEAD.to_string());
    let sample = Sample {
        certificate: front.certificate(sample::NAME)?,
        identity_authority: front.authority_pem().to_owned(),
        model: (
            format!("https://model.test:{}", model.address().port()),
            model.ca_pem().context("the model provider's authority")?.to_owned(),
        ),
        database,
    };
    sample.apply(cluster.plane().kubectl()).await?;
    front.follow().await?;
    let trust = cluster.home().join("trust.pem");
    std::fs::write(&trust, front.authority_pem())?;
    print!("{}{}", words::welcome(&trust), words::entrance(&cluster));
    door::keep(door, &front).await
}

/// Helm waits until the operator is ready.
async fn install(cluster: &Cluster) -> Result<()> {
    let chart = root().join("charts/claude-gateway-operator").display().to_string();
    let release = ["install", "claude-gateway-operator", &chart, "--namespace", "claude-gateway-system"];
    cluster.helm(&[&release[..], &["--create-namespace", "--wait", "--timeout", "3m"]].concat()).await?;
    Ok(())
}

fn images() -> Result<Vec<PathBuf>> {
    let images =
        ["claude-gateway", "claude-gateway-operator"].map(|name| root().join(format!("dist/images/{name}.tar")));
    for image in &images {
        ensure!(image.exists(), "no {}: run `make image` first", image.display());
    }
    Ok(images.into())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
