//! The pods' roles: what they may do, and how one password follows another.

use aws_lc_rs::rand::SystemRandom;
use e2e::cast::{
    fleet::ask,
    openid::{Behaviour, OpenIdProvider},
    patience::eventually,
    postgres::pool,
    provider::Provider,
    signin::sign_in,
    stage::{MODEL, Stage},
};
use operator::store::StoreError;
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::Executor;

use super::{Place, store};

#[tokio::test]
async fn pods_read_policies_write_the_rest_and_create_nothing() {
    let place = Place::migrated().await;
    let other = store(place.postgres, &place.url, "other_gateway").await;
    other.migrate().await.unwrap();
    let login = place.login(None).await;
    for allowed in [
        "SELECT * FROM claude_gateway.policy; SELECT * FROM claude_gateway.policy_set",
        "INSERT INTO claude_gateway.pod (incarnation, name, version, session_keys) VALUES ('i', 'p', '1', '{}')",
        "UPDATE claude_gateway.revocation_head SET sequence = sequence + 1",
        "DELETE FROM claude_gateway.session",
        "SELECT * FROM claude_gateway._sqlx_migrations",
        "SET search_path = claude_gateway;
         SELECT * FROM flush('i', 1, '[]', '[]', interval '10 seconds', interval '1 second')",
    ] {
        assert_eq!(place.refusal(&login, allowed).await, None, "{allowed}");
    }
    for forbidden in [
        "UPDATE claude_gateway.policy_set SET revision = 7",
        "INSERT INTO claude_gateway.policy VALUES ('a', 1, '{}', 1)",
        "DELETE FROM claude_gateway.policy",
        "TRUNCATE claude_gateway.policy",
        "TRUNCATE claude_gateway.session",
        "ALTER TABLE claude_gateway.policy DISABLE TRIGGER ALL",
        "DELETE FROM claude_gateway._sqlx_migrations",
        "CREATE TABLE claude_gateway.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SELECT * FROM other_gateway.policy",
        "SELECT * FROM other_gateway.session",
        "SET ROLE cast_owner",
    ] {
        let refusal = place.refusal(&login, forbidden).await;
        assert!(refusal.is_some(), "{forbidden}");
    }
    assert_eq!(place.count("SELECT revision FROM claude_gateway.policy_set").await, 0);
}

