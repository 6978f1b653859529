//! The control plane that other tests stand on keeps its own promises: it is a real one, it says who asked what, and it leaves
//! no trace.

#![expect(clippy::unwrap_used, reason = "a plane that does not stand fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use e2e::{
    cast::{client::Client, holder::Holder, patience::eventually},
    cluster::Plane,
};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

async fn plane() -> &'static Plane {
    Plane::shared().await.unwrap()
}

/// Ours, by the mark that no other process has in its arguments.
fn processes_of(home: &Path) -> Vec<i32> {
    let mark = home.to_str().unwrap().as_bytes();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // The leash's own shell knows the folder, too, and is gone once it has removed it.
        arguments.windows(mark.len()).any(|window| window == mark)
    };
    pids.filter(ours).collect()
}

fn home(plane: &Plane) -> PathBuf {
    plane.admin().path().parent().unwrap().to_owned()
}

#[tokio::test]
async fn it_says_its_version_and_makes_what_controllers_make() {
    let plane = plane().await;
    let version: Value = plane.client().unwrap().get("/version").send().await.unwrap().json().await.unwrap();
    assert_eq!((version["major"].as_str(), version["minor"].as_str()), (Some("1"), Some("36")));

    let namespace = plane.namespace().await.unwrap();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}},
        },
    });
    plane.kubectl().apply(&deployment.to_string()).await.unwrap();
    let pods = async || {
        let pods = plane.kubectl().get(&format!("pods -n {namespace}")).await.unwrap();
        pods["items"].as_array().map_or(0, Vec::len)
    };
    eventually("two pods", async || pods().await == 2).await;
    plane.kubectl().run(&format!("delete deployment web -n {namespace}")).await.unwrap();
    eventually("the pods are collected with their owner", async || pods().await == 0).await;
}

#[tokio::test]
async fn it_refuses_strangers_and_whom_no_role_allows() {
    let plane = plane().await;
    let stranger = Client::new(&plane.url()).unwrap().trusting(plane.authority_pem()).unwrap();
    let stranger = stranger.with_bearer("a guess").get("/api/v1/namespaces").send().await.unwrap();
    assert_eq!(stranger.status, 401);

    let namespace = plane.namespace().await.unwrap();
    let somebody = plane.service_account(&namespace, "default", HOUR).await.unwrap();
    let kubectl = plane.kubectl_as(&somebody);
    let refused = kubectl.run(&format!("get secrets -n {namespace}")).await.unwrap_err().to_string();
    let user = format!("system:serviceaccount:{namespace}:default");
    assert!(refused.contains("forbidden") && refused.contains(&user), "{refused}");

    plane.kubectl().run(&format!("create role reader -n {namespace} --verb=list --resource=secrets")).await.unwrap();
    let bind = format!("create rolebinding reader -n {namespace} --role=reader --serviceaccount={namespace}:default");
    plane.kubectl().run(&bind).await.unwrap();
    eventually("the role allows it", async || kubectl.run(&format!("get secrets -n {namespace}")).await.is_ok()).await;
}

#[tokio::test]
async fn its_audit_log_has_each_request_with_its_user_and_its_verdict() {
    let plane = plane().await;
    let namespace = plane.namespace().await.unwrap();
    let somebody = plane.service_account(&namespace, "default", HOUR).await.unwrap();
    let mark = plane.mark();
    let kubectl = plane.kubectl_as(&somebody);
    kubectl.run(&format!("get secret nothing -n {namespace}")).await.unwrap_err();
    let user = format!("system:serviceaccount:{namespace}:default");
    let calls = plane.calls_since(mark).unwrap();
    let of_secrets = |call: &&e2e::cluster::Call| call.user == user && call.resource == "secrets";
    let calls: Vec<_> = calls.iter().filter(of_secrets).collect();
    let told: Vec<_> = calls.iter().map(|call| (call.verb.as_str(), call.name.as_str(), call.status)).collect();
    assert_eq!(told, [("get", "nothing", 403)]);
    assert!(calls[0].agent.starts_with("kubectl/") && calls[0].namespace == namespace && !calls[0].is_write());
    assert!(plane.calls_since(plane.mark()).unwrap().iter().all(|call| call.user != user));
}

#[tokio::test]
async fn it_can_be_frozen_killed_and_its_past_forgotten() {
    // One of its own: the others would not like it.
    let plane = Plane::start().await.unwrap();
    let client = plane.client().unwrap();
    let answers = async || {
        let answer = tokio::time::timeout(Duration::from_millis(500), client.get("/livez").send()).await;
        matches!(answer, Ok(Ok(answer)) if answer.status == 200)
    };
    eventually("it answers", answers).await;
    plane.api_server().freeze().unwrap();
    assert!(!answers().await);
    plane.api_server().thaw().unwrap();
    eventually("it answers again", answers).await;

    let list = client.get("/api/v1/namespaces").send().await.unwrap().json::<Value>().await.unwrap();
    let before = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    plane.kubectl().run("create namespace later").await.unwrap();
    plane.compact().await.unwrap();
    let watch = format!("/api/v1/namespaces?watch=1&timeoutSeconds=5&resourceVersion={before}");
    let told = client.get(&watch).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("410"), "{told}");

    plane.api_server().kill().unwrap();
    assert!(!answers().await && plane.api_server().pid().is_none());
    plane.api_server().start_again().unwrap();
    plane.until_served().await.unwrap();
    assert!(!plane.kubectl().get("namespace later").await.unwrap().is_null());
}

#[tokio::test]
async fn nothing_is_left_when_it_is_dropped() {
    let plane = Plane::start().await.unwrap();
    let home = home(&plane);
    let pids = [plane.etcd(), plane.api_server(), plane.controllers()].map(|daemon| daemon.pid().unwrap());
    assert!(pids.iter().all(|pid| processes_of(&home).contains(pid)));
    drop(plane);
    assert_eq!(processes_of(&home), Vec::<i32>::new());
    assert!(!home.exists());
}

#[tokio::test]
async fn nothing_is_left_when_its_holder_is_killed() {
    let mut holder = Holder::start("a_holder_for_another_test").await.unwrap();
    let home = holder.home().to_owned();
    assert!(processes_of(&home).len() >= 3);
    holder.kill().unwrap();
    eventually("no process is left", async || processes_of(&home).is_empty()).await;
    eventually("no file is left", async || !home.exists()).await;
}

#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn a_holder_for_another_test() {
    let plane = Plane::start().await.unwrap();
    Holder::hold(&home(&plane)).await.unwrap();
}
