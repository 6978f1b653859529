//! What the operator finds when it starts: a control plane, databases, gateways and their policies.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    cast::{
        client::Client,
        gateway::built_program,
        openid::{Behaviour, OpenIdProvider},
        postgres::Postgres,
        process::Process,
    },
    chart::{
        self,
        helm::{Helm, Release},
    },
    cluster::{Kubeconfig, Plane},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{process::Child, task::JoinSet};

const RELEASE: &str = "claude-gateway-operator";
const GATEWAYS_OF_A_NAMESPACE: usize = 10;
/// A server has connections for so many, at two each.
const GATEWAYS_OF_A_DATABASE: usize = 50;
const AT_ONCE: usize = 8;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Place {
    pub(super) plane: Plane,
    kubeconfig: Kubeconfig,
    home: String,
    namespaces: Vec<String>,
    gateways: usize,
    policies: usize,
    _databases: Vec<Postgres>,
    _provider: OpenIdProvider,
}

impl Place {
    pub(super) async fn set(gateways: usize, policies: usize) -> Result<Self> {
        let plane = Plane::start().await?;
        let definitions = chart::folder().join("files/crds").display().to_string();
        plane.kubectl().run(&format!("apply --server-side --filename {definitions}")).await?;
        plane.kubectl().run("wait --for=condition=Established crd --all --timeout=60s").await?;
        let (home, kubeconfig) = installed(&plane).await?;
        let provider = OpenIdProvider::start(Behaviour::default()).await;
        let mut databases = Vec::new();
        for _ in 0..gateways.div_ceil(GATEWAYS_OF_A_DATABASE) {
            databases.push(Postgres::start().await?);
        }
        let mut namespaces = Vec::new();
        for _ in 0..gateways.div_ceil(GATEWAYS_OF_A_NAMESPACE) {
            namespaces.push(plane.namespace().await?);
        }
        let mut objects = Vec::new();
        for number in 0..gateways {
            let namespace = &namespaces[number / GATEWAYS_OF_A_NAMESPACE];
            let database = databases[number / GATEWAYS_OF_A_DATABASE].url();
            objects.extend(gateway(namespace, number, &database, &provider));
            objects.extend((0..policies).map(|policy| self::policy(namespace, number, policy)));
        }
        made(&plane.client()?, objects).await?;
        let (_databases, _provider) = (databases, provider);
        Ok(Self { plane, kubeconfig, home, namespaces, gateways, policies, _databases, _provider })
    }

