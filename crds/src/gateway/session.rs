//! How long a sign-in lasts.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How long a sign-in lasts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.ttlMinutes <= self.maxDays * 1440",
    "ttlMinutes is longer than maxDays allows a session to be: lower it, or raise maxDays",
))]
pub struct Session {
    /// Minutes that an access token lives. Clients renew it silently where the identity provider issues refresh tokens.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 1, max = 5_256_000))]
    pub ttl_minutes: u32,
    /// Days after which every session ends and a new sign-in is due.
    #[serde(default = "a_quarter")]
    #[schemars(range(min = 1, max = 3_650))]
    pub max_days: u32,
}

impl Default for Session {
    fn default() -> Self {
        Self { ttl_minutes: an_hour(), max_days: a_quarter() }
    }
}

fn an_hour() -> u32 {
    60
}

fn a_quarter() -> u32 {
    90
}
