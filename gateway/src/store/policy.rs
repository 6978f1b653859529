//! Tables `policy_set`, `policy` and `policy_person`: read whole, never written but for whom a policy applied to.

use super::{Store, StoreError};
use crate::policy::{Applications, PolicyKey, Revision};

/// Which set stands: its revision, and which writing of that. A database that was restored and written again has another set
/// under a number that was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyHead {
    pub revision: Revision,
    pub write: String,
}

/// A revision as it is stored; nobody has judged its documents.
pub struct UnverifiedSet {
    pub head: PolicyHead,
    /// In the order in which they are tried. Postgres lets numbers and depths pass that no reader takes, so a document stays
    /// text until somebody can say whose it is.
    pub rows: Vec<(PolicyKey, String)>,
}

impl Store {
    /// One statement sees one revision.
    pub async fn policies(&self) -> Result<UnverifiedSet, StoreError> {
        let rows = self
            .call_of_tick(async |connection| {
                sqlx::query!(
                    r#"
                    SELECT
                        revision AS "revision!", write_id::text AS "write!",
                        key AS "key?", document::text AS "document?"
                    FROM policy_set LEFT JOIN policy ON true
                    ORDER BY position, key
                    "#,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let head = rows.first().map(|row| PolicyHead { revision: Revision(row.revision), write: row.write.clone() });
        let rows = rows.into_iter().filter_map(|row| Some((PolicyKey(row.key?.into()), row.document?)));
        Ok(UnverifiedSet { head: head.unwrap_or_default(), rows: rows.collect() })
    }

    pub async fn note_applied(&self, applications: &Applications) -> Result<(), StoreError> {
        let Applications { day, people } = applications;
        // In one order everywhere, so that two pods do not wait for each other.
        let mut people: Vec<_> = people.iter().map(|(policy, subject)| (&*policy.0, subject.0.as_str())).collect();
        people.sort_unstable();
        let (policies, subjects): (Vec<_>, Vec<_>) =
            people.into_iter().map(|(policy, subject)| (policy.to_owned(), subject.to_owned())).unzip();
        self.call(async |connection| {
            sqlx::query!(
                "INSERT INTO policy_person (policy, subject, day)
                 SELECT policy, subject, $3 FROM unnest($1::text[], $2::text[]) AS applied (policy, subject)
                 ON CONFLICT DO NOTHING",
                &policies,
                &subjects,
                *day,
            )
            .execute(connection)
            .await
        })
        .await?;
        Ok(())
    }

    pub async fn forget_applied_before_three_days(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!("DELETE FROM policy_person WHERE day < (now() AT TIME ZONE 'utc')::date - 3");
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}
