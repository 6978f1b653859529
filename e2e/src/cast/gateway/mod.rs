//! The binary under test, as an operator runs it: a file, a process, its standard error.
//!
//! Invariant: the process ends with its [`Gateway`], and with the process that holds that.

mod config;
mod ended;

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};

pub use config::{CLIENT_SECRET, Config};
pub use ended::Ended;

use super::{certificate::Authority, client::Client, node};

/// From start to ready; a machine that compiles besides is slow.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    /// `CLAUDE_GATEWAY_BIN`, else the newest build in the target directory.
    Ours,
    Release,
    /// The one inside the `claude` binary.
    Reference,
}

pub struct Gateway {
    config: Config,
    child: Child,
    lines: Arc<Lines>,
    boot: Duration,
}

/// What the process has said on its standard error.
pub struct Lines {
    all: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl Gateway {
    pub fn config() -> Result<Config> {
        Config::new()
    }

    async fn start(config: Config) -> Result<Self> {
        let lines = Arc::new(Lines { all: Mutex::default(), count: watch::Sender::new(0) });
        let started = Instant::now();
        let child = spawn(&config, &lines)?;
        let mut gateway = Self { config, child, lines, boot: Duration::ZERO };
        gateway.until_ready().await?;
        gateway.boot = started.elapsed();
        Ok(gateway)
    }

    /// From the start of the process to its first `/readyz` of 200.
    pub fn boot_time(&self) -> Duration {
        self.boot
    }

    pub fn url(&self) -> String {
        self.config.url()
    }

    pub fn port(&self) -> u16 {
        self.config.port
    }

    /// What a client must trust, when it serves HTTPS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority().map(Authority::pem)
    }

    /// Who vouches for its certificate, when it serves HTTPS.
    pub fn authority(&self) -> Option<&Authority> {
        self.config.authority.as_deref()
    }

    pub fn home(&self) -> PathBuf {
        self.config.home()
    }

    /// Speaks with this process, also where the public URL is a load balancer's.
    pub fn client(&self) -> Result<Client> {
        let client = Client::new(&self.url())?.connecting_to(SocketAddr::from(([127, 0, 0, 1], self.port())));
        match self.ca_pem() {
            Some(pem) => client.trusting(pem),
            None => Ok(client),
        }
    }

    pub fn pid(&self) -> Result<i32> {
        self.child.id().and_then(|id| id.try_into().ok()).context("the gateway has ended")
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_raw(self.pid()?).context("a process id")?, signal)?)
    }

    /// Its end, whenever that comes.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Its standard error, for somebody who reads along.
    pub fn lines(&self) -> Arc<Lines> {
        self.lines.clone()
    }

    /// Waits for its end.
    pub async fn exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        Ok(timeout(patience, self.child.wait())
            .await
            .with_context(|| format!("still running after {patience:?}"))??)
    }

    /// Ends it at once, as a lost node does.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// A new process on the same file; the old one is gone before. Earlier lines are kept.
    pub async fn restart(&mut self) -> Result<()> {
        let _ = self.child.kill().await;
        let started = Instant::now();
        self.child = spawn(&self.config, &self.lines)?;
        self.until_ready().await?;
        self.boot = started.elapsed();
        Ok(())
    }

    /// Another pod of the same gateway: the same file but for its port and its own home.
    pub fn replica(&self) -> Result<Config> {
        let mut replica = Config::new()?;
        let (port, journal) = (replica.port, replica.document["store"]["journal_dir"].take());
        replica.document = self.config.document.clone();
        replica.authority = self.config.authority.clone();
        replica.environment = self.config.environment.clone();
        replica.binary = self.config.binary;
        Ok(replica.set("/listen/port", port.into()).set("/store/journal_dir", journal))
    }

    /// Writes another configuration over the file; the process is told nothing.
    pub fn rewrite(&mut self, change: impl FnOnce(&mut Value)) -> Result<()> {
        change(&mut self.config.document);
        // All of it at once, for whoever reads it just now.
        let next = self.file().with_extension("next");
        std::fs::write(&next, serde_json::to_vec_pretty(&self.config.document)?)?;
        Ok(std::fs::rename(next, self.file())?)
    }

    /// What its file says, by a JSON pointer; null where it says nothing.
    pub fn setting(&self, pointer: &str) -> Value {
        self.config.document.pointer(pointer).cloned().unwrap_or_default()
    }

    pub fn file(&self) -> PathBuf {
        self.config.file()
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        match self.config.log_to_file {
            true => std::fs::read_to_string(self.home().join("stderr"))
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect(),
            false => self.lines.all().clone(),
        }
    }

    /// The audit events of one name so far.
    pub fn audit(&self, event: &str) -> Vec<Value> {
        let lines = self.lines.all();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|value| value["evt"] == event).collect()
    }

    /// Waits for so many audit events of one name since the start.
    pub async fn wait_for_audit(&self, event: &str, count: usize) -> Result<Vec<Value>> {
        let mut lines = self.lines.count.subscribe();
        let seen = timeout(PATIENCE, lines.wait_for(|_| self.audit(event).len() >= count)).await;
        let _ = seen.with_context(|| format!("no {count} `{event}` in the audit lines"))??;
        Ok(self.audit(event))
    }

    /// Waits for a line with these words in it, also among those already said.
    pub async fn wait_for_line(&self, words: &str) -> Result<String> {
        let said = || self.lines.all().iter().find(|line| line.contains(words)).cloned();
        let mut lines = self.lines.count.subscribe();
        let seen = timeout(PATIENCE, lines.wait_for(|_| said().is_some())).await;
        let _ = seen.with_context(|| format!("nothing about `{words}` in:\n{}", self.stderr().join("\n")))??;
        said().context("a line that was there")
    }

    async fn until_ready(&mut self) -> Result<()> {
        let (client, started) = (self.client()?, Instant::now());
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                // Its last words may still be in the pipe.
                sleep(Duration::from_millis(300)).await;
                bail!("the gateway ended ({status}):\n{}", self.stderr().join("\n"));
            }
            if client.get("/readyz").send().await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("not ready after {PATIENCE:?}:\n{}", self.stderr().join("\n"))
    }
}

