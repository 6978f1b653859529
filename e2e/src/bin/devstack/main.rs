//! Everything on this machine: Postgres, a test identity provider, a model provider, and the gateway between them.
//!
//! Invariant: it ends as one. Ctrl-C, a closed terminal or a killed process leaves no server and no file behind.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads this in a terminal")]

mod story;
mod words;

use std::{net::TcpListener, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use e2e::cast::{
    gateway::{Config, Gateway},
    interrupt::Interrupt,
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::{Persona, Provider},
};
use rustix::process::Signal;
use serde_json::json;

/// Named so that a stack can be found again: the port of the documents.
const USUAL_PORT: u16 = 8080;
/// A stream that a person is looking at may end; nobody waits longer at a prompt.
const DRAIN: Duration = Duration::from_secs(5);

/// A gateway to try, with everything it needs.
#[derive(Parser)]
struct Arguments {
    /// Where the gateway listens; another port is taken if the usual one is busy.
    #[arg(long)]
    port: Option<u16>,
}

/// Declared in the order in which they must go.
struct Stack {
    gateway: Gateway,
    /// `None`: the real API, with the key from `ANTHROPIC_API_KEY`.
    scripted_model: Option<Provider>,
    people: OpenIdProvider,
    /// What an administrator puts on a developer's machine; in the gateway's own directory, and gone with it.
    managed_settings: PathBuf,
    store: Postgres,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
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
    let mut stack = tokio::select! {
        stack = start(arguments) => stack?,
        () = interrupt.asked() => return Ok(()),
    };
    print!("{}", words::welcome(&stack));
    let lines = stack.gateway.lines();
    let ended = tokio::select! {
        () = interrupt.asked() => None,
        () = story::tell(&lines) => None,
        ended = stack.gateway.ended() => Some(ended?),
    };
    if let Some(status) = ended {
        anyhow::bail!("the gateway ended ({status}):\n{}", stack.gateway.stderr().join("\n"));
    }
    println!("\n{}", words::FAREWELL);
    stack.gateway.signal(Signal::TERM)?;
    tokio::select! {
        _ = stack.gateway.exit(DRAIN) => {}
        () = interrupt.asked() => {}
    }
    Ok(())
}

async fn start(arguments: &Arguments) -> Result<Stack> {
    let store = Postgres::start().await.context("Postgres")?;
    let people = OpenIdProvider::start(Behaviour::default()).await;
    let config = Gateway::config()?.at_port(port(arguments)?).identity(&people).store(&store.url());
    let (config, scripted_model) = with_model(config)?;
    let gateway = config.start().await.context("the gateway")?;
    let managed_settings = gateway.home().join("managed-settings.json");
    let chosen = json!({"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway.url()});
    std::fs::write(&managed_settings, chosen.to_string())?;
    Ok(Stack { gateway, scripted_model, people, managed_settings, store })
}

/// The real API where there is a key for it. The key stays in the environment: the file only names it.
fn with_model(config: Config) -> Result<(Config, Option<Provider>)> {
    if let Ok(key) = std::env::var("ANTHROPIC_API_KEY") {
        let upstream =
            json!({"name": "anthropic", "provider": "anthropic", "auth": {"api_key": "${ANTHROPIC_API_KEY}"}});
        let config = config.set("/upstreams", json!([upstream])).environment("ANTHROPIC_API_KEY", &key);
        let proxied = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"].into_iter();
        let proxied = proxied.filter_map(|name| Some((name, std::env::var(name).ok()?)));
        return Ok((proxied.fold(config, |config, (name, value)| config.environment(name, &value)), None));
    }
    let provider = Provider::builder().persona(Persona::Talkative).start()?;
    Ok((config.upstream("scripted", &provider), Some(provider)))
}

fn port(arguments: &Arguments) -> Result<u16> {
    if let Some(chosen) = arguments.port {
        return Ok(chosen);
    }
    let usual = TcpListener::bind(("127.0.0.1", USUAL_PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(usual.local_addr()?.port())
}
