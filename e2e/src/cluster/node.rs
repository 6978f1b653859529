//! A node: containerd, a kubelet and kube-proxy in a network of their own, as on a machine of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{process::Command, time::sleep};

use super::{
    cgroup,
    daemon::{Daemon, Recipe},
    ground::Ground,
    namespaces::{HEAD, node_address},
    programs::Programs,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// All pods of all nodes.
const PODS: &str = "10.97.0.0/16";

/// Declared in the order in which they must go.
pub struct Node {
    name: String,
    kubelet: Daemon,
    _proxy: Daemon,
    containerd: Daemon,
    ground: Ground,
    programs: Programs,
    home: PathBuf,
}

/// What a node is told of the cluster it joins.
pub(super) struct Membership<'a> {
    /// Where the cluster's own files are: the node's kubeconfig and the proxy's among them.
    pub(super) cluster: &'a Path,
    pub(super) programs: &'a Programs,
    pub(super) holder: i32,
    /// The control group of all nodes.
    pub(super) group: &'a str,
}

impl Node {
    /// Numbers begin at 1. The kubelet joins by [`join`](Self::join), so that images are there before its first pod.
    pub(super) async fn start(membership: &Membership<'_>, number: usize) -> Result<Self> {
        let name = format!("node{number}");
        let home = membership.cluster.join(&name);
        fs::create_dir_all(home.join("cni"))?;
        cgroup::make(membership.group, &name)?;
        let network = membership.cluster.join(format!("net{number}")).display().to_string();
        let ground = Ground::Node(membership.holder, network);
        let start = |program: &str, arguments: &[String]| {
            Daemon::start(Recipe {
                ground: ground.clone(),
                programs: membership.programs.clone(),
                program: membership.programs.path(program).display().to_string(),
                arguments: arguments.to_vec(),
                home: home.clone(),
                log: program.to_owned(),
            })
        };
        let proxy = start("kube-proxy", &proxy_options(membership.cluster, &name))?;
        fs::write(home.join("containerd.toml"), containerd_file(&home, membership.programs))?;
        fs::write(home.join("cni/10-pods.conflist"), network_file(&home, number).to_string())?;
        let containerd =
            start("containerd", &["--config".to_owned(), home.join("containerd.toml").display().to_string()])?;
        let group = format!("/{}/{name}", membership.group);
        fs::write(home.join("kubelet.json"), kubelet_file(&home, &group).to_string())?;
        fs::write(home.join("resolv.conf"), "")?;
        // Started when the images are there.
        let kubelet = Daemon::new(Recipe {
            ground: ground.clone(),
            programs: membership.programs.clone(),
            program: membership.programs.path("kubelet").display().to_string(),
            arguments: kubelet_options(membership.cluster, &home, number),
            home: home.clone(),
            log: "kubelet".to_owned(),
        });
        let programs = membership.programs.clone();
        let node = Self { name, kubelet, _proxy: proxy, containerd, ground, programs, home };
        node.until_containerd_answers().await?;
        Ok(node)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Killed, it is a node that is lost: its containers run on.
    pub fn kubelet(&self) -> &Daemon {
        &self.kubelet
    }

    pub fn containerd(&self) -> &Daemon {
        &self.containerd
    }

    pub(super) fn join(&self) -> Result<()> {
        self.kubelet.start_again()
    }

    /// An archive as `make image` writes it.
    pub async fn load(&self, archive: &Path) -> Result<()> {
        self.ctr(&["images", "import", &archive.display().to_string()]).await.map(drop)
    }

    /// A second name of an image that is here. Short names are Docker's, as a kubelet has it.
    pub async fn tag(&self, image: &str, also: &str) -> Result<()> {
        let whole = |name: &str| format!("docker.io/library/{name}");
        self.ctr(&["images", "tag", "--force", &whole(image), &whole(also)]).await.map(drop)
    }

    /// The images that pods can have here.
    pub async fn images(&self) -> Result<Vec<String>> {
        let list = self.ctr(&["images", "list", "--quiet"]).await?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    async fn until_containerd_answers(&self) -> Result<()> {
        let since = Instant::now();
        while self.ctr(&["version"]).await.is_err() {
            self.containerd.ensure_running()?;
            ensure!(since.elapsed() < PATIENCE, "containerd is silent:\n{}", self.containerd.log());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let socket = self.home.join("containerd.sock");
        let mut command = Command::from(self.ground.command(&self.programs, self.programs.path("ctr"), &self.home));
        command.arg("--address").arg(socket).args(["--namespace", "k8s.io"]).args(arguments);
        let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await.context("ctr")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctr {}: {complaint}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// For a node, and for the head, which reaches Services as a node does.
pub(super) fn proxy_options(cluster: &Path, name: &str) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", cluster.join("proxy.kubeconfig").display()),
        "--proxy-mode=nftables".to_owned(),
        format!("--cluster-cidr={PODS}"),
        format!("--hostname-override={name}"),
        // The whole machine's setting.
        "--conntrack-max-per-core=0".to_owned(),
    ]
}

fn kubelet_options(cluster: &Path, home: &Path, number: usize) -> Vec<String> {
    vec![
        format!("--config={}", home.join("kubelet.json").display()),
        format!("--kubeconfig={}", cluster.join(format!("node{number}.kubeconfig")).display()),
        format!("--hostname-override=node{number}"),
        format!("--node-ip={}", node_address(number)),
        format!("--root-dir={}", home.join("kubelet").display()),
        format!("--cert-dir={}", home.join("pki").display()),
    ]
}

fn kubelet_file(home: &Path, group: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "failSwapOn": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group,
        // Nobody but the cluster is in its network.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{}", home.join("containerd.sock").display()),
        "resolvConf": home.join("resolv.conf"),
        "clusterDNS": [HEAD],
        "clusterDomain": "cluster.local",
        // The machine's disk and memory are not the node's to judge.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%",
        },
        "localStorageCapacityIsolation": false,
        "volumePluginDir": home.join("volume-plugins"),
        "podLogsDir": home.join("pod-logs"),
        // A Secret that a pod has mounted is fresh within seconds, so that a test need not wait a minute for it.
        "syncFrequency": "5s",
    })
}

fn network_file(home: &Path, number: usize) -> Value {
    let addresses = json!({
        "type": "host-local",
        "ranges": [[{"subnet": format!("10.97.{number}.0/24")}]],
        "dataDir": home.join("addresses"),
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn containerd_file(home: &Path, programs: &Programs) -> String {
    let (home, bin) = (home.display(), programs.folder().display());
    format!(
        r#"version = 3
root = "{home}/containerd"
state = "{home}/containers"
[grpc]
address = "{home}/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
# A machine that lends itself rarely lets anybody lower a score.
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{bin}"]
conf_dir = "{home}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{bin}/runc"
"#
    )
}

/// The image that holds a pod's network.
pub(super) const PAUSE: &str = "localhost/pause:1";
