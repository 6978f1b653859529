//! etcd, where a control plane keeps everything.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::Site;
use crate::{cast::client::Client, cluster::daemon::Daemon};

pub(super) struct Store {
    pub(super) daemon: Daemon,
    /// etcd's JSON gateway.
    client: Client,
    data: PathBuf,
}

impl Store {
    pub(super) fn start(site: &Site, home: &Path) -> Result<Self> {
        let [clients, peers] = site.store.map(|address| format!("http://{address}"));
        let data = home.join("etcd");
        let options = [
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            // Nothing here need outlive a power cut.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        let daemon = Daemon::start(site.recipe("etcd", options.into(), home))?;
        Ok(Self { daemon, client: Client::new(&clients)?, data })
    }

    pub(super) async fn compact(&self) -> Result<()> {
        let newest = self.ask("/v3/kv/range", &json!({"key": STANDARD.encode("/")})).await?;
        let revision = newest["header"]["revision"].as_str().context("a revision")?.to_owned();
        self.ask("/v3/kv/compaction", &json!({"revision": revision, "physical": true})).await?;
        Ok(())
    }

    /// Its data as they are, while it does not run.
    pub(super) fn copy(&self) -> Result<PathBuf> {
        let copy = self.data.with_extension("copy");
        copied(&self.data, &copy)?;
        Ok(copy)
    }

    /// While it does not run.
    pub(super) fn put_back(&self, copy: &Path) -> Result<()> {
        copied(copy, &self.data)
    }

    async fn ask(&self, path: &str, question: &Value) -> Result<Value> {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.client.post(path).json(question).send()).await;
        let answer = answer.context("etcd is silent")??;
        let status = answer.status;
        let body: Value = answer.json().await?;
        ensure!(status == 200, "etcd, asked {path}: {body}");
        Ok(body)
    }
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let status = Command::new("cp").arg("-a").args([from, to]).status()?;
    ensure!(status.success(), "copying {}: {status}", from.display());
    Ok(())
}
