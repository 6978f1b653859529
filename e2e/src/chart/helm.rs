//! helm, driven as a person drives it: every answer is its output or its refusal, and no cluster is asked.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{folder, root};

/// One helm.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
}

/// What helm takes the cluster for where a release does not say: a helm that is built from its module believes in an old one.
const KUBERNETES: &str = "1.36.3";

/// One installation of the chart, as `helm template` is told of it.
#[derive(Debug, Clone)]
pub struct Release {
    pub name: String,
    pub namespace: String,
    /// YAML beside the chart's own values.
    pub values: String,
    pub chart: PathBuf,
    /// What stands before the chart on the command line besides.
    pub options: Vec<String>,
}

impl Release {
    pub fn with(values: &str) -> Self {
        Self {
            name: "cg".into(),
            namespace: "gateways".into(),
            values: values.into(),
            chart: folder(),
            options: Vec::new(),
        }
    }

    pub fn named(name: &str, values: &str) -> Self {
        Self { name: name.into(), ..Self::with(values) }
    }
}

impl Helm {
    /// Helm 4, one of the test cluster's programs.
    pub fn newest() -> Result<Self> {
        Ok(Self { program: built("cluster-programs", &["helm"])?.join("helm") })
    }

    /// Helm 3, which many still use.
    pub fn previous() -> Result<Self> {
        Ok(Self { program: built("chart-programs", &[])?.join("helm3") })
    }

    /// The manifest's text, or why helm refuses.
    pub fn render(&self, release: &Release) -> Result<String> {
        let mut command = self.command("template");
        command.arg(&release.name).arg(&release.chart).args(["--namespace", &release.namespace, "--values", "-"]);
        command.args(["--kube-version", KUBERNETES]).args(&release.options);
        said(&fed(&mut command, &release.values)?)
    }

    /// The manifest's objects, in order.
    pub fn objects(&self, release: &Release) -> Result<Vec<Value>> {
        objects(&self.render(release)?)
    }

    /// Every finding counts.
    pub fn lint(&self, chart: &Path, values: &str) -> Result<String> {
        let mut command = self.command("lint");
        command.args(["--strict", "--kube-version", KUBERNETES]).arg(chart).args(["--values", "-"]);
        said(&fed(&mut command, values)?)
    }

    /// A command that asks a cluster: `install`, `upgrade`, `rollback`, `uninstall`.
    pub fn ask(&self, kubeconfig: &Path, arguments: &[&str], values: &str) -> Result<String> {
        let (verb, rest) = arguments.split_first().context("a command")?;
        let mut command = self.command(verb);
        command.args(rest).env("KUBECONFIG", kubeconfig);
        if matches!(*verb, "install" | "upgrade") {
            command.args(["--values", "-"]);
        }
        said(&fed(&mut command, values)?)
    }

    /// No cluster, no repository and no plugin of the machine's owner has a say.
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        let nowhere = std::env::temp_dir().join("no-helm-home");
        command.arg(verb).env("KUBECONFIG", "/dev/null");
        for home in ["HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_CACHE_HOME"] {
            command.env(home, &nowhere);
        }
        command
    }
}

/// The suites of helm-unittest beside the chart.
pub fn unittest() -> Result<String> {
    let program = built("chart-programs", &[])?.join("helm-unittest");
    said(&Command::new(program).arg("--strict").arg(folder()).output()?)
}

/// The documents of a manifest that hold an object.
pub fn objects(manifest: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).context("what helm rendered is not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The folder of programs that a script of ours builds once and then only names.
fn built(script: &str, programs: &[&str]) -> Result<PathBuf> {
    let output = Command::new(root().join("tools").join(script)).args(programs).stderr(Stdio::inherit()).output()?;
    Ok(said(&output)?.trim().into())
}

fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn said(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}{complaint}");
    Ok(text.into_owned())
}
