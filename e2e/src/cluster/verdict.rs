//! What `helm --wait` and Flux make of an object: the verdict of kstatus, the library that both use.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::programs::Programs;

/// `InProgress`, `Current`, `Failed`, `Terminating` or `Unknown`, for each.
pub async fn verdicts(objects: &[Value]) -> Result<Vec<String>> {
    let program = Programs::for_verdicts().await?.path("kstatus");
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut judge = command.spawn()?;
    let mut input = judge.stdin.take().context("its input")?;
    input.write_all(json!(objects).to_string().as_bytes()).await?;
    drop(input);
    let output = judge.wait_with_output().await?;
    ensure!(output.status.success(), "kstatus: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
