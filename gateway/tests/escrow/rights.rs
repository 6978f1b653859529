//! What a pod's role needs.

use e2e::cast::postgres::{self, Postgres};
use gateway::spend::Meter;

use crate::stage::{Stage, flush, key, patient, wants};

#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_can_flush() {
    let stage = Stage::new(1).await;
    let postgres = Postgres::shared().await.unwrap();
    let (url, schema) = (postgres.url(), &stage.schema);
    let role_url = postgres.create_role(&url, "flushing_pod", "secret").await.unwrap();
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO flushing_pod;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO flushing_pod"
    );
    postgres.execute(&url, &grants).await.unwrap();
    let store = stage.store_as(&role_url).await;
    let places = key("ada", Meter::ConcurrentRequests);
    let answers = store.flush(&flush("pod", 1, vec![wants(&places, 1, 1)]), &patient()).await.unwrap();
    assert_eq!(answers[0].granted, 1);
    let pool = postgres::pool(&role_url).await.unwrap();
    let altered = sqlx::query(sqlx::AssertSqlSafe(format!("ALTER TABLE {schema}.share ADD COLUMN mine text")));
    assert!(altered.execute(&pool).await.is_err());
}
