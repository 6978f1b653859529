//! A database that is away, refuses, or says nothing.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use e2e::cast::postgres::Postgres;
use operator::store::{DatabaseAccess, Fault, GatewayStore};

use super::{Place, access, as_role, set::row};

#[tokio::test]
async fn a_refused_login_is_told_with_a_remedy_and_without_the_password() {
    let place = Place::migrated().await;
    let wrong = as_role(&place.url, "nobody", "a-secret-word");
    let error = GatewayStore::connect(access(&wrong, "claude_gateway")).unwrap().probe().await.unwrap_err();
    assert_eq!((error.reason(), error.fault()), ("DatabaseLoginRefused", Fault::Configuration));
    let said = format!("{error} {error:?} {}", error.remedy());
    assert!(!said.contains("a-secret-word"), "{said}");
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_not_quoted() {
    let access = access("mysql://user:a-secret-word@db/x y", "claude_gateway");
    let outcome = match GatewayStore::connect(access) {
        Ok(store) => store.probe().await,
        Err(error) => Err(error),
    };
    let error = outcome.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("a-secret-word"), "{error:?}");
}

#[tokio::test]
async fn a_role_that_may_not_make_roles_is_told_which_right_it_lacks() {
    let postgres = Postgres::shared().await.unwrap();
    let url = postgres.database().await.unwrap();
    let plain = postgres.create_role(&url, "plain_owner", "secret").await.unwrap();
    let store = GatewayStore::connect(access(&plain, "claude_gateway")).unwrap();
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.fault(), Fault::Configuration, "{error}");
    let database = url.rsplit('/').next().unwrap().to_owned();
    postgres.execute(&url, &format!("GRANT CREATE ON DATABASE {database} TO plain_owner")).await.unwrap();
    store.migrate().await.unwrap();
    let error = store.ensure_pod_login(None, &SystemRandom::new()).await.unwrap_err();
    assert_eq!(error.reason(), "DatabaseRightMissing", "{error}");
    assert!(error.remedy().contains("CREATEROLE") && error.remedy().contains("podSecretRef"));
}

#[tokio::test]
async fn a_role_of_that_name_with_more_rights_is_not_taken_over() {
    let place = Place::migrated().await;
    let login = place.login(None).await;
    place.postgres.execute(&place.url, &format!("ALTER ROLE {} SUPERUSER", login.username)).await.unwrap();
    let error = place.store.ensure_pod_login(Some(&login), &SystemRandom::new()).await.unwrap_err();
    assert_eq!(error.reason(), "DatabaseRoleConflict");
}

#[tokio::test]
async fn nothing_waits_for_ever_for_a_server_that_is_frozen_or_gone() {
    let postgres = Postgres::start().await.unwrap();
    let store = GatewayStore::connect(access(&postgres.url(), "claude_gateway")).unwrap();
    store.migrate().await.unwrap();
    store.replace_policies(&[row("a/one", 0, serde_json::json!({"match": {}}))]).await.unwrap();
    let fresh = || GatewayStore::connect(access(&postgres.url(), "claude_gateway")).unwrap();
    postgres.pause().unwrap();
    let since = Instant::now();
    let (known, new) = (fresh(), fresh());
    let (one, two, three) = tokio::join!(store.policy_head(), known.live_pods(), new.migrate());
    for error in [one.unwrap_err(), two.unwrap_err(), three.unwrap_err()] {
        assert_eq!((error.reason(), error.fault()), ("DatabaseUnavailable", Fault::Database), "{error}");
    }
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    postgres.resume().unwrap();
    assert_eq!(store.policy_head().await.unwrap().revision, 1, "the same store goes on");
    postgres.stop().await.unwrap();
    assert_eq!(store.live_pods().await.unwrap_err().reason(), "DatabaseUnavailable");
    postgres.start_again().await.unwrap();
    assert_eq!(store.policy_head().await.unwrap().revision, 1);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_a_ca_is_asked_for() {
    let place = Place::migrated().await;
    let authority = e2e::cast::certificate::Authority::new().unwrap();
    let url = format!("{}?sslmode=verify-full", place.url.split('?').next().unwrap_or_default());
    let access = DatabaseAccess { ca_pem: Some(authority.pem().to_owned()), ..access(&url, "claude_gateway") };
    let error = GatewayStore::connect(access).unwrap().probe().await.unwrap_err();
    assert_eq!(error.reason(), "DatabaseUnavailable", "{error}");
}