#[tokio::test]
async fn rights_that_are_as_they_should_be_are_not_given_again() {
    let place = Place::migrated().await;
    let login = place.login(None).await;
    let group = login.username.trim_end_matches("_pod_a").to_owned() + "_pods";
    assert_eq!(place.store.missing_grants(&group).await.unwrap(), [""; 0]);
    let too_much = format!(
        "GRANT UPDATE ON claude_gateway.policy TO {group}; REVOKE INSERT, DELETE ON claude_gateway.pod FROM {group}"
    );
    place.postgres.execute(&place.url, &too_much).await.unwrap();
    let wrong = place.store.missing_grants(&group).await.unwrap();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("GRANT DELETE, INSERT ON TABLE \"claude_gateway\".\"pod\""), "{wrong:?}");
    assert!(wrong[1].starts_with("REVOKE UPDATE ON TABLE \"claude_gateway\".\"policy\""), "{wrong:?}");
    place.login(Some(&login)).await;
    assert_eq!(place.store.missing_grants(&group).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_role_of_somebody_elses_gets_the_same_rights_and_its_own_are_told() {
    let place = Place::migrated().await;
    let theirs = place.postgres.create_role(&place.url, "their_pods", "secret").await.unwrap();
    assert!(place.postgres.execute(&theirs, "SELECT * FROM claude_gateway.policy").await.is_err());
    place.store.grant_to("their_pods").await.unwrap();
    place.postgres.execute(&theirs, "SELECT * FROM claude_gateway.policy").await.unwrap();
    let mine = "GRANT CREATE ON SCHEMA public TO their_pods; ALTER ROLE their_pods CREATEROLE";
    place.postgres.execute(&place.url, mine).await.unwrap();
    let excess = place.store.excess_rights("their_pods").await.unwrap();
    assert!(excess.contains(&"may make roles".to_owned()), "{excess:?}");
    assert!(excess.contains(&"may create in the schema public".to_owned()), "{excess:?}");
}

/// Who owns the tables would lock the operator out by losing rights on them.
#[tokio::test]
async fn the_owner_of_the_schema_keeps_its_rights_when_pods_are_given_it() {
    let place = Place::migrated().await;
    let owner =
        url::Url::parse(&place.url).unwrap().path().trim_start_matches('/').to_owned() + "_claude_gateway_owner";
    place.store.grant_to(&owner).await.unwrap();
    place.store.replace_policies(&[]).await.unwrap();
    let excess = place.store.excess_rights(&owner).await.unwrap();
    assert!(excess.contains(&"may write the table policy".to_owned()), "{excess:?}");
}

#[tokio::test]
async fn a_gateway_boots_and_serves_with_the_pods_role_and_through_a_rotation() {
    let place = Place::migrated().await;
    let first = place.login(None).await;
    let identity = OpenIdProvider::start(Behaviour::default()).await;
    let provider = Provider::start().unwrap();
    let config = Stage::config(&identity, &place.url, std::slice::from_ref(&provider)).unwrap();
    let config = config
        .set("/store/migrate", json!(false))
        .set("/store/username", json!(first.username))
        .set("/store/password", json!(first.password.expose_secret()))
        .set("/managed/source", json!("store"));
    let mut gateway = config.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    assert_eq!(ask(&client, MODEL).send().await.unwrap().status, 200);

    let second = place.store.rotate_pod_login(&first, &SystemRandom::new()).await.unwrap();
    assert_ne!(first.username, second.username);
    sign_in(&gateway, "bob").await.unwrap();
    gateway.restart().await.unwrap();
    assert_eq!(ask(&client, MODEL).send().await.unwrap().status, 200, "the login of before still opens connections");

    gateway
        .rewrite(|file| {
            file["store"]["username"] = json!(second.username);
            file["store"]["password"] = json!(second.password.expose_secret());
        })
        .unwrap();
    gateway.restart().await.unwrap();
    sign_in(&gateway, "carol").await.unwrap();
    assert_eq!(ask(&client, MODEL).send().await.unwrap().status, 200);
}

#[tokio::test]
async fn what_pods_hold_works_until_the_next_login_is_held() {
    let place = Place::migrated().await;
    let first = place.login(None).await;
    let held = pool(&place.url_of(&first)).await.unwrap();
    held.execute("SELECT 1").await.unwrap();
    assert_eq!(place.login(Some(&first)).await.username, first.username, "a login that works stays");

    let second = place.store.rotate_pod_login(&first, &SystemRandom::new()).await.unwrap();
    for login in [&first, &second] {
        assert_eq!(place.refusal(login, "SELECT * FROM claude_gateway.policy").await, None, "{login:?}");
    }
    held.execute("SELECT 1").await.unwrap();
    // What was refused a moment ago may still be there.
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%_pod_a'";
    eventually("only the pool's session", async || place.count(sessions).await == 1).await;
    let soon = place.store.rotate_pod_login(&second, &SystemRandom::new()).await;
    assert!(matches!(soon, Err(StoreError::LoginInUse { sessions: 1, .. })), "{soon:?}");

    let ends = "SELECT count(*) FROM pg_roles WHERE rolvaliduntil < now() + interval '61 minutes'
        AND rolvaliduntil > now() + interval '59 minutes' AND rolname LIKE '%_pod_a'
        AND rolname LIKE '%' || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8) || '%'";
    assert_eq!(place.count(ends).await, 0, "the Secret has not been seen to hold the second one");
    place.login(Some(&second)).await;
    assert_eq!(place.count(ends).await, 1);
    held.execute("SELECT 1").await.unwrap();
    held.close().await;
    eventually("no session", async || place.count(sessions).await == 0).await;
    let third = place.store.rotate_pod_login(&second, &SystemRandom::new()).await.unwrap();
    assert_eq!(third.username, first.username);
    assert!(place.refusal(&first, "SELECT 1").await.is_some(), "its old password is gone");
    assert_eq!(place.refusal(&third, "SELECT 1").await, None);
}

#[tokio::test]
async fn a_password_that_somebody_changed_is_replaced_on_the_other_login() {
    let place = Place::migrated().await;
    let first = place.login(None).await;
    let changed = format!("ALTER ROLE {} PASSWORD 'theirs'", first.username);
    place.postgres.execute(&place.url, &changed).await.unwrap();
    let second = place.login(Some(&first)).await;
    assert_ne!(second.username, first.username);
    assert_eq!(place.refusal(&second, "SELECT 1").await, None);
}

#[tokio::test]
async fn the_server_is_told_no_password() {
    let place = Place::migrated().await;
    let login = place.login(None).await;
    let kept = "SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$4096:%' AND rolname LIKE '%_pod_a'
        AND rolname LIKE '%' || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8) || '%'";
    assert_eq!(place.count(kept).await, 1);
    assert!(!format!("{login:?}").contains(login.password.expose_secret()));
}
