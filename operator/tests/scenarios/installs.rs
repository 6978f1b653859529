//! D3: installed for the whole cluster, for two namespaces, for one; and beside another installation.

use std::collections::BTreeSet;

use e2e::cast::patience::eventually;
use serde_json::json;

use crate::stage::{ACCOUNT, HOUR, Install, Operator, Stage};

/// The same life in every kind of installation: a gateway with a policy in each namespace, an edit, a mend, an end.
async fn lives(stage: &Stage, namespaces: &[String]) {
    for namespace in namespaces {
        let mut objects = stage.one_of_many("one").to_vec();
        objects.iter_mut().for_each(|object| object["metadata"]["namespace"] = json!(namespace));
        objects[1]["spec"]["database"]["schema"] = json!(format!("in_{}", namespace.replace('-', "_")));
        stage.apply(&objects).await;
    }
    for namespace in namespaces {
        let get = async |what: &str| stage.kubectl.get(&format!("{what} -n {namespace}")).await.unwrap();
        let run = async |what: &str| stage.kubectl.run(&format!("{what} -n {namespace}")).await.unwrap();
        eventually("the policy is stored", async || {
            let conditions = get("userpolicy one-base").await["status"]["conditions"].take();
            let mut conditions = conditions.as_array().into_iter().flatten();
            conditions.any(|condition| condition["reason"] == "Stored")
        })
        .await;
        eventually("the Deployment", async || !get("deployment one").await.is_null()).await;
        run("delete service one").await;
        eventually("the Service is mended", async || !get("service one").await.is_null()).await;
        run(r#"patch claudegateway one --type merge --patch {"spec":{"replicas":3}}"#).await;
        eventually("three pods", async || get("deployment one").await["spec"]["replicas"] == 3).await;
        run("delete secret one-secrets").await;
        eventually("the missing Secret is said", async || {
            get("claudegateway one").await.to_string().contains("SecretMissing")
        })
        .await;
        run("delete claudegateway one --wait=true").await;
    }
}

async fn started(stage: &Stage, install: &Install, home: &str) -> Operator {
    let kubeconfig = stage.plane.service_account(home, ACCOUNT, HOUR).await.unwrap();
    Operator::start(install, &kubeconfig, &["--pod-name", home])
}

/// An installation in `home`, and namespaces that it watches.
async fn installation(stage: &Stage, watched: &[&str]) -> (Install, Operator) {
    let home = stage.plane.namespace().await.unwrap();
    let install = Install::of(&home, watched);
    install.bring(stage.plane).await;
    let operator = started(stage, &install, &home).await;
    (install, operator)
}

async fn namespaces(stage: &Stage) -> [String; 2] {
    [stage.plane.namespace().await.unwrap(), stage.plane.namespace().await.unwrap()]
}

#[tokio::test]
async fn d3_an_installation_for_the_cluster_serves_every_namespace() {
    let stage = Stage::alone().await;
    let (since, namespaces) = (stage.plane.mark(), namespaces(&stage).await);
    let (install, _operator) = installation(&stage, &[]).await;
    assert!(install.has_cluster_rights());
    lives(&stage, &namespaces).await;
    assert!(refused(&stage, &install, since).is_empty());
    // Whoever comes next is alone again.
    let cluster_wide = format!("clusterrole/{ACCOUNT} clusterrolebinding/{ACCOUNT}");
    stage.kubectl.run(&format!("delete {cluster_wide}")).await.unwrap();
}

#[tokio::test]
async fn d3_installations_for_namespaces_need_no_right_of_the_cluster_and_leave_each_other_alone() {
    let stage = Stage::empty().await;
    let (since, [first, second], [third, other]) =
        (stage.plane.mark(), namespaces(&stage).await, namespaces(&stage).await);
    let (two, _of_two) = installation(&stage, &[&first, &second]).await;
    let (one, _of_one) = installation(&stage, &[&third]).await;
    assert!(!two.has_cluster_rights() && !one.has_cluster_rights());
    // Nobody's.
    let mut unseen = stage.one_of_many("one").to_vec();
    unseen.iter_mut().for_each(|object| object["metadata"]["namespace"] = json!(other));
    stage.apply(&unseen).await;
    let (of_two, of_one) = ([first, second], [third]);
    tokio::join!(lives(&stage, &of_two), lives(&stage, &of_one));
    for (install, own) in [(&two, BTreeSet::from(of_two)), (&one, BTreeSet::from(of_one))] {
        assert!(refused(&stage, install, since).is_empty(), "{:#?}", refused(&stage, install, since));
        let calls = stage.plane.calls_since(since).unwrap();
        let writes = calls.into_iter().filter(|call| call.user == install.user() && call.is_write());
        let places: BTreeSet<_> = writes.filter(|call| call.resource != "leases").map(|call| call.namespace).collect();
        assert_eq!(places, own, "D3: it writes where it was told to, and nowhere else");
    }
    let untouched = stage.kubectl.get(&format!("claudegateway one -n {other}")).await.unwrap();
    assert_eq!(untouched["status"], json!({ "observedGeneration": crds::files::UNSEEN }), "{untouched}");
}

fn refused(stage: &Stage, install: &Install, since: e2e::cluster::Mark) -> Vec<e2e::cluster::Call> {
    let calls = stage.plane.calls_since(since).unwrap();
    calls.into_iter().filter(|call| call.user == install.user() && matches!(call.status, 401 | 403)).collect()
}
