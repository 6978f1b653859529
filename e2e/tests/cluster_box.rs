//! A Kubernetes in a box is one: nodes that are Ready, our own image in a real container, Services, names, an Ingress with TLS;
//! and it leaves no trace.

#![expect(clippy::unwrap_used, reason = "a cluster that does not stand fails its test")]

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use e2e::{
    cast::{
        client::Client,
        gateway::CLIENT_SECRET,
        holder::Holder,
        node::CertifiedProvider,
        patience::{eventually, eventually_within},
        postgres::Postgres,
        provider::{API_KEY, Provider},
    },
    cluster::{Cluster, Front, HEAD},
};
use serde_json::{Value, json};

/// A machine that compiles besides is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says which test passes over, and why.
macro_rules! on_a_machine_that_can {
    ($test:literal) => {
        if let Err(why) = Cluster::obstacle() {
            println!("{} is not tried here: {why}", $test);
            return;
        }
    };
}

fn image() -> (String, PathBuf) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/images/claude-gateway.tar");
    assert!(archive.exists(), "no {}: run `make image` first", archive.display());
    (format!("claude-gateway:{}", env!("CARGO_PKG_VERSION")), archive)
}

/// What a cluster could leave behind: processes and mounts that name its home, its control groups, its files.
fn traces(home: &Path) -> BTreeSet<String> {
    let name = home.file_name().unwrap().to_str().unwrap();
    let mut traces = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if arguments.windows(name.len()).any(|window| window == name.as_bytes()) {
            traces.insert(String::from_utf8_lossy(&arguments).replace('\0', " "));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    traces.extend(mounts.lines().filter(|line| line.contains(name)).map(str::to_owned));
    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let groups = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).map(|hierarchy| hierarchy.join(name));
    traces.extend(groups.chain([home.to_owned()]).filter(|path| path.exists()).map(|path| path.display().to_string()));
    traces
}

/// What the whole machine has, and no cluster may change.
fn machine() -> Vec<String> {
    let settings =
        ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"];
    let settings = settings.map(|setting| fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap_or_default());
    let links = fs::read_dir("/sys/class/net").unwrap().flatten().map(|link| link.file_name().into_string().unwrap());
    let places =
        ["/run/containerd", "/run/netns", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods"];
    let places = places.into_iter().filter(|place| Path::new(place).exists()).map(str::to_owned);
    settings.into_iter().chain(links.collect::<BTreeSet<_>>()).chain(places).collect()
}

/// As restricted namespaces want it, and with nothing to write to.
fn restricted(image: &str, arguments: &[&str]) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "gateway", "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments,
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
        }],
    })
}

#[tokio::test]
async fn two_nodes_run_the_gateways_own_image_behind_a_service_and_an_ingress() {
    on_a_machine_that_can!("two_nodes_run_the_gateways_own_image_behind_a_service_and_an_ingress");
    let before = machine();
    let (name, archive) = image();
    let cluster = Cluster::start(2, &[archive]).await.unwrap();
    let _visit = cluster.visit().unwrap();
    let kubectl = cluster.plane().kubectl();
    assert_eq!(cluster.nodes().iter().map(|node| node.name()).collect::<Vec<_>>(), ["node1", "node2"]);

    kubectl.run("create namespace gateways").await.unwrap();
    let restrict = "label namespace gateways pod-security.kubernetes.io/enforce=restricted";
    kubectl.run(restrict).await.unwrap();
    its_version_is_printed(&cluster, &name).await;
    a_service_answers_from_both_nodes(&cluster, &name).await;
    its_api_server_can_be_hurt(&cluster).await;

    let home = cluster.home().to_owned();
    assert!(traces(&home).len() > 10);
    drop(_visit);
    drop(cluster);
    assert_eq!(traces(&home), BTreeSet::new());
    assert_eq!(machine(), before);
}

async fn its_version_is_printed(cluster: &Cluster, image: &str) {
    let kubectl = cluster.plane().kubectl();
    let mut spec = restricted(image, &["--version"]);
    spec["restartPolicy"] = json!("Never");
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "once", "namespace": "gateways"}, "spec": spec});
    // The namespace's ServiceAccount comes a moment after it.
    eventually("the pod is admitted", async || kubectl.apply(&pod.to_string()).await.is_ok()).await;
    eventually_within(PATIENCE, "the pod has ended", async || {
        let pod = kubectl.get("pod once -n gateways").await.unwrap();
        assert_ne!(pod["status"]["phase"], "Failed", "{}", pod["status"]);
        pod["status"]["phase"] == "Succeeded"
    })
    .await;
    let said = kubectl.run("logs once -n gateways").await.unwrap();
    assert_eq!(said.trim(), format!("gateway {}", env!("CARGO_PKG_VERSION")));
    // The namespace does restrict: as root, the same pod is refused.
    let mut root = pod.clone();
    root["metadata"]["name"] = json!("root");
    root["spec"]["securityContext"] = json!({"runAsUser": 0});
    let refused = kubectl.apply(&root.to_string()).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}

