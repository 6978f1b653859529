//! kubectl, as a person types it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{ground::Ground, kubeconfig::Kubeconfig, programs::Programs};

/// Speaks as one user.
#[derive(Clone)]
pub struct Kubectl {
    pub(super) ground: Ground,
    pub(super) programs: Programs,
    pub(super) kubeconfig: Kubeconfig,
}

impl Kubectl {
    /// The arguments are split at blanks; what it prints. An error carries what it complained of.
    pub async fn run(&self, arguments: &str) -> Result<String> {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>(), "").await
    }

    /// As [`run`](Self::run), for arguments with blanks, and with something to read.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn()?;
        let mut reader = child.stdin.take().context("its input")?;
        let written = reader.write_all(input.as_bytes()).await;
        drop(reader);
        let output = child.wait_with_output().await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), complaint.trim());
        written?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The process, for what goes on and on: `logs --follow`, `port-forward`. It ends with the value.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let home = self.kubeconfig.path().parent().unwrap_or(self.kubeconfig.path());
        let mut command = self.ground.command(&self.programs, self.programs.path("kubectl"), home);
        command.arg("--kubeconfig").arg(self.kubeconfig.path()).args(arguments);
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Objects, as YAML or JSON, applied by the server.
    pub async fn apply(&self, objects: &str) -> Result<String> {
        self.run_with(&["apply", "--server-side", "--filename", "-"], objects).await
    }

    /// As [`apply`](Self::apply), into a namespace and as a person does it: what stands beside is the client's to merge.
    pub async fn apply_in(&self, namespace: &str, objects: &str) -> Result<String> {
        self.run_with(&["apply", "--namespace", namespace, "--filename", "-"], objects).await
    }

    /// `get … --output json`; null where there is no such object, or none at all.
    pub async fn get(&self, what: &str) -> Result<Value> {
        let text = self.run(&format!("get {what} --ignore-not-found --output json")).await?;
        Ok(match text.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text)?,
        })
    }
}
