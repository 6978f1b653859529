//! A process that reconciles: the built binary, under the rights and the environment that the chart gives it.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use e2e::{
    cast::{client::Client, ports::free_address},
    cluster::Kubeconfig,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::Install;

pub(crate) struct Operator {
    child: Child,
    pub(crate) health: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Operator {
    pub(crate) fn start(install: &Install, kubeconfig: &Kubeconfig, arguments: &[&str]) -> Self {
        let (health, metrics) = (free_address().unwrap(), free_address().unwrap());
        // It ends with its test, also when that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig=KILL", env!("CARGO_BIN_EXE_claude-gateway-operator")])
            .envs(install.environment())
            .args(["--health-address", &health.to_string(), "--metrics-address", &metrics.to_string()])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig.path())
            .env("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")
            .env("GATEWAY_IMAGE", "registry.example.com/claude-gateway:1.0.0")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, health, metrics }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// At once, so that nothing of it can tidy up.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.expect("it ends").unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) async fn probe(&self, path: &str) -> u16 {
        let client = Client::new(&format!("http://{}", self.health)).unwrap();
        client.get(path).send().await.map_or(0, |answer| answer.status)
    }

    pub(crate) async fn metrics(&self) -> String {
        let client = Client::new(&format!("http://{}", self.metrics)).unwrap();
        client.get("/metrics").send().await.unwrap().text().await.unwrap()
    }

    /// The value of a series, named as a scrape shows it.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics().await;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

pub(super) async fn check(namespace: &str, kubeconfig: &Kubeconfig, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_claude-gateway-operator"))
        .args(["check", "--watch-namespaces", namespace])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig.path())
        .env("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")
        .output()
        .await
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}