/// Everything a gateway needs at the head, and two of it in pods.
async fn a_service_answers_from_both_nodes(cluster: &Cluster, image: &str) {
    let kubectl = cluster.plane().kubectl();
    let front = Front::start(cluster).await.unwrap();
    let identity = CertifiedProvider::published_as("https://identity.test", &["https://gateway.test/oauth/callback"]);
    let identity = identity.await.unwrap();
    front.publish("identity.test", identity.server()).await.unwrap();
    let store = Postgres::at(HEAD).await.unwrap();
    let database = store.database().await.unwrap().replace("127.0.0.1", &HEAD.to_string());
    let model = Provider::builder().at((HEAD, 0).into()).start().unwrap();

    let file = json!({
        "listen": {"host": "0.0.0.0", "port": 8080, "public_url": "https://gateway.test", "trusted_proxies": ["10.99.0.0/24"]},
        "oidc": {
            "issuer": identity.issuer(), "client_id": "basic", "client_secret": CLIENT_SECRET,
            "ca_cert_pem": front.authority_pem(), "extra_auth_params": {"prompt": "consent"},
        },
        "session": {"jwt_secret": "a secret of the cast, and of nobody else: 0123456789"},
        "store": {"postgres_url": database},
        "upstreams": [{"name": "one", "provider": "anthropic", "base_url": model.url(), "auth": {"api_key": API_KEY}}],
    });
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": "gateways"},
         "stringData": {"gateway.yaml": file.to_string()}},
        deployment(image),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "gateways"},
         "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "gateways"},
         "spec": {"rules": [{"host": "gateway.test", "http": {"paths": [
             {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"name": "http"}}}}]}}]}},
    ]});
    kubectl.apply(&objects.to_string()).await.unwrap();
    let rolled_out = kubectl.run("rollout status deployment/web -n gateways --timeout=120s").await;
    if let Err(error) = rolled_out {
        let said = kubectl.run("logs -n gateways --selector=app=web --tail=20").await;
        panic!("{error:#}: {said:?}\n{}", kubectl.run("describe pods -n gateways").await.unwrap());
    }
    let pods = kubectl.get("pods -n gateways --selector=app=web").await.unwrap();
    let on = pods["items"].as_array().unwrap().iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap());
    assert_eq!(on.collect::<BTreeSet<_>>().len(), 2);

    let service = kubectl.get("service web -n gateways").await.unwrap();
    let address = format!("{}:80", service["spec"]["clusterIP"].as_str().unwrap());
    let by_service = Client::at("http://web", address.parse::<SocketAddr>().unwrap()).unwrap();
    eventually("the Service answers", async || {
        by_service.get("/readyz").send().await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    let named = cluster.command("getent").args(["hosts", "web.gateways.svc.cluster.local"]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&named.stdout).starts_with(address.trim_end_matches(":80")), "{named:?}");

    front.follow().await.unwrap();
    let by_name = front.client("gateway.test").unwrap();
    let started = by_name.post("/oauth/device_authorization").form(&[("surface", "claude_code")]).send().await.unwrap();
    let started: Value = started.json().await.unwrap();
    let page = started["verification_uri_complete"].as_str().unwrap();
    assert!(page.starts_with("https://gateway.test/"), "{started}");
    let served = kubectl.get("ingress web -n gateways").await.unwrap();
    assert_eq!(served["status"]["loadBalancer"]["ingress"][0]["ip"], HEAD.to_string());
}

async fn its_api_server_can_be_hurt(cluster: &Cluster) {
    let (plane, client) = (cluster.plane(), cluster.plane().client().unwrap());
    let answers = async || {
        let answer = tokio::time::timeout(Duration::from_millis(500), client.get("/livez").send()).await;
        matches!(answer, Ok(Ok(answer)) if answer.status == 200)
    };
    eventually("it answers", answers).await;
    plane.api_server().freeze().unwrap();
    assert!(!answers().await);
    plane.api_server().thaw().unwrap();
    eventually("it answers again", answers).await;
    // Frozen, so that whoever waits for its end is asleep, too.
    plane.api_server().freeze().unwrap();
    plane.api_server().kill().unwrap();
    assert!(!answers().await && plane.api_server().pid().is_none());
    plane.api_server().start_again().unwrap();
    plane.until_served().await.unwrap();
    assert!(!plane.kubectl().get("deployment web -n gateways").await.unwrap().is_null());
}

fn deployment(image: &str) -> Value {
    let mut spec = restricted(image, &["--config", "/etc/gateway/gateway.yaml"]);
    spec["volumes"] = json!([{"name": "file", "secret": {"secretName": "web"}}, {"name": "tmp", "emptyDir": {}}]);
    let container = &mut spec["containers"][0];
    container["volumeMounts"] =
        json!([{"name": "file", "mountPath": "/etc/gateway"}, {"name": "tmp", "mountPath": "/tmp"}]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1});
    // One on each node.
    spec["topologySpreadConstraints"] = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "gateways"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
        },
    })
}

#[tokio::test]
async fn nothing_is_left_when_its_holder_is_killed() {
    on_a_machine_that_can!("nothing_is_left_when_its_holder_is_killed");
    let mut holder = Holder::start("a_holder_for_another_test").await.unwrap();
    let home = holder.home().to_owned();
    assert!(traces(&home).len() > 10);
    holder.kill().unwrap();
    eventually("nothing is left", async || traces(&home).is_empty()).await;
}

#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn a_holder_for_another_test() {
    let cluster = Cluster::start(1, &[]).await.unwrap();
    Holder::hold(cluster.home()).await.unwrap();
}
