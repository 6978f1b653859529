//! D4 and D5: what our pods are allowed, and what their processes can really do.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Result;
use e2e::{
    cast::{
        client::Client,
        load::{begin_stream, to_the_last_byte},
        provider::Shape,
    },
    cluster::{Asked, HEAD, Kubectl, Outbound, Pod, sample::NAMESPACE, surroundings::SYSTEM},
};
use rustix::fs::{StatVfsMountFlags, statvfs};
use tokio::task::JoinSet;

use crate::{
    certificates::direct_gateway,
    stage::{HOST, REPLICAS, Stage, turn},
};

const USER: u32 = 65532;
/// More streams of a pod than it keeps connections from what was before, so that it makes some.
const AT_ONCE: usize = 64;
const JOURNAL: &str = "/var/lib/claude-gateway";
/// Every container has these of its runtime: in memory, 64 MiB at most, and nothing there can be executed.
const OF_THE_RUNTIME: [&str; 2] = ["/dev/mqueue", "/dev/shm"];

/// The namespaces admit nothing else, and said so to a root's pod in `cluster_box`.
#[tokio::test]
async fn d4_all_pods_are_admitted_where_only_restricted_ones_are() {
    let Some(turn) = turn("d4_all_pods_are_admitted_where_only_restricted_ones_are").await else { return };
    let kubectl = turn.stage.kubectl();
    for (namespace, count) in [(SYSTEM, 1), (NAMESPACE, REPLICAS)] {
        let object = kubectl.get(&format!("namespace {namespace}")).await.unwrap();
        assert_eq!(object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        let pods = kubectl.get(&format!("pods -n {namespace}")).await.unwrap();
        let pods = pods["items"].as_array().unwrap();
        assert!(pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count() >= count, "{namespace}");
        for pod in pods {
            let volumes = pod["spec"]["volumes"].as_array().unwrap();
            let unbounded = volumes.iter().filter(|volume| !volume["emptyDir"].is_null());
            assert_eq!(unbounded.filter(|volume| volume["emptyDir"]["sizeLimit"].is_null()).count(), 0, "{pod}");
        }
    }
    // Dry: the same pods would be admitted again, and the server has no warning either.
    let warn = format!(
        "label --dry-run=server --overwrite namespace {NAMESPACE} {SYSTEM} pod-security.kubernetes.io/enforce=restricted"
    );
    let said = kubectl.run(&warn).await.unwrap();
    assert!(!said.contains("violate"), "{said}");
}

#[tokio::test]
async fn d5_a_container_has_a_read_only_root_no_right_and_no_place_to_write_but_its_own() {
    let test = "d5_a_container_has_a_read_only_root_no_right_and_no_place_to_write_but_its_own";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    for pod in stage.pods().await {
        let process = pod.process().unwrap();
        is_restricted(process);
        assert_eq!(
            writable(process),
            [&OF_THE_RUNTIME[..], &["/tmp", JOURNAL]].concat().into_iter().map(PathBuf::from).collect()
        );
        assert!(!root(process).join("var/run/secrets").exists(), "a gateway's pod needs no token of the API server");
        assert_eq!(programs(process), ["claude-gateway"]);
    }
    for pod in operators(stage.kubectl()).await {
        let process = pod.process().unwrap();
        is_restricted(process);
        assert_eq!(
            writable(process),
            [&OF_THE_RUNTIME[..], &["/tmp"]].concat().into_iter().map(PathBuf::from).collect()
        );
        assert_eq!(programs(process), ["claude-gateway-operator"]);
    }
}

/// Everything that a pod asks for here is at the head.
#[tokio::test]
async fn d5_a_gateways_pods_turn_to_nobody_but_those_whom_its_object_names() {
    let test = "d5_a_gateways_pods_turn_to_nobody_but_those_whom_its_object_names";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let watched: Vec<_> = stage.pods().await.iter().map(|pod| Outbound::watch(pod).unwrap()).collect();
    assert_eq!(watched.len(), REPLICAS);
    stage.surroundings.sign_in(HOST, "bob").await.unwrap();
    let clients = stage.clients_of_pods().await;
    let streams: JoinSet<Result<()>> =
        clients.iter().flat_map(|client| (0..AT_ONCE).map(|_| stream(client.clone()))).collect();
    let ends: Result<()> = streams.join_all().await.into_iter().collect();
    if let Err(error) = ends {
        panic!("{error}, and pods warn:\n{}", stage.warnings().await);
    }

    let model = at_head("tcp", stage.surroundings.model.address().port());
    let mut named = named_by_gateways(stage);
    named.insert(model.clone());
    watched.iter().for_each(|pod| turned_to(pod, &model, &named));
}

/// A gateway that is new to it has it make connections.
#[tokio::test]
async fn d5_an_operators_pod_turns_to_nobody_but_the_api_server_and_those_whom_gateways_name() {
    let test = "d5_an_operators_pod_turns_to_nobody_but_the_api_server_and_those_whom_gateways_name";
    let Some(turn) = turn(test).await else { return };
    let (stage, kubectl) = (turn.stage, turn.stage.kubectl());
    let watched: Vec<_> = operators(kubectl).await.iter().map(|pod| Outbound::watch(pod).unwrap()).collect();
    direct_gateway(stage, "outbound").await.unwrap();
    let store = at_head("tcp", stage.surroundings.store.port());
    let service = kubectl.get("service kubernetes -n default").await.unwrap();
    let mut named = named_by_gateways(stage);
    named.insert((service["spec"]["clusterIP"].as_str().unwrap().to_owned(), "tcp".to_owned(), 443));
    watched.iter().for_each(|pod| turned_to(pod, &store, &named));
    kubectl.run("delete namespace outbound --wait=false").await.unwrap();
}

fn at_head(protocol: &str, port: u16) -> Asked {
    (HEAD.to_string(), protocol.to_owned(), port)
}

/// Postgres, the identity provider, and who knows their names.
fn named_by_gateways(stage: &Stage) -> BTreeSet<Asked> {
    let store = at_head("tcp", stage.surroundings.store.port());
    BTreeSet::from([store, at_head("tcp", 443), at_head("udp", 53), at_head("tcp", 53)])
}

/// To nobody but these, among them one to whom it surely did.
fn turned_to(pod: &Outbound, one: &Asked, named: &BTreeSet<Asked>) {
    let asked = pod.asked().unwrap();
    assert!(asked.contains(one), "this sees nothing: {asked:?}");
    assert_eq!(asked.difference(named).collect::<Vec<_>>(), Vec::<&Asked>::new());
    assert_eq!(pod.otherwise().unwrap(), 0);
}

async fn stream(client: Client) -> Result<()> {
    const SHAPE: Shape = Shape::Stream { deltas: 8, every_ms: 250 };
    to_the_last_byte(begin_stream(&client, SHAPE).await?, SHAPE).await
}

/// The operator's, in its own namespace.
async fn operators(kubectl: &Kubectl) -> Vec<Pod> {
    let pods = kubectl.get(&format!("pods -n {SYSTEM} -l app.kubernetes.io/component=operator")).await.unwrap();
    let pods: Vec<_> = pods["items"].as_array().unwrap().iter().map(Pod::read).collect();
    assert!(!pods.is_empty());
    pods
}

fn root(process: i32) -> PathBuf {
    format!("/proc/{process}/root").into()
}

/// As the kernel has it.
fn is_restricted(process: i32) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let everywhere = [USER; 4].map(|id| id.to_string()).join(" ");
    assert_eq!([value("Uid"), value("Gid")], [everywhere.clone(), everywhere]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&value(set), 16).unwrap(), 0, "{set}");
    }
    assert_eq!((value("NoNewPrivs"), value("Seccomp")), ("1".to_owned(), "2".to_owned()));
}

