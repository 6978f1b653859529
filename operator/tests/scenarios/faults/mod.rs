//! What may go wrong between the operator and the API server, and that it is over when the fault is.

mod calls;
mod kills;
mod lease;
mod outages;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use e2e::{
    cast::patience::eventually_within,
    cluster::{Gate, Mark, Passing, Trouble},
};
use serde_json::Value;

use crate::stage::{ACCOUNT, HOUR, Operator, Stage, becomes};

/// What the issue promises, on a machine that has nothing else to do.
const PROMISED: Duration = Duration::from_secs(30);
/// What is waited for on one that compiles besides.
const PATIENCE: Duration = Duration::from_secs(120);

/// The operator's calls about one gateway, by the names in their paths; one of them may be spoiled.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<HashMap<String, Account>>>);

#[derive(Default)]
struct Account {
    calls: Vec<Passing>,
    /// Which call, counted from nought, and what becomes of it.
    spoiled: Option<(usize, Trouble)>,
    spoiled_at: Option<Instant>,
}

impl Ledger {
    fn watch(&self, gateway: &str, spoiled: Option<(usize, Trouble)>) {
        self.books(|books| books.insert(gateway.to_owned(), Account { spoiled, ..Account::default() }));
    }

    fn attach(&self, gate: &Gate) {
        let ledger = self.clone();
        gate.judge(move |call| ledger.pass(call));
    }

    fn pass(&self, call: &Passing) -> Option<Trouble> {
        self.books(|books| {
            let account = books.iter_mut().find(|(gateway, _)| is_about(call, gateway))?.1;
            let number = account.calls.len();
            account.calls.push(call.clone());
            let (_, trouble) = account.spoiled.filter(|(spoiled, _)| *spoiled == number)?;
            account.spoiled_at = Some(Instant::now());
            Some(trouble)
        })
    }

    fn calls(&self, gateway: &str) -> Vec<Passing> {
        self.books(|books| books[gateway].calls.clone())
    }

    fn spoiled_at(&self, gateway: &str) -> Option<Instant> {
        self.books(|books| books[gateway].spoiled_at)
    }

    fn books<T>(&self, with: impl FnOnce(&mut HashMap<String, Account>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_about(call: &Passing, gateway: &str) -> bool {
    call.path
        .split('/')
        .any(|part| part.strip_prefix(gateway).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

impl Stage {
    pub(crate) async fn operator_through(&self, gate: &Gate, arguments: &[&str]) -> Operator {
        let kubeconfig = self.plane.service_account_through(gate, &self.namespace, ACCOUNT, HOUR).await.unwrap();
        Operator::start(&self.install, &kubeconfig, arguments)
    }

    /// Whether a gateway, one of many, is all that it shall be, and says so, and its policy, too.
    async fn has_become(&self, gateway: &str) -> bool {
        let conditions = self.conditions("claudegateways", gateway).await;
        let policy = self.conditions("userpolicies", &format!("{gateway}-base")).await;
        says(&conditions, "Ready", "PodsNotReady")
            && says(&conditions, "DatabaseReady", "DatabaseReady")
            && says(&conditions, "Reconciling", "RollingOut")
            && says(&policy, "Synced", "Stored")
            && self.lacks(gateway).await.is_empty()
    }

    /// Asked for over and over, so without a process for each time.
    async fn conditions(&self, kinds: &str, name: &str) -> Value {
        let path = format!("/apis/claude-gateway.dev/v1alpha1/namespaces/{}/{kinds}/{name}", self.namespace);
        let answer = self.plane.client().unwrap().get(&path).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["status"]["conditions"].take()
    }

    /// What there is not, of what the gateway shall become.
    async fn lacks(&self, gateway: &str) -> Vec<String> {
        let names = becomes(gateway).map(|object| object.replace(' ', "/")).join(" ");
        let found = self.kubectl.get(&format!("{names} -n {}", self.namespace)).await.unwrap();
        let found: Vec<_> = found["items"].as_array().into_iter().flatten().map(called).collect();
        becomes(gateway).into_iter().filter(|object| !found.contains(object)).collect()
    }

    /// Everything with an owner that carries a gateway's label: what there is of it, and nothing else.
    async fn owned_by(&self, gateway: &str) -> Vec<String> {
        const KINDS: &str = "secrets,serviceaccounts,services,deployments,poddisruptionbudgets,networkpolicies,ingresses,\
                             horizontalpodautoscalers";
        let found = self.get(&format!("{KINDS} -l claude-gateway.dev/gateway={gateway}")).await;
        let mut found: Vec<_> = found["items"].as_array().into_iter().flatten().map(called).collect();
        found.sort();
        found
    }

    /// No object but those it shall become, and none of them made twice.
    async fn is_tidy(&self, gateway: &str, since: Mark) {
        let mut wanted = becomes(gateway).to_vec();
        wanted.sort();
        assert_eq!(self.owned_by(gateway).await, wanted);
        let mut writes = HashMap::<_, usize>::new();
        let about =
            |name: &str| name.strip_prefix(gateway).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        for call in self.writes_since(since).into_iter().filter(|call| about(&call.name) && call.status < 300) {
            *writes.entry((call.resource, call.subresource, call.name)).or_default() += 1;
        }
        for ((resource, subresource, name), count) in writes {
            let bound = if subresource == "status" { 8 } else { 2 };
            assert!(count <= bound, "{resource} {name} {subresource} was written {count} times");
        }
    }
}

fn called(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]))
}

fn says(conditions: &Value, name: &str, reason: &str) -> bool {
    let mut conditions = conditions.as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == name && condition["reason"] == reason)
}

/// Waits generously, and says how long it took.
async fn converged(stage: &Stage, gateway: &str, since: Instant) -> Duration {
    eventually_within(PATIENCE, &format!("{gateway} is what it shall be"), async || stage.has_become(gateway).await)
        .await;
    since.elapsed()
}

/// The figure that is promised: met with the machine to oneself, so only told where it is not.
fn tell(what: &str, took: Duration) {
    let verdict = if took <= PROMISED { "within the 30 s promised" } else { "LATER than the 30 s promised" };
    println!("{what}: converged after {took:.1?}, {verdict}");
}
