//! A namespace with an operator in it, and what a gateway needs.

mod install;
mod objects;
mod operator;

use std::time::{Duration, Instant};

use e2e::{
    cast::{
        openid::{Behaviour, OpenIdProvider},
        patience::{eventually, eventually_within},
        postgres::Postgres,
    },
    cluster::{Call, Kubectl, Mark, Plane},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) use self::{
    install::{ACCOUNT, Install, InstalledFor},
    objects::{becomes, list},
    operator::Operator,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// A gateway that something is awaited of is looked at each five seconds.
const AT_REST: Duration = Duration::from_secs(6);
/// For a single operator.
pub(crate) const ALONE: [&str; 2] = ["--leader-election", "false"];

pub(crate) struct Stage {
    pub(crate) plane: &'static Plane,
    pub(crate) namespace: String,
    pub(crate) kubectl: Kubectl,
    pub(crate) provider: OpenIdProvider,
    pub(crate) database_url: String,
    /// What the chart's rights are bound to.
    pub(crate) install: Install,
    /// D1: the API server refuses the operator nothing, in no test but those that take rights away.
    pub(crate) is_refused_nothing: bool,
    begun: Mark,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Stage {
    /// Without an operator.
    pub(crate) async fn empty() -> Self {
        match InstalledFor::chosen() {
            // Two of them on one control plane would each do the other's work.
            InstalledFor::Cluster => Self::alone().await,
            InstalledFor::Namespace | InstalledFor::Namespaces => Self::on(plane().await).await,
        }
    }

    /// Without an operator, on a control plane of its own, which may be hurt.
    pub(crate) async fn alone() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        static PLANE: OnceCell<Plane> = OnceCell::const_new();
        let turn = TURN.lock().await;
        let plane = PLANE.get_or_init(async || installed(strict().await).await).await;
        // Whatever others left would be taken for work.
        plane.kubectl().run("delete claudegateways,userpolicies --all --all-namespaces").await.unwrap();
        Self::within(plane, Some(turn)).await
    }

    /// Without an operator, on this control plane.
    pub(crate) async fn on(plane: &'static Plane) -> Self {
        Self::within(plane, None).await
    }

    async fn within(plane: &'static Plane, alone: Option<MutexGuard<'static, ()>>) -> Self {
        let begun = plane.mark();
        let namespace = plane.namespace().await.unwrap();
        let install = Install::chosen(plane, &namespace).await;
        install.bring(plane).await;
        let provider = OpenIdProvider::start(Behaviour::default()).await;
        let database_url = Postgres::shared().await.unwrap().database().await.unwrap();
        let kubectl = plane.kubectl().clone();
        let is_refused_nothing = true;
        Self { plane, namespace, kubectl, provider, database_url, install, is_refused_nothing, begun, _alone: alone }
    }

    /// With an operator, which needs no election.
    pub(crate) async fn set() -> (Self, Operator) {
        let stage = Self::empty().await;
        let operator = stage.operator(&ALONE).await;
        (stage, operator)
    }

    /// With a gateway whose objects are there.
    pub(crate) async fn with_gateway() -> (Self, Operator) {
        let (stage, operator) = Self::set().await;
        stage.has_gateway().await;
        (stage, operator)
    }

    /// Applies the smallest gateway and waits for its objects.
    pub(crate) async fn has_gateway(&self) {
        self.apply(&[self.secret(), self.gateway(json!({}))]).await;
        eventually("the Deployment is there", async || !self.get("deployment claude").await.is_null()).await;
        self.until_settled().await;
    }

    pub(crate) async fn operator(&self, arguments: &[&str]) -> Operator {
        let kubeconfig = self.plane.service_account(&self.namespace, ACCOUNT, HOUR).await.unwrap();
        Operator::start(&self.install, &kubeconfig, arguments)
    }

    /// What `check` says under the operator's account, and whether it finds nothing wrong.
    pub(crate) async fn check(&self) -> (bool, String) {
        self.check_with(&[]).await
    }

    pub(crate) async fn check_with(&self, arguments: &[&str]) -> (bool, String) {
        let kubeconfig = self.plane.service_account(&self.namespace, ACCOUNT, HOUR).await.unwrap();
        operator::check(&self.namespace, &kubeconfig, arguments).await
    }

    pub(crate) async fn apply(&self, objects: &[Value]) {
        let forced = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.kubectl.run_with(&forced, &list(objects)).await.unwrap();
    }

    pub(crate) async fn run(&self, arguments: &str) -> String {
        self.kubectl.run(&format!("{arguments} -n {}", self.namespace)).await.unwrap()
    }

    /// Null where there is none.
    pub(crate) async fn get(&self, what: &str) -> Value {
        self.kubectl.get(&format!("{what} -n {}", self.namespace)).await.unwrap()
    }

    pub(crate) async fn patch(&self, what: &str, patch: Value) {
        let (namespace, patch) = (self.namespace.as_str(), patch.to_string());
        let mut arguments = vec!["patch", "-n", namespace, "--type", "merge", "--patch", &patch];
        arguments.extend(what.split_whitespace());
        self.kubectl.run_with(&arguments, "").await.unwrap();
    }

    pub(crate) async fn condition(&self, name: &str) -> Value {
        let gateway = self.get("claudegateway claude").await;
        let conditions = gateway["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == name).unwrap_or_default()
    }

    /// `(status, reason)` of a condition.
    pub(crate) async fn verdict(&self, name: &str) -> (String, String) {
        let condition = self.condition(name).await;
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    pub(crate) async fn until(&self, name: &str, status: &str, reason: &str) {
        let wanted = (status.to_owned(), reason.to_owned());
        eventually(&format!("{name} is {status} ({reason})"), async || self.verdict(name).await == wanted).await;
    }

    /// Marks every pod there is ready, as a kubelet would.
    pub(crate) async fn ready_pods(&self) {
        let pods = self.get("pods").await;
        for pod in pods["items"].as_array().unwrap() {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let since = long_ago();
            let ready = json!({ "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": since }],
            } });
            self.patch(&format!("pod {name} --subresource status"), ready).await;
        }
    }

    /// What the operator asked since, but for the lease.
    pub(crate) fn calls_since(&self, mark: Mark) -> Vec<Call> {
        let calls = self.plane.calls_since(mark).unwrap();
        calls.into_iter().filter(|call| call.user == self.install.user() && call.resource != "leases").collect()
    }

    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<Call> {
        self.calls_since(mark).into_iter().filter(Call::is_write).collect()
    }

    /// Until nothing was written for two seconds.
    pub(crate) async fn until_settled(&self) {
        eventually("the operator has nothing to write", async || {
            let mark = self.plane.mark();
            tokio::time::sleep(Duration::from_secs(2)).await;
            self.writes_since(mark).is_empty()
        })
        .await;
    }

    /// Until nothing was written or read for longer than a gateway's next look takes, so that what is done to it elsewhere, as
    /// by the Deployment's own controller, was heard.
    pub(crate) async fn until_at_rest(&self) {
        eventually_within(AT_REST * 10, "the operator asks nothing", async || {
            let mark = self.plane.mark();
            tokio::time::sleep(AT_REST).await;
            let asks = |call: &Call| call.is_write() || call.verb == "get" && !call.resource.is_empty();
            !self.calls_since(mark).iter().any(asks)
        })
        .await;
    }

    /// Until the lease was renewed just now, so that its end is as far away as it can be.
    pub(crate) async fn until_renewed(&self) {
        let renewed = async || self.get("lease claude-gateway-operator").await["spec"]["renewTime"].clone();
        let before = renewed().await;
        eventually("the lease is renewed", async || renewed().await != before).await;
    }

    /// Makes the gateway be reconciled without changing what it asks for, and waits until that was done.
    pub(crate) async fn touch(&self) {
        let mark = self.plane.mark();
        let moment = format!("{:?}", Instant::now());
        self.patch("claudegateway claude", json!({ "metadata": { "annotations": { "touched": moment } } })).await;
        self.until_looked_at(mark).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Until an operator that remembers nothing of the gateway has looked at it.
    pub(crate) async fn until_looked_at(&self, mark: Mark) {
        eventually("the gateway is looked at", async || {
            self.calls_since(mark).iter().any(|call| call.resource == "deployments" && call.verb == "get")
        })
        .await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_refused_nothing && !std::thread::panicking() {
            let refused: Vec<_> =
                self.calls_since(self.begun).into_iter().filter(|call| matches!(call.status, 401 | 403)).collect();
            assert!(refused.is_empty(), "D1: refused by the API server: {refused:#?}");
        }
    }
}

pub(crate) async fn plane() -> &'static Plane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = Plane::shared().await.unwrap();
    INSTALLED.get_or_init(|| define(plane, definitions())).await;
    plane
}

/// Like those that ask whether somebody may let an owner wait for an object.
async fn strict() -> Plane {
    Plane::start_with(&["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]).await.unwrap()
}

async fn installed(plane: Plane) -> Plane {
    define(&plane, definitions()).await;
    plane
}

pub(crate) fn definitions() -> Vec<Value> {
    crds::files::definitions().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect()
}

pub(crate) async fn define(plane: &Plane, definitions: Vec<Value>) {
    let forced = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
    plane.kubectl().run_with(&forced, &list(&definitions)).await.unwrap();
    for crd in definitions {
        let name = crd["metadata"]["name"].as_str().unwrap();
        plane.kubectl().run(&format!("wait --for=condition=Established crd/{name} --timeout=60s")).await.unwrap();
    }
}

fn long_ago() -> String {
    // Long ago, so that a pod counts as available at once.
    "2020-01-01T00:00:00Z".to_owned()
}