/// Every directory that its mount and its mode let the process write to.
fn writable(process: i32) -> BTreeSet<PathBuf> {
    let root = root(process);
    let mut found = BTreeSet::new();
    let mut ahead = vec![root.clone()];
    while let Some(place) = ahead.pop() {
        let data = fs::symlink_metadata(&place).unwrap();
        if lets_write(&data) && !statvfs(&place).unwrap().f_flag.contains(StatVfsMountFlags::RDONLY) {
            found.insert(Path::new("/").join(place.strip_prefix(&root).unwrap()));
        }
        // The kernel's own are no places to keep anything.
        let below = fs::read_dir(&place).unwrap().flatten().map(|entry| entry.path());
        let below = below.filter(|path| path.is_dir() && !path.is_symlink());
        ahead.extend(below.filter(|path| ![root.join("proc"), root.join("sys")].contains(path)));
    }
    found
}

fn lets_write(data: &fs::Metadata) -> bool {
    let by = match (data.uid() == USER, data.gid() == USER) {
        (true, _) => 0o200,
        (false, true) => 0o020,
        (false, false) => 0o002,
    };
    data.permissions().mode() & by != 0
}

/// What could be executed at the root: there is no shell, and no loader for one.
fn programs(process: i32) -> Vec<String> {
    let files = fs::read_dir(root(process)).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|file| file.file_name().into_string().unwrap()).collect()
}
