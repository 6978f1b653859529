//! How soon an edited UserPolicy holds in a real cluster: three pods on two nodes, which the operator made.
//!
//! Both times run from the start of `kubectl apply`: to the first answer of the last pod that goes by the edit, and to the
//! policy's status that says so.

use anyhow::Result;
use e2e::{
    cast::provider::Persona,
    chart,
    cluster::{
        Cluster, Edit, Pod, Surroundings,
        sample::{self, GATEWAY, NAMESPACE, Sample, Values},
        surroundings::images,
    },
};
use serde_json::json;

use crate::table::times;

const HOST: &str = "gateway.test";
const REPLICAS: usize = 3;

pub(crate) async fn edits(count: usize) -> Result<()> {
    let cluster = Cluster::start(2, &images()?).await?;
    let _visit = cluster.visit()?;
    let kubectl = cluster.plane().kubectl();
    let surroundings = Surroundings::start(&cluster, Persona::Plain, &[HOST]).await?;
    surroundings.install(&chart::folder()).await?;
    kubectl.run(&format!("create namespace {NAMESPACE}")).await?;
    let mut sample = Sample::with(&Values::of(&surroundings, HOST).await?)?;
    sample.object("ClaudeGateway")["spec"]["replicas"] = json!(REPLICAS);
    sample.apply(kubectl, NAMESPACE).await?;
    sample::until_ready(kubectl, NAMESPACE, GATEWAY).await?;
    surroundings.front.follow().await?;
    kubectl.run(&format!("rollout status deployment/{GATEWAY} -n {NAMESPACE} --timeout=120s")).await?;

    let tokens = surroundings.sign_in(HOST, "alice").await?;
    let mut pods = Vec::new();
    for pod in Pod::all_of(kubectl, NAMESPACE, GATEWAY).await? {
        pods.push(pod.client(&format!("http://{HOST}"))?.with_bearer(&tokens.access_token));
    }
    let (mut enforced, mut told) = (Vec::new(), Vec::new());
    for edit in 0..count {
        let edit = Edit::time(&cluster, sample.object("UserPolicy"), edit % 2 == 1, &pods).await?;
        enforced.push(edit.enforced);
        told.push(edit.told);
    }
    println!("## A UserPolicy edited by kubectl, {REPLICAS} pods on {} nodes\n", cluster.nodes().len());
    println!("| | of | median ms | slowest ms |\n|---|---:|---:|---:|");
    println!("{}", times("enforced on every pod", enforced));
    println!("{}", times("its status says so", told));
    Ok(())
}
