//! A run of the binary that comes to an end by itself: a boot that must fail, or a subcommand.

use std::{
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::time::timeout;

use super::{Config, PATIENCE, command};

/// What is left of it.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub after: Duration,
}

impl Config {
    /// Serves, until it gives up.
    pub async fn end(&self) -> Result<Ended> {
        self.run(None, &[]).await
    }

    pub async fn check(&self) -> Result<Ended> {
        self.run(Some("check"), &[]).await
    }

    /// Asks what a pod with this configuration would decide.
    pub async fn explain(&self, arguments: &[&str]) -> Result<Ended> {
        self.run(Some("explain"), arguments).await
    }

    async fn run(&self, subcommand: Option<&str>, arguments: &[&str]) -> Result<Ended> {
        self.write()?;
        let started = Instant::now();
        let running =
            command(self, subcommand)?.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let ended = timeout(PATIENCE, running.wait_with_output()).await;
        let output = ended.with_context(|| format!("still running after {PATIENCE:?}"))??;
        let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
        Ok(Ended { status: output.status, stdout, stderr, after: started.elapsed() })
    }
}
