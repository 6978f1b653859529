//! The whole of it: a control plane and nodes in namespaces of their own, and a head that tests come to.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell, time::sleep};

use super::{
    cgroup,
    daemon::{Daemon, Recipe},
    ground::Ground,
    image::Image,
    kubeconfig::Kubeconfig,
    namespaces::{HEAD, Namespaces, Visit, name_servers, obstacle},
    node::{Membership, Node, PAUSE, proxy_options},
    plane::{Plane, Site},
    programs::Programs,
};
use crate::cast::leash::Leash;

/// A machine that compiles besides is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Kubernetes in a box. Declared in the order in which its parts must go.
pub struct Cluster {
    nodes: Vec<Node>,
    _proxy: Daemon,
    _scheduler: Daemon,
    _names: Daemon,
    plane: Plane,
    namespaces: Namespaces,
    programs: Programs,
    home: PathBuf,
    _kept: (Leash, TempDir),
}

impl Cluster {
    /// Why this machine cannot have one, for a test that then says so and passes over.
    pub fn obstacle() -> Result<(), &'static str> {
        obstacle()
    }

    /// With so many nodes, all of which have the images of these archives.
    pub async fn start(nodes: usize, images: &[PathBuf]) -> Result<Self> {
        if let Err(why) = obstacle() {
            bail!("no cluster here: {why}");
        }
        let programs = Programs::for_cluster().await?;
        let kept = tempfile::Builder::new().prefix("cluster-").tempdir()?;
        let home = kept.path().to_owned();
        let group = home.file_name().and_then(|name| name.to_str()).context("a home's name")?.to_owned();
        let leash =
            Leash::new(&format!("{}\n{REMOVE_HOME}", cgroup::REMOVE), [group.as_str(), &home.to_string_lossy()])?;
        let namespaces = Namespaces::start(&programs, &home, nodes)?;
        let site = site(&programs, namespaces.holder(), nodes);
        // Our own clients must be in its network, too, while they wait for it.
        let visit = namespaces.visit()?;
        let plane = Plane::start_at(site.clone(), &home, None).await?;
        plane
            .kubectl()
            .run("create clusterrolebinding kube-proxy --clusterrole system:node-proxier --user system:kube-proxy")
            .await?;
        let scheduler = Daemon::start(site.recipe("kube-scheduler", scheduler_options(&home), &home))?;
        let proxy = Daemon::start(site.recipe("kube-proxy", head_proxy_options(&home), &home))?;
        std::fs::write(home.join("Corefile"), names_file(&home))?;
        let corefile = home.join("Corefile").display().to_string();
        let names = Daemon::start(site.recipe("coredns", vec!["-conf".to_owned(), corefile], &home))?;
        let mut cluster = Self {
            nodes: Vec::new(),
            _proxy: proxy,
            _scheduler: scheduler,
            _names: names,
            plane,
            namespaces,
            programs,
            home,
            _kept: (leash, kept),
        };
        cluster.join(nodes, &group, images).await?;
        drop(visit);
        Ok(cluster)
    }

    /// One of two nodes for all tests of a process, each of which takes a namespace of its own, or its turn.
    pub async fn shared(images: &[PathBuf]) -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(2, images)).await
    }

    async fn join(&mut self, nodes: usize, group: &str, images: &[PathBuf]) -> Result<()> {
        let pause = self.home.join("pause.tar");
        std::fs::write(&pause, Image::of_program(PAUSE, &self.programs.path("pause"))?.archive()?)?;
        let holder = self.namespaces.holder();
        let membership = Membership { cluster: &self.home, programs: &self.programs, holder, group };
        for number in 1..=nodes {
            let node = Node::start(&membership, number).await?;
            node.load(&pause).await?;
            for image in images {
                node.load(image).await?;
            }
            node.join()?;
            self.nodes.push(node);
        }
        for node in &self.nodes {
            self.until_ready(node).await?;
        }
        Ok(())
    }

    async fn until_ready(&self, node: &Node) -> Result<()> {
        let since = Instant::now();
        loop {
            node.kubelet().ensure_running()?;
            let seen = self.plane.kubectl().get(&format!("node {}", node.name())).await?;
            let conditions = seen["status"]["conditions"].as_array().into_iter().flatten();
            if conditions.clone().any(|condition| condition["type"] == "Ready" && condition["status"] == "True") {
                return Ok(());
            }
            let conditions: Vec<_> = conditions.collect();
            ensure!(since.elapsed() < PATIENCE, "{} is not ready: {}", node.name(), json!(conditions));
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Its API, and who may use it.
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Brings the calling thread to the head: pods and Services can be reached by their addresses, and what is started from
    /// there can be reached by pods. A test's runtime must be of one thread, as `#[tokio::test]`'s is.
    pub fn visit(&self) -> Result<Visit> {
        self.namespaces.visit()
    }

    /// A program at the head. Whoever is there knows the cluster's names, `<service>.<namespace>.svc.cluster.local`, and
    /// whatever ends in `.test`, which is the head itself. It ends with us.
    pub fn command(&self, program: &str) -> Command {
        let ground = Ground::Network(self.namespaces.holder());
        let mut command = Command::from(ground.command(&self.programs, program, &self.home));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Helm, as the administrator. What it prints.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.helm_as(self.plane.admin(), arguments).await
    }

    pub async fn helm_as(&self, user: &Kubeconfig, arguments: &[&str]) -> Result<String> {
        let helm = Programs::for_charts().await?.path("helm").display().to_string();
        let mut command = self.command(&helm);
        let output = command.arg("--kubeconfig").arg(user.path()).args(arguments).output().await.context("helm")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {}: {}", arguments.join(" "), complaint.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A server at the head, which ends with the cluster even if its parent is killed.
    pub(super) fn recipe(&self, program: &str, arguments: Vec<String>, home: &Path) -> Recipe {
        Recipe {
            ground: Ground::Inside(self.namespaces.holder()),
            programs: self.programs.clone(),
            program: program.to_owned(),
            arguments,
            home: home.to_owned(),
            log: "daemon".to_owned(),
        }
    }

    /// The process by which a person enters: `nsenter --target <it> --mount --net --pid`.
    pub fn holder(&self) -> i32 {
        self.namespaces.holder()
    }

    /// Where its programs are.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Its files and logs; gone with it.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

/// Those who write there may take a moment to die.
const REMOVE_HOME: &str = r#"
    tries=0
    until rm -rf -- "$2" 2>/dev/null || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
"#;

fn site(programs: &Programs, holder: i32, nodes: usize) -> Site {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Site {
        ground: Ground::Inside(holder),
        visitors: Ground::Network(holder),
        programs: programs.clone(),
        address: SocketAddr::from((HEAD, 6443)),
        store: [loopback(2379), loopback(2380)],
        options: Vec::new(),
        nodes,
    }
}

fn scheduler_options(home: &Path) -> Vec<String> {
    let kubeconfig = home.join("scheduler.kubeconfig");
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]
}

/// Under the name of a node, because it must be somebody's; its own ports are the head's.
fn head_proxy_options(home: &Path) -> Vec<String> {
    let mut options = proxy_options(home, "node1");
    options.extend(
        ["--healthz-bind-address=127.0.0.1:10266", "--metrics-bind-address=127.0.0.1:10267"].map(str::to_owned),
    );
    options
}

fn names_file(home: &Path) -> String {
    let kubeconfig = home.join("names.kubeconfig");
    let own = [HEAD, Ipv4Addr::LOCALHOST].map(IpAddr::V4).into_iter();
    let addresses: Vec<String> = own.chain(name_servers()).map(|address| address.to_string()).collect();
    let bind = format!("bind {}", addresses.join(" "));
    format!(
        "cluster.local in-addr.arpa {{
    {bind}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {}
        ttl 1
    }}
    errors
}}
test {{
    {bind}
    template IN A {{
        answer \"{{{{ .Name }}}} 1 IN A {HEAD}\"
    }}
    template IN AAAA {{
        rcode NOERROR
    }}
}}
",
        kubeconfig.display()
    )
}
