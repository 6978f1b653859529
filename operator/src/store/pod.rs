//! Table `pod`: what live pods say of themselves. Pods write it, so nothing here is believed beyond its form.

use serde::Deserialize;

use super::{GatewayStore, StoreError};

/// A pod that was seen within the last ten seconds, by the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePod {
    /// Another at each start of a process.
    pub incarnation: String,
    pub name: String,
    pub version: String,
    /// The revision of the policies that it enforces.
    pub policy_revision: i64,
    /// The ids of the session keys it knows, the signing one first.
    pub session_keys: Vec<String>,
    pub upstreams: Vec<UpstreamState>,
}

/// How an upstream fares from one pod.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpstreamState {
    pub name: String,
    /// `untried`, `ok` or `refused`.
    #[serde(default)]
    pub credential: String,
    #[serde(default)]
    pub health: String,
}

impl GatewayStore {
    pub async fn live_pods(&self) -> Result<Vec<LivePod>, StoreError> {
        let rows = self
            .call(async |connection| {
                let rows = sqlx::query!(
                    r#"
                    SELECT incarnation, name, version, policy_revision, session_keys, upstreams::text AS "upstreams!"
                    FROM pod WHERE seen_at > now() - interval '10 seconds' ORDER BY name, incarnation
                    "#,
                );
                Ok(rows.fetch_all(connection).await?)
            })
            .await?;
        let pods = rows.into_iter().map(|row| LivePod {
            incarnation: row.incarnation,
            name: row.name,
            version: row.version,
            policy_revision: row.policy_revision,
            session_keys: row.session_keys,
            upstreams: serde_json::from_str(&row.upstreams).unwrap_or_default(),
        });
        Ok(pods.collect())
    }
}
