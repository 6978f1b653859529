//! A gateway's pods as they run: where they are, how to reach each, and the process behind it.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::kubectl::Kubectl;
use crate::cast::client::Client;

/// What its container serves by default: the gateway itself, and its metrics.
pub const PORT: u16 = 8080;
pub const METRICS_PORT: u16 = 9464;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub node: String,
    pub address: String,
    pub restarts: u64,
    /// The running container's id.
    pub container: String,
}

impl Pod {
    /// Of a gateway, by the selector that its status tells; those on their way out, too.
    pub async fn all_of(kubectl: &Kubectl, namespace: &str, gateway: &str) -> Result<Vec<Self>> {
        let object = kubectl.get(&format!("claudegateway {gateway} -n {namespace}")).await?;
        let selector = object["status"]["selector"].as_str().context("a selector in the gateway's status")?;
        let pods = kubectl.get(&format!("pods --selector={selector} -n {namespace}")).await?;
        Ok(pods["items"].as_array().into_iter().flatten().map(Self::read).collect())
    }

    /// A pod object of one container.
    pub fn read(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let container = &pod["status"]["containerStatuses"][0];
        Self {
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            address: text(&pod["status"]["podIP"]),
            restarts: container["restartCount"].as_u64().unwrap_or_default(),
            container: text(&container["containerID"]).trim_start_matches("containerd://").to_owned(),
        }
    }

    /// At the pod's own address, for somebody at the head; it serves under this URL.
    pub fn client(&self, url: &str) -> Result<Client> {
        Client::at(url, format!("{}:{PORT}", self.address).parse()?)
    }

    /// One of its own numbers.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let client = Client::new(&format!("http://{}:{METRICS_PORT}", self.address))?;
        let text = client.get("/metrics").send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("claude_gateway_{name} ")));
        Ok(line.with_context(|| format!("no {name} in {text}"))?.split(' ').next().unwrap_or_default().parse()?)
    }

    /// The container's first process, by the number that it has on this machine.
    pub fn process(&self) -> Result<i32> {
        let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let its_own = |pid: &i32| {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            groups.contains(&self.container)
        };
        processes.filter(its_own).min().with_context(|| format!("no process of {}", self.name))
    }
}
