//! An API server that knows both kinds, by the very files of the chart.

use std::{fs, path::Path};

use e2e::{
    cast::{client::Client, patience::eventually},
    cluster::Plane,
};
use http::Method;
use serde_json::Value;
use tokio::sync::OnceCell;

pub(crate) struct Stage {
    pub plane: &'static Plane,
    pub namespace: String,
}

/// What the API server says of an object.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub(crate) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Stage {
    /// A namespace of its own.
    pub(crate) async fn set() -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let plane = Plane::shared().await.unwrap();
        INSTALLED.get_or_init(|| install(plane)).await;
        Self { plane, namespace: plane.namespace().await.unwrap() }
    }

    pub(crate) fn client(&self) -> Client {
        self.plane.client().unwrap()
    }

    /// Judged as if it were written, and not kept.
    pub(crate) async fn would_create(&self, object: &Value) -> Answer {
        self.send(Method::POST, &format!("{}?dryRun=All", self.folder(object)), object).await
    }

    pub(crate) async fn create(&self, object: &Value) -> Answer {
        self.send(Method::POST, &self.folder(object), object).await
    }

    pub(crate) async fn would_replace(&self, object: &Value) -> Answer {
        self.send(Method::PUT, &format!("{}?dryRun=All", self.file(object)), object).await
    }

    /// A part of it, as `status`.
    pub(crate) async fn replace_part(&self, object: &Value, part: &str) -> Answer {
        self.send(Method::PUT, &format!("{}/{part}", self.file(object)), object).await
    }

    pub(crate) async fn get(&self, object: &Value) -> Value {
        self.client().get(&self.file(object)).send().await.unwrap().json().await.unwrap()
    }

    /// By server-side apply, as that manager.
    pub(crate) async fn apply_as(&self, manager: &str, object: &Value) -> Answer {
        let target = format!("{}?fieldManager={manager}", self.file(object));
        let body = serde_json::to_vec(&self.here(object)).unwrap();
        let request = self.client().request(Method::PATCH, &target).body("application/apply-patch+yaml", body);
        let response = request.send().await.unwrap();
        Answer { status: response.status, body: response.json().await.unwrap() }
    }

    /// The object in this namespace.
    pub(crate) fn here(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["metadata"]["namespace"] = self.namespace.clone().into();
        object
    }

    pub(crate) fn folder(&self, object: &Value) -> String {
        let plural = match object["kind"].as_str().unwrap() {
            "ClaudeGateway" => "claudegateways",
            "UserPolicy" => "userpolicies",
            other => panic!("no kind of ours: {other}"),
        };
        format!("/apis/claude-gateway.dev/v1alpha1/namespaces/{}/{plural}", self.namespace)
    }

    pub(crate) fn file(&self, object: &Value) -> String {
        format!("{}/{}", self.folder(object), object["metadata"]["name"].as_str().unwrap())
    }

    async fn send(&self, method: Method, target: &str, object: &Value) -> Answer {
        let response = self.client().request(method, target).json(&self.here(object)).send().await.unwrap();
        Answer { status: response.status, body: response.json().await.unwrap() }
    }
}

async fn install(plane: &Plane) {
    for file in crds::files::generated()
        .unwrap()
        .into_iter()
        .filter(|file| file.path.starts_with("charts/claude-gateway-operator/"))
    {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = fs::read_to_string(root.join(file.path)).unwrap();
        // As people do without a chart; the annotation of it has to hold the whole file.
        plane.kubectl().run_with(&["apply", "--filename", "-"], &text).await.unwrap();
    }
    for plural in ["claudegateways", "userpolicies"] {
        let target = format!("/apis/claude-gateway.dev/v1alpha1/{plural}");
        eventually(&format!("{plural} are served"), async || {
            plane.client().unwrap().get(&target).send().await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }
    // Told a while after they are served.
    eventually("they are described", async || {
        let told = plane.client().unwrap().get("/openapi/v3/apis/claude-gateway.dev/v1alpha1").send().await.unwrap();
        let text = told.text().await.unwrap();
        ["v1alpha1.ClaudeGateway\"", "v1alpha1.UserPolicy\""].iter().all(|schema| text.contains(schema))
    })
    .await;
}
