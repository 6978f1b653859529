//! A namespace with an operator in it, and what a gateway needs.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use e2e::{
    cast::{
        client::Client,
        openid::{Behaviour, OpenIdProvider},
        patience::eventually,
        postgres::Postgres,
    },
    cluster::{Call, Kubectl, Mark, Plane},
};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::OnceCell,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const ACCOUNT: &str = "operator";

pub(crate) struct Stage {
    pub(crate) plane: &'static Plane,
    pub(crate) namespace: String,
    pub(crate) kubectl: Kubectl,
    pub(crate) provider: OpenIdProvider,
    pub(crate) database_url: String,
}

/// A process that reconciles.
pub(crate) struct Operator {
    child: Child,
    pub(crate) health: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Stage {
    /// Without an operator.
    pub(crate) async fn empty() -> Self {
        Self::on(plane().await).await
    }

    pub(crate) async fn on(plane: &'static Plane) -> Self {
        let namespace = plane.namespace().await.unwrap();
        let kubectl = plane.kubectl().clone();
        let rules: Value = serde_json::from_str(include_str!("rules.json")).unwrap();
        let meta = json!({ "name": ACCOUNT, "namespace": namespace });
        let subject = json!({ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace });
        let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT });
        let objects = list(&[
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta }),
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
                "roleRef": role, "subjects": [subject],
            }),
        ]);
        kubectl.apply(&objects).await.unwrap();
        let provider = OpenIdProvider::start(Behaviour::default()).await;
        let database_url = Postgres::shared().await.unwrap().database().await.unwrap();
        Self { plane, namespace, kubectl, provider, database_url }
    }

    /// With an operator, which needs no election.
    pub(crate) async fn set() -> (Self, Operator) {
        let stage = Self::empty().await;
        let operator = stage.operator(&["--leader-election", "false"]).await;
        (stage, operator)
    }

    /// With a gateway whose objects are there.
    pub(crate) async fn with_gateway() -> (Self, Operator) {
        let (stage, operator) = Self::set().await;
        stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
        eventually("the Deployment is there", async || !stage.get("deployment claude").await.is_null()).await;
        stage.until_settled().await;
        (stage, operator)
    }

    pub(crate) async fn operator(&self, arguments: &[&str]) -> Operator {
        let kubeconfig = self.plane.service_account(&self.namespace, ACCOUNT, HOUR).await.unwrap();
        let (health, metrics) = (free_address(), free_address());
        let child = Command::new(env!("CARGO_BIN_EXE_claude-gateway-operator"))
            .args(["--watch-namespaces", &self.namespace])
            .args(["--health-address", &health.to_string(), "--metrics-address", &metrics.to_string()])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig.path())
            .env("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")
            .env("GATEWAY_IMAGE", "registry.example.com/claude-gateway:1.0.0")
            .env("POD_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Operator { child, health, metrics }
    }

    /// What `check` says under the operator's account, and whether it finds nothing wrong.
    pub(crate) async fn check(&self) -> (bool, String) {
        self.check_with(&[]).await
    }

    pub(crate) async fn check_with(&self, arguments: &[&str]) -> (bool, String) {
        let kubeconfig = self.plane.service_account(&self.namespace, ACCOUNT, HOUR).await.unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_claude-gateway-operator"))
            .args(["check", "--watch-namespaces", &self.namespace])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig.path())
            .env("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")
            .output()
            .await
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn secret(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "secrets", "namespace": self.namespace, "labels": { "claude-gateway.dev/use": "gateway" } },
            "stringData": {
                "postgres-url": self.database_url, "client-secret": self.provider.client_secret(), "api-key": "an-api-key",
                "header": "first",
            },
        })
    }

    /// The smallest gateway, with these of its fields otherwise.
    pub(crate) fn gateway(&self, changes: Value) -> Value {
        let secret = |key: &str| json!({ "name": "secrets", "key": key });
        let mut spec = json!({
            "publicUrl": "https://claude.example.com",
            "exposure": { "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"] },
            "database": { "urlSecretRef": secret("postgres-url") },
            "oidc": {
                "issuer": self.provider.issuer(), "clientId": self.provider.client_id(),
                "clientSecretRef": secret("client-secret"),
            },
            "upstreams": [{
                "name": "anthropic", "provider": { "anthropic": { "auth": { "apiKeySecretRef": secret("api-key") } } },
                "headers": [{ "name": "x-team", "valueSecretRef": secret("header") }],
            }],
            "development": { "allowPlainHttp": true },
        });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway",
            "metadata": { "name": "claude", "namespace": self.namespace }, "spec": spec,
        })
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

    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{ACCOUNT}", self.namespace)
    }

    /// What the operator asked since, but for the lease.
    pub(crate) fn calls_since(&self, mark: Mark) -> Vec<Call> {
        let calls = self.plane.calls_since(mark).unwrap();
        calls.into_iter().filter(|call| call.user == self.user() && call.resource != "leases").collect()
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

    /// Makes the gateway be reconciled without changing what it asks for, and waits until that was done.
    pub(crate) async fn touch(&self) {
        let mark = self.plane.mark();
        let moment = format!("{:?}", Instant::now());
        self.patch("claudegateway claude", json!({ "metadata": { "annotations": { "touched": moment } } })).await;
        eventually("it is looked at", async || {
            self.calls_since(mark).iter().any(|call| call.resource == "deployments" && call.verb == "get")
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

impl Operator {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.expect("it ends").unwrap()
    }

    pub(crate) async fn probe(&self, path: &str) -> u16 {
        let client = Client::new(&format!("http://{}", self.health)).unwrap();
        client.get(path).send().await.map_or(0, |answer| answer.status)
    }

    pub(crate) async fn metrics(&self) -> String {
        let client = Client::new(&format!("http://{}", self.metrics)).unwrap();
        client.get("/metrics").send().await.unwrap().text().await.unwrap()
    }
}

pub(crate) async fn plane() -> &'static Plane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = Plane::shared().await.unwrap();
    INSTALLED.get_or_init(|| define(plane, definitions())).await;
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

pub(crate) fn list(objects: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap()
}

fn long_ago() -> String {
    // Long ago, so that a pod counts as available at once.
    "2020-01-01T00:00:00Z".to_owned()
}
