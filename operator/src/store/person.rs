//! Table `policy_person`: how many people each policy applied to.

use std::collections::HashMap;

use super::{GatewayStore, StoreError};

impl GatewayStore {
    /// By key of the policy, of the days (UTC) that the last 24 hours touch: pods note days, not hours.
    pub async fn people(&self) -> Result<HashMap<String, i64>, StoreError> {
        let rows = self
            .call(async |connection| {
                let rows = sqlx::query!(
                    r#"
                    SELECT policy, count(DISTINCT subject) AS "people!" FROM policy_person
                    WHERE day >= (now() AT TIME ZONE 'utc' - interval '24 hours')::date
                    GROUP BY policy
                    "#,
                );
                Ok(rows.fetch_all(connection).await?)
            })
            .await?;
        Ok(rows.into_iter().map(|row| (row.policy, row.people)).collect())
    }
}
