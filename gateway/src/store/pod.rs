//! Table `pod`: who is alive, what it knows and what it serves.

use serde_json::Value;

use super::{Store, StoreError, policy::PolicyHead};
use crate::policy::Revision;

/// This process, among the others of its gateway.
#[derive(Debug, Clone)]
pub struct Pod {
    /// New at each start.
    pub incarnation: String,
    pub name: String,
    pub version: &'static str,
}

/// What the others may rely on.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The ids of the session keys it knows.
    pub session_keys: Vec<String>,
    pub policies: Revision,
    /// One entry for each upstream.
    pub upstreams: Value,
}

/// The newest of what pods follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    pub revocations: i64,
    pub policies: PolicyHead,
}

impl Store {
    /// Says that this pod lives, and learns what is newest. This call decides whether the store is away.
    pub async fn beat(&self, pod: &Pod, condition: &Condition) -> Result<Heads, StoreError> {
        let Condition { session_keys, policies, upstreams } = condition;
        let beaten = self
            .call_of_tick(async |connection| {
                sqlx::query!(
                    r#"
                    INSERT INTO pod (incarnation, name, version, session_keys, policy_revision, upstreams)
                    VALUES ($1, $2, $3, $4, $5, $6)
                    ON CONFLICT (incarnation) DO UPDATE SET
                        seen_at = now(),
                        session_keys = excluded.session_keys,
                        policy_revision = excluded.policy_revision,
                        upstreams = excluded.upstreams
                    RETURNING
                        (SELECT sequence FROM revocation_head) AS "revocations!",
                        (SELECT revision FROM policy_set) AS "policies!",
                        (SELECT write_id::text FROM policy_set) AS "write!"
                    "#,
                    pod.incarnation,
                    pod.name,
                    pod.version,
                    session_keys,
                    policies.0,
                    upstreams,
                )
                .fetch_one(connection)
                .await
            })
            .await;
        match &beaten {
            Err(error) if error.is_unavailable() => self.saw_away(error),
            _ if self.health.saw(true) => tracing::info!("the store is back"),
            _ => {}
        }
        beaten.map(|heads| Heads {
            revocations: heads.revocations,
            policies: PolicyHead { revision: Revision(heads.policies), write: heads.write },
        })
    }

    /// The same without a word of this pod: no commit, so it is there sooner. It finds out that the store is away, not that it
    /// is back, for a server that only reads would do.
    pub async fn heads(&self) -> Result<Heads, StoreError> {
        let seen = self
            .call_of_tick(async |connection| {
                sqlx::query!(
                    r#"
                    SELECT revision AS "policies!", write_id::text AS "write!", sequence AS "revocations!"
                    FROM policy_set, revocation_head
                    "#,
                )
                .fetch_one(connection)
                .await
            })
            .await;
        if let Err(error) = &seen
            && error.is_unavailable()
        {
            self.saw_away(error);
        }
        seen.map(|heads| Heads {
            revocations: heads.revocations,
            policies: PolicyHead { revision: Revision(heads.policies), write: heads.write },
        })
    }

    fn saw_away(&self, error: &StoreError) {
        if self.health.saw(false) {
            tracing::error!(%error, "the store is away: sign-ins wait, everything else goes on");
        }
    }

    /// Pods that have said lately that they live.
    pub async fn live_pods(&self) -> Result<i64, StoreError> {
        self.call(async |connection| {
            sqlx::query_scalar!(r#"SELECT count(*) AS "pods!" FROM pod WHERE seen_at > now() - interval '10 seconds'"#)
                .fetch_one(connection)
                .await
        })
        .await
    }

    /// A pod that has flushed stays longer: its journal may still be replayed, and the row says from where.
    pub async fn delete_pods_unseen_for_a_day(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!(
                "DELETE FROM pod
                 WHERE seen_at < now() - interval '1 day' AND (last_seq = 0 OR seen_at < now() - interval '35 days')",
            );
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}
