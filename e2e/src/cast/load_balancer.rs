//! A load balancer as platform teams run it (Debian's haproxy): it asks each pod's `/readyz` and keeps its connections to them.
//!
//! Invariant: nothing is retried and nobody is asked in another's place, so what a client sees is what a pod did.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::{client::Client, ports::free_address};

const PATIENCE: Duration = Duration::from_secs(30);

/// Gone when dropped.
pub struct LoadBalancer {
    url: String,
    statistics: Client,
    _child: Child,
    _home: TempDir,
}

/// What it has counted of all pods together.
#[derive(Debug)]
pub struct Counts {
    /// Requests that went over a connection which had served another before.
    pub reused: u64,
    /// Answers of a status of 500 and more, its own among them.
    pub failed: u64,
}

impl LoadBalancer {
    /// At an address that the pods' public URL names.
    pub async fn start(address: SocketAddr, pods: &[u16]) -> Result<Self> {
        let statistics = free_address()?;
        let home = tempfile::Builder::new().prefix("cast-haproxy-").tempdir()?;
        let file = home.path().join("haproxy.cfg");
        std::fs::write(&file, configuration(address, statistics, pods))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "/usr/sbin/haproxy", "-db", "-q", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("haproxy")?;
        let url = format!("http://localhost:{}", address.port());
        let statistics = Client::new(&format!("http://{statistics}"))?;
        let mut balancer = Self { url, statistics, _child: child, _home: home };
        balancer.until_it_serves().await?;
        Ok(balancer)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it has noticed that the pod takes requests, or takes none.
    pub async fn until_noticed(&self, pod: usize, ready: bool) -> Result<()> {
        let (name, wanted, since) = (name(pod), if ready { "UP" } else { "DOWN" }, Instant::now());
        loop {
            let rows = self.rows().await?;
            let row = rows.iter().find(|row| row.server == name).context("a row for each pod")?;
            // While it changes its mind it says so: `UP 1/2`.
            if row.status == wanted {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "{name} is still {}", row.status);
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn counts(&self) -> Result<Counts> {
        let rows = self.rows().await?;
        let all = rows.iter().find(|row| row.server == "BACKEND").context("a row for all pods")?;
        Ok(Counts { reused: all.reused, failed: all.failed })
    }

    async fn until_it_serves(&mut self) -> Result<()> {
        let since = Instant::now();
        while self.rows().await.is_err() {
            if self._child.try_wait()?.is_some() || since.elapsed() > PATIENCE {
                bail!("haproxy does not serve");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn rows(&self) -> Result<Vec<Row>> {
        let text = self.statistics.get("/;csv").send().await?.text().await?;
        let mut lines = text.lines();
        let columns: Vec<&str> = lines.next().context("a head")?.trim_start_matches("# ").split(',').collect();
        let rows = lines.filter(|line| line.starts_with("pods,"));
        rows.map(|line| Row::read(&columns, &line.split(',').collect::<Vec<_>>())).collect()
    }
}

struct Row {
    server: String,
    status: String,
    reused: u64,
    failed: u64,
}

impl Row {
    fn read(columns: &[&str], values: &[&str]) -> Result<Self> {
        let value = |name: &str| {
            let place =
                columns.iter().position(|column| *column == name).with_context(|| format!("no column {name}"))?;
            values.get(place).copied().with_context(|| format!("no value of {name}"))
        };
        Ok(Self {
            server: value("svname")?.to_owned(),
            status: value("status")?.to_owned(),
            reused: value("reuse")?.parse()?,
            failed: value("hrsp_5xx")?.parse()?,
        })
    }
}

fn name(pod: usize) -> String {
    format!("pod-{pod}")
}

/// Every connection to a pod is used again for whoever comes next: the harder case for a pod that goes away.
fn configuration(address: SocketAddr, statistics: SocketAddr, pods: &[u16]) -> String {
    let servers = pods.iter().enumerate().map(|(pod, port)| format!("    server {} 127.0.0.1:{port}\n", name(pod)));
    format!(
        "global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout check 5s
    timeout client 10m
    timeout server 10m
    option forwardfor
    retries 0
frontend clients
    bind {address}
    default_backend pods
backend pods
    balance roundrobin
    http-reuse always
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 250ms fall 1 rise 1
{}frontend statistics
    bind {statistics}
    stats enable
    stats uri /
",
        servers.collect::<String>()
    )
}