    pub(super) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{RELEASE}", self.home)
    }

    /// The path of one policy of all.
    pub(super) fn policy(&self, number: usize) -> String {
        let gateway = number / self.policies % self.gateways;
        let namespace = &self.namespaces[gateway / GATEWAYS_OF_A_NAMESPACE];
        format!("{}/gw-{gateway}-{}", at(namespace, "userpolicies"), number % self.policies)
    }

    /// The path of a gateway's first policy.
    pub(super) fn policy_of(&self, gateway: usize) -> String {
        self.policy(gateway * self.policies)
    }

    /// Every gateway has applied everything, and every policy is stored.
    pub(super) async fn everything_is_current(&self) -> Result<bool> {
        let client = self.plane.client()?;
        for namespace in &self.namespaces {
            for (kinds, condition, reason) in
                [("claudegateways", "DatabaseReady", "DatabaseReady"), ("userpolicies", "Synced", "Stored")]
            {
                let list: Value = client.get(&at(namespace, kinds)).send().await?.json().await?;
                for object in list["items"].as_array().context("a list")? {
                    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
                    let stands = conditions.any(|found| found["type"] == condition && found["reason"] == reason);
                    if !stands || object["status"]["observedGeneration"] != object["metadata"]["generation"] {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// The chart's account with the chart's rights, for every namespace.
async fn installed(plane: &Plane) -> Result<(String, Kubeconfig)> {
    let home = plane.namespace().await?;
    let release = Release { namespace: home.clone(), ..Release::named(RELEASE, "") };
    let kinds = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    let objects = Helm::newest()?.objects(&release)?;
    let rights = objects.into_iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": rights.collect::<Vec<_>>() });
    plane.kubectl().apply(&list.to_string()).await?;
    let kubeconfig = plane.service_account(&home, RELEASE, DAY).await?;
    Ok((home, kubeconfig))
}

/// A gateway with a Secret and a schema of its own.
fn gateway(namespace: &str, number: usize, database: &str, provider: &OpenIdProvider) -> [(String, Value); 2] {
    let (name, secrets) = (format!("gw-{number}"), format!("gw-{number}-secrets"));
    let key = |key: &str| json!({ "name": secrets, "key": key });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": secrets, "labels": { "claude-gateway.dev/use": "gateway" } },
        "stringData": { "url": database, "client-secret": provider.client_secret(), "api-key": "an-api-key" },
    });
    let gateway = json!({
        "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway", "metadata": { "name": name },
        "spec": {
            "publicUrl": format!("https://{name}.example.com"), "replicas": 1,
            "exposure": { "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"] },
            "database": { "urlSecretRef": key("url"), "schema": format!("gw_{number}") },
            "oidc": {
                "issuer": provider.issuer(), "clientId": provider.client_id(), "clientSecretRef": key("client-secret"),
            },
            "upstreams": [{
                "name": "anthropic", "provider": { "anthropic": { "auth": { "apiKeySecretRef": key("api-key") } } },
            }],
            "development": { "allowPlainHttp": true },
        },
    });
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    [(secrets, secret), (at(namespace, "claudegateways"), gateway)]
}

fn policy(namespace: &str, gateway: usize, number: usize) -> (String, Value) {
    let policy = json!({
        "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
        "metadata": { "name": format!("gw-{gateway}-{number}") },
        "spec": {
            "gatewayRef": { "name": format!("gw-{gateway}") },
            "match": { "groups": [format!("group-{number}")] },
            "models": { "available": ["claude-haiku-4-5"] },
            "tokenLimits": { "tokensPerDay": 1_000_000 },
        },
    });
    (at(namespace, "userpolicies"), policy)
}

fn at(namespace: &str, kinds: &str) -> String {
    format!("/apis/claude-gateway.dev/v1alpha1/namespaces/{namespace}/{kinds}")
}

async fn made(client: &Client, objects: Vec<(String, Value)>) -> Result<()> {
    let objects = Arc::new(std::sync::Mutex::new(objects));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, objects) = (client.clone(), objects.clone());
        workers.spawn(async move {
            loop {
                let next = objects.lock().map_or(None, |mut objects| objects.pop());
                let Some((path, object)) = next else { return anyhow::Ok(()) };
                let answer = client.post(&path).json(&object).send().await?;
                let status = answer.status;
                ensure!(status == 201, "{path}: {status}: {}", answer.text().await?);
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// The built binary.
pub(super) struct Operator(Child);

impl Operator {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let child = tokio::process::Command::new(built_program(RELEASE, true)?)
            .args(["--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0", "--log-level", "warn"])
            .args(["--gateway-image", "registry.example.com/claude-gateway:1.0.0", "--pod-name", "measured"])
            .args(["--pod-namespace", &place.home])
            .env("KUBECONFIG", place.kubeconfig.path())
            .env("CLAUDE_GATEWAY_ALLOW_LOOPBACK", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self(child))
    }

    /// As a kubelet ends it.
    pub(super) async fn end(mut self) -> Result<()> {
        kill_process(Pid::from_raw(self.process()?.0).context("a process")?, Signal::TERM)?;
        ensure!(self.0.wait().await?.success(), "the operator did not end well");
        Ok(())
    }

    pub(super) fn process(&self) -> Result<Process> {
        Ok(Process(self.0.id().context("it has ended")?.try_into()?))
    }
}
