//! The gateway's schema: made once by whoever comes first, shared by all, and not by other gateways.

use e2e::cast::postgres::{self, Postgres};
use futures_util::future::join_all;
use gateway::store::Store;

use crate::{browser::signed_in, stage::Stage};

#[tokio::test]
async fn pods_that_start_at_once_migrate_once() {
    let stage = Stage::usual().await;
    let config = stage.store_config();
    for opened in join_all((0..8).map(|_| Store::open(&config))).await {
        opened.unwrap();
    }
    let pool = postgres::pool(&stage.database).await.unwrap();
    let count = format!("SELECT count(*) FROM {}._sqlx_migrations", stage.schema);
    let applied: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
    assert_eq!(applied, claude_gateway_migrations::needed());
}

#[tokio::test]
async fn two_gateways_in_one_database_share_nothing() {
    let (here, there) = (Stage::usual().await, Stage::usual().await);
    assert_eq!(here.database, there.database);
    let (pod, other) = (here.deaf_pod().await, there.deaf_pod().await);
    let (device_code, _) = pod.start().await;
    other.poll(&device_code).await.refused(400, "expired_token");
    let (_, refresh) = signed_in(&here, &pod).await;
    other.refresh(&refresh).await.refused(401, "invalid_grant");
}

#[tokio::test]
async fn a_schema_that_nobody_migrated_is_refused_with_both_versions() {
    let stage = Stage::usual().await.scripted(|script| script.migrate = false);
    let error = Store::open(&stage.store_config()).await.err().unwrap().to_string();
    assert!(error.contains(&stage.schema) && error.contains("version 0"), "{error}");
    assert!(error.contains(&format!("needs {}", claude_gateway_migrations::needed())), "{error}");
}

/// The operator migrates, the pods' role may read and write and nothing else.
#[tokio::test]
async fn a_role_without_ddl_rights_serves_everything() {
    let postgres = Postgres::shared().await.unwrap();
    let mut stage = Stage::usual().await;
    claude_gateway_migrations::migrate_at(&stage.database, &stage.schema).await.unwrap();
    let (schema, role) = (stage.schema.clone(), format!("{}_pods", stage.schema));
    let superuser = stage.database.clone();
    stage.database = postgres.create_role(&superuser, &role, "secret").await.unwrap();
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
         REVOKE INSERT, UPDATE, DELETE ON {schema}._sqlx_migrations FROM {role}"
    );
    postgres.execute(&superuser, &grants).await.unwrap();
    let stage = stage.scripted(|script| script.migrate = false);
    let pod = stage.pod().await;
    let (access, refresh) = signed_in(&stage, &pod).await;
    pod.refresh(&refresh).await.tokens();
    assert_eq!(pod.post("/oauth/revoke", &[("token", &access)]).await.status.as_u16(), 200);
    let made = postgres.execute(&stage.database, &format!("CREATE TABLE {schema}.mine (n int)")).await;
    assert!(made.is_err(), "the role has no DDL rights, or this test shows nothing");
}

#[tokio::test]
async fn an_unreachable_store_is_named_at_boot() {
    let stage = Stage::usual().await;
    let mut config = stage.store_config();
    config.postgres_url = "postgres://nobody@127.0.0.1:1/none".into();
    let error = Store::open(&config).await.err().unwrap().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    config.postgres_url = "not a url".into();
    assert!(Store::open(&config).await.err().unwrap().to_string().contains("store.postgres_url"));
}
