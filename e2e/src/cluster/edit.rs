//! How soon an edit of a UserPolicy holds: from `kubectl apply` to the last pod that enforces it, and to the status that says so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use super::{sample::NAMESPACE, whole::Cluster};
use crate::cast::{client::Client, fleet::ask};

/// Taken away and given back.
const MODEL: &str = "claude-haiku-4-5";
/// The alias by which policies name it.
const ALIAS: &str = "haiku";
const PATIENCE: Duration = Duration::from_secs(30);

/// Both from the start of `kubectl apply`.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// The slowest pod's first answer that goes by it.
    pub enforced: Duration,
    /// The policy's status: all pods enforce this generation.
    pub told: Duration,
}

impl Edit {
    /// Allows the model in this policy, or no longer. There is a client for each pod, of a person to whom the policy applies.
    pub async fn time(cluster: &Cluster, policy: &Value, allowed: bool, pods: &[Client]) -> Result<Self> {
        let mut policy = policy.clone();
        policy["spec"]["models"]["available"] = if allowed { json!(["sonnet", ALIAS]) } else { json!(["sonnet"]) };
        let since = Instant::now();
        let said = cluster.plane().kubectl().apply_in(NAMESPACE, &policy.to_string()).await?;
        ensure!(said.contains("configured"), "nothing was edited: {said}");
        let status = if allowed { 200 } else { 400 };
        let mut waiting: JoinSet<_> = pods.iter().map(|pod| until_answered(pod.clone(), status, since)).collect();
        let told = until_told(cluster, &policy, pods.len(), since).await?;
        let mut enforced = Duration::ZERO;
        while let Some(pod) = waiting.join_next().await {
            enforced = enforced.max(pod??);
        }
        Ok(Self { enforced, told })
    }
}

async fn until_answered(pod: Client, status: u16, since: Instant) -> Result<Duration> {
    loop {
        let answer = ask(&pod, MODEL).send().await?;
        if answer.status == status {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < PATIENCE, "still {} after {PATIENCE:?}", answer.status);
        sleep(Duration::from_millis(5)).await;
    }
}

async fn until_told(cluster: &Cluster, policy: &Value, pods: usize, since: Instant) -> Result<Duration> {
    let name = policy["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("/apis/claude-gateway.dev/v1alpha1/namespaces/{NAMESPACE}/userpolicies/{name}");
    let client = cluster.plane().client()?;
    loop {
        let object: Value = client.get(&path).send().await?.json().await?;
        let status = &object["status"];
        let synced = status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Synced");
        if status["observedGeneration"] == object["metadata"]["generation"]
            && synced.is_some_and(|synced| synced["status"] == "True")
            && status["enforcingReplicas"] == pods
        {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < PATIENCE, "after {PATIENCE:?} the status is still {status}");
        sleep(Duration::from_millis(10)).await;
    }
}
