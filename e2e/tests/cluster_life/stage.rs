//! The cluster of all tests, with the operator and the sample's gateway in namespaces that admit restricted pods only.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::{
    cast::{client::Client, length::short_or_full, patience::eventually_within, provider::Persona, signin::Tokens},
    chart,
    cluster::{
        Cluster, Kubectl, Pod, Surroundings, Visit,
        sample::{self, GATEWAY, NAMESPACE, Sample, Values},
        surroundings::{SYSTEM, images},
    },
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) const HOST: &str = "gateway.test";
/// Of a gateway that ends TLS itself.
pub(crate) const DIRECT_HOST: &str = "direct.test";
pub(crate) const REPLICAS: usize = 3;

pub(crate) const GATEWAY_OBJECT: &str = "claudegateway/claude";

/// A machine that compiles besides is slow, and at full length a pod waits a minute for its streams.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(short_or_full(180, 600))
}

pub(crate) struct Stage {
    pub(crate) surroundings: Surroundings<'static>,
    pub(crate) policy: Value,
    tokens: OnceCell<Tokens>,
    turns: Mutex<()>,
}

/// One test's time with the cluster. Its thread is at the head.
pub(crate) struct Turn {
    pub(crate) stage: &'static Stage,
    _visit: Visit,
    _turn: MutexGuard<'static, ()>,
}

/// None where the machine can have no cluster; then it says which test passes over, and why.
pub(crate) async fn turn(test: &str) -> Option<Turn> {
    // Set once, whatever comes of it: a cluster that does not stand for one test will not for the next.
    static SHARED: OnceCell<Result<Stage, String>> = OnceCell::const_new();
    if let Err(why) = Cluster::obstacle() {
        println!("{test} is not tried here: {why}");
        return None;
    }
    let stage = SHARED.get_or_init(async || Stage::set().await.map_err(|error| format!("{error:#}"))).await;
    let stage = stage.as_ref().unwrap();
    let turn = stage.turns.lock().await;
    Some(Turn { stage, _visit: stage.surroundings.cluster.visit().unwrap(), _turn: turn })
}

impl Stage {
    async fn set() -> Result<Self> {
        let mut since = Instant::now();
        let mut step = |what: &str| println!("{what}: {:.1?}", std::mem::replace(&mut since, Instant::now()).elapsed());
        let cluster = Cluster::shared(&images()?).await?;
        let _visit = cluster.visit()?;
        step("a cluster of two nodes");
        let surroundings = Surroundings::start(cluster, Persona::Plain, &[HOST, DIRECT_HOST]).await?;
        step("what a company has beside it");
        let kubectl = cluster.plane().kubectl();
        for namespace in [SYSTEM, NAMESPACE] {
            kubectl.run(&format!("create namespace {namespace}")).await?;
            let restrict = "pod-security.kubernetes.io/enforce=restricted";
            kubectl.run(&format!("label namespace {namespace} {restrict}")).await?;
        }
        surroundings.install(&chart::folder()).await?;
        step("helm install --wait");
        let mut sample = Sample::with(&Values::of(&surroundings, HOST).await?)?;
        sample.object("ClaudeGateway")["spec"]["replicas"] = json!(REPLICAS);
        sample.apply(kubectl, NAMESPACE).await?;
        sample::until_ready(kubectl, NAMESPACE, GATEWAY).await?;
        step("kubectl apply and wait --for=condition=Ready");
        surroundings.front.follow().await?;
        Ok(Self {
            surroundings,
            policy: sample.object("UserPolicy").clone(),
            tokens: OnceCell::new(),
            turns: Mutex::new(()),
        })
    }

    pub(crate) fn kubectl(&self) -> &'static Kubectl {
        self.surroundings.cluster.plane().kubectl()
    }

    /// What the pods that run have warned of.
    pub(crate) async fn warnings(&self) -> String {
        let mut warnings = String::new();
        for pod in self.pods().await {
            let log = self.run(&format!("logs {}", pod.name)).await;
            let lines = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
            lines.for_each(|line| warnings.extend([pod.name.as_str(), ": ", line, "\n"]));
        }
        warnings
    }

    pub(crate) async fn run(&self, arguments: &str) -> String {
        self.kubectl().run(&format!("{arguments} -n {NAMESPACE}")).await.unwrap()
    }

    pub(crate) async fn get(&self, what: &str) -> Value {
        self.kubectl().get(&format!("{what} -n {NAMESPACE}")).await.unwrap()
    }

    pub(crate) async fn patch(&self, what: &str, patch: &Value) {
        let patch = patch.to_string();
        let arguments = ["patch", what, "-n", NAMESPACE, "--type", "merge", "--patch", &patch];
        self.kubectl().run_with(&arguments, "").await.unwrap();
    }

    /// An edited policy.
    pub(crate) async fn apply(&self, policy: &Value) {
        self.kubectl().apply_in(NAMESPACE, &policy.to_string()).await.unwrap();
    }

    /// Until every pod enforces the policy as it stands, and its status says so.
    pub(crate) async fn until_enforced(&self) {
        eventually_within(patience(), "the policy is enforced as it stands", async || {
            let object = self.get("userpolicy everyone").await;
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && self.verdict("userpolicy everyone", "Synced").await.0 == "True"
        })
        .await;
    }

    /// Alice's bearer.
    pub(crate) async fn bearer(&self) -> &str {
        let signed_in = self.tokens.get_or_try_init(async || self.surroundings.sign_in(HOST, "alice").await).await;
        &signed_in.unwrap().access_token
    }

    /// Alice, through the front.
    pub(crate) async fn client(&self) -> Client {
        self.surroundings.front.client(HOST).unwrap().with_bearer(self.bearer().await)
    }

    /// Alice, at each pod itself.
    pub(crate) async fn clients_of_pods(&self) -> Vec<Client> {
        let bearer = self.bearer().await;
        let pods = self.pods().await;
        pods.iter().map(|pod| pod.client(&format!("http://{HOST}")).unwrap().with_bearer(bearer)).collect()
    }

    /// The gateway's, those on their way out, too.
    pub(crate) async fn pods(&self) -> Vec<Pod> {
        Pod::all_of(self.kubectl(), NAMESPACE, GATEWAY).await.unwrap()
    }

    /// Until so many pods serve and no other is left.
    pub(crate) async fn until_pods(&self, count: usize) {
        eventually_within(patience(), &format!("{count} pods and no other"), async || {
            let deployment = self.get(&format!("deployment {GATEWAY}")).await;
            let status = |key: &str| deployment["status"][key].as_u64().unwrap_or_default() as usize;
            let observed = deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"];
            observed
                && [status("replicas"), status("updatedReplicas"), status("availableReplicas")] == [count; 3]
                && self.pods().await.len() == count
        })
        .await;
    }

    /// `(status, reason)` of an object's condition.
    pub(crate) async fn verdict(&self, what: &str, condition: &str) -> (String, String) {
        let object = self.get(what).await;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|found| found["type"] == condition).unwrap_or_default();
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    /// Until a condition of the gateway says so.
    pub(crate) async fn until(&self, condition: &str, status: &str, reason: &str) {
        let wanted = (status.to_owned(), reason.to_owned());
        eventually_within(patience(), &format!("{condition} is {status} ({reason})"), async || {
            self.verdict(GATEWAY_OBJECT, condition).await == wanted
        })
        .await;
    }
}
