//! The programs that Kubernetes is made of, built from Go modules outside the tree (`tools/cluster-programs`).

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

const PLANE: &[&str] = &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];

const NODES: &[&str] = &[
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "bridge",
    "host-local",
    "loopback",
    "portmap",
    "pause",
    "coredns",
];

/// The folder they are in.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// What a control plane needs. Built first where they are missing, which takes minutes and happens once.
    pub async fn for_plane() -> Result<Self> {
        Self::built(PLANE).await
    }

    /// What a cluster needs, with its nodes.
    pub async fn for_cluster() -> Result<Self> {
        Self::built(&[PLANE, NODES].concat()).await
    }

    pub async fn for_charts() -> Result<Self> {
        Self::built(&["helm"]).await
    }

    /// What says of objects how far they are, as Helm and Flux do.
    pub async fn for_verdicts() -> Result<Self> {
        Self::built(&["kstatus"]).await
    }

    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    async fn built(which: &[&str]) -> Result<Self> {
        Ok(Self(folder_of("cluster-programs", which).await?))
    }
}

/// What one of the scripts in `tools` prints: where that is which it makes or fetches.
pub(super) async fn folder_of(script: &str, arguments: &[&str]) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools").join(script);
    let mut command = Command::new(&script);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("running {}", script.display()))?;
    ensure!(output.status.success(), "{}: {}", script.display(), output.status);
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
