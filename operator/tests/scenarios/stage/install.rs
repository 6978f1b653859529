//! The chart as helm renders it, as far as a process outside the cluster can use it: who the operator is, what it may do, and
//! what it is told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, OnceLock, PoisonError},
};

use e2e::{
    cast::patience::eventually,
    chart::helm::{Helm, Release},
    cluster::Plane,
};
use serde_json::{Value, json};

use super::list;

/// The release, and so the account, is called as the chart.
pub(crate) const ACCOUNT: &str = "claude-gateway-operator";

/// D3: whom the operators of the tests are installed for. The same tests hold in each kind of installation; `make test-long`
/// runs them in all three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstalledFor {
    Namespace,
    Namespaces,
    Cluster,
}

impl InstalledFor {
    /// By `GATEWAY_TEST_INSTALLED_FOR`.
    pub(crate) fn chosen() -> Self {
        match std::env::var("GATEWAY_TEST_INSTALLED_FOR").as_deref() {
            Err(_) | Ok("" | "namespace") => Self::Namespace,
            Ok("namespaces") => Self::Namespaces,
            Ok("cluster") => Self::Cluster,
            Ok(other) => panic!("GATEWAY_TEST_INSTALLED_FOR is {other}: say namespace, namespaces or cluster"),
        }
    }
}

/// One release of the chart.
pub(crate) struct Install {
    namespace: String,
    objects: Vec<Value>,
}

impl Install {
    /// In a namespace, watching some; none means all.
    pub(crate) fn of(namespace: &str, watched: &[&str]) -> Self {
        let objects = rendered(namespace, &json!({ "watchNamespaces": watched, "rbac": { "aggregate": false } }));
        Self { namespace: namespace.to_owned(), objects }
    }

    /// In a namespace that is watched, as was chosen for this run.
    pub(super) async fn chosen(plane: &Plane, namespace: &str) -> Self {
        match InstalledFor::chosen() {
            InstalledFor::Namespace => Self::of(namespace, &[namespace]),
            InstalledFor::Namespaces => Self::of(namespace, &[namespace, &plane.namespace().await.unwrap()]),
            InstalledFor::Cluster => Self::of(namespace, &[]),
        }
    }

    /// The role that says what it may do in the namespace it is in.
    pub(crate) fn role(&self) -> String {
        let kind = if self.has_cluster_rights() { "clusterrole" } else { "role" };
        format!("{kind} {ACCOUNT}")
    }

    /// Who the operator is to the API server.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{ACCOUNT}", self.namespace)
    }

    fn of_kinds<'a>(&'a self, kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)))
    }

    /// Applies the account and its rights, and waits until the API server knows them.
    pub(crate) async fn bring(&self, plane: &Plane) {
        let kinds = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
        let objects: Vec<_> = self.of_kinds(&kinds).cloned().collect();
        plane.kubectl().apply(&list(&objects)).await.unwrap();
        let events = self.places().into_iter().map(|namespace| (namespace, "events.k8s.io", "events"));
        let lease = self.elects().then_some((self.namespace.as_str(), "coordination.k8s.io", "leases"));
        for (namespace, group, resource) in events.chain(lease) {
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "spec": { "user": self.user(), "resourceAttributes": {
                    "group": group, "resource": resource, "verb": "patch", "namespace": namespace, "name": ACCOUNT,
                } },
            });
            eventually("the rights are known", async || {
                let client = plane.client().unwrap();
                let review = client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews").json(&review);
                review.send().await.unwrap().json::<Value>().await.unwrap()["status"]["allowed"] == true
            })
            .await;
        }
    }

    fn elects(&self) -> bool {
        self.rights().contains(&("patch".to_owned(), "coordination.k8s.io/leases".to_owned()))
    }

    /// Where it may do something; `""` is everywhere.
    fn places(&self) -> BTreeSet<&str> {
        let place = |role: &'_ Value| role["rules"].as_array().is_some_and(|rules| rules.len() > 2);
        self.of_kinds(&["Role", "ClusterRole"])
            .filter(|role| place(role))
            .map(|role| role["metadata"]["namespace"].as_str().unwrap_or_default())
            .collect()
    }

    /// Every right it has, as (verb, group/resource).
    pub(crate) fn rights(&self) -> BTreeSet<(String, String)> {
        let rules = self.of_kinds(&["Role", "ClusterRole"]).flat_map(|role| role["rules"].as_array().unwrap());
        let words = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let mut rights = BTreeSet::new();
        for rule in rules {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    rights.extend(words(&rule["verbs"]).into_iter().map(|verb| (verb, format!("{group}/{resource}"))));
                }
            }
        }
        rights
    }

    pub(crate) fn has_cluster_rights(&self) -> bool {
        self.of_kinds(&["ClusterRole", "ClusterRoleBinding"]).next().is_some()
    }

    /// What its Deployment tells it, but for addresses, which two processes of one machine cannot share.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let deployment = self.of_kinds(&["Deployment"]).next().unwrap();
        let told = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap();
        let said = |entry: &Value| Some((entry["name"].as_str()?.to_owned(), entry["value"].as_str()?.to_owned()));
        let mut environment: BTreeMap<_, _> =
            told.iter().filter_map(said).filter(|(name, _)| !name.ends_with("_ADDRESS")).collect();
        environment.insert("POD_NAMESPACE".to_owned(), self.namespace.clone());
        environment.entry("POD_NAME".to_owned()).or_insert_with(|| ACCOUNT.to_owned());
        environment
    }
}

/// Rendered once for each shape of the values: a namespace is only a word in it.
fn rendered(namespace: &str, values: &Value) -> Vec<Value> {
    const PLACEHOLDER: &str = "the-release-namespace";
    static RENDERED: OnceLock<Mutex<HashMap<String, String>>> = OnceLock::new();
    let asked = values.to_string().replace(&format!("\"{namespace}\""), &format!("\"{PLACEHOLDER}\""));
    let mut known = RENDERED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let text = known.entry(asked.clone()).or_insert_with(|| {
        let release = Release { namespace: PLACEHOLDER.to_owned(), ..Release::named(ACCOUNT, &asked) };
        json!(Helm::newest().unwrap().objects(&release).unwrap()).to_string()
    });
    serde_json::from_str(&text.replace(PLACEHOLDER, namespace)).unwrap()
}
