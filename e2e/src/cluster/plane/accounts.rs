//! Who works on a control plane: ServiceAccounts with tokens of their own, each test in a namespace of its own.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::{PATIENCE, Plane};
use crate::cluster::{gate::Gate, kubeconfig::Kubeconfig};

impl Plane {
    /// A ServiceAccount's, by a token that the API server gives out for it: what its RBAC allows and nothing else.
    pub async fn service_account(&self, namespace: &str, name: &str, lifetime: Duration) -> Result<Kubeconfig> {
        self.service_account_at(&self.url(), namespace, name, lifetime).await
    }

    /// The same by way of a gate.
    pub async fn service_account_through(
        &self,
        gate: &Gate,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<Kubeconfig> {
        self.service_account_at(&gate.url(), namespace, name, lifetime).await
    }

    async fn service_account_at(
        &self,
        url: &str,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<Kubeconfig> {
        let seconds = lifetime.as_secs();
        let token = self.admin.run(&format!("create token {name} -n {namespace} --duration={seconds}s")).await?;
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        self.files.kubeconfig_by(&format!("{namespace}-{name}-{number}"), url, token.trim())
    }

    /// A new one, in which pods could be made at once.
    pub async fn namespace(&self) -> Result<String> {
        let name = format!("test-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let made = self.client()?.post("/api/v1/namespaces").json(&object).send().await?;
        ensure!(made.status == 201, "making a namespace: {}", made.text().await?);
        self.until_accounts_in(&name).await?;
        Ok(name)
    }

    pub(super) async fn until_accounts_in(&self, namespace: &str) -> Result<()> {
        let (client, since) = (self.client()?, Instant::now());
        let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        loop {
            self.controllers.ensure_running()?;
            if client.get(&account).send().await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "no ServiceAccount in {namespace}:\n{}", self.controllers.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}