impl Lines {
    /// All but the first `told`.
    pub fn since(&self, told: usize) -> Vec<String> {
        self.all().get(told..).unwrap_or_default().to_vec()
    }

    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        self.all().push(line);
        self.count.send_modify(|count| *count += 1);
    }
}

/// The path of a gateway built before.
pub fn built_binary(release_only: bool) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CLAUDE_GATEWAY_BIN") {
        return Ok(named.into());
    }
    built_program("claude-gateway", release_only)
}

/// The path of a program of ours built before.
pub fn built_program(name: &str, release_only: bool) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        |target| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target),
    );
    let profiles: &[&str] = if release_only { &["release"] } else { &["debug", "release"] };
    let built = profiles.iter().map(|profile| target.join(profile).join(name)).filter(|path| path.exists());
    let newest = built.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.with_context(|| format!("no {name} in {}: build it first", target.display()))
}

fn spawn(config: &Config, lines: &Arc<Lines>) -> Result<Child> {
    let mut child = command(config, None)?
        .stdout(Stdio::null())
        .stderr(match config.log_to_file {
            true => File::create(config.home.path().join("stderr"))?.into(),
            false => Stdio::piped(),
        })
        // A Ctrl-C at the terminal is for whoever started it, who then tells it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let Some(said) = child.stderr.take() else { return Ok(child) };
    let mut said = BufReader::new(said).lines();
    let lines = lines.clone();
    tokio::spawn(async move {
        while let Ok(Some(line)) = said.next_line().await {
            lines.push(line);
        }
    });
    Ok(child)
}

/// The binary on the configuration's file, in an environment of its own.
fn command(config: &Config, subcommand: Option<&str>) -> Result<Command> {
    let (binary, first) = match config.binary {
        Binary::Ours => (built_binary(false)?, subcommand),
        Binary::Release => (built_binary(true)?, subcommand),
        Binary::Reference => (node::claude_binary()?, Some("gateway")),
    };
    ensure!(binary.exists(), "no binary at {}", binary.display());
    // The gateway must not outlive a killed test: the kernel ends it with the thread that started it.
    let mut command = Command::new("setpriv");
    command
        .arg("--pdeathsig=KILL")
        .arg(binary)
        .args(first)
        .arg("--config")
        .arg(config.file())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", config.home.path())
        .envs(&config.environment)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}
