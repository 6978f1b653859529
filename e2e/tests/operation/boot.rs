//! Boots that must fail, and say why.

use std::{net::TcpListener, time::Duration};

use e2e::cast::{
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    ports::free_address,
    postgres::Postgres,
    provider::Provider,
    signin::sign_in,
    stage::Stage,
};
use serde_json::json;

async fn parts() -> (OpenIdProvider, Postgresql) {
    let identity = OpenIdProvider::start(Behaviour::default()).await;
    let server = Postgres::shared().await.unwrap();
    let url = server.database().await.unwrap();
    (identity, Postgresql { server, url })
}

/// A database of the shared server.
struct Postgresql {
    server: &'static Postgres,
    url: String,
}

fn config(identity: &OpenIdProvider, database: &str) -> Config {
    Stage::config(identity, database, &[Provider::start().unwrap()]).unwrap()
}

/// The last line is the reason, and the only one that claims to be.
fn reason(stderr: &str) -> &str {
    let reasons: Vec<&str> = stderr.lines().filter(|line| line.contains("the gateway did not start")).collect();
    assert_eq!(reasons.len(), 1, "{stderr}");
    assert_eq!(stderr.lines().last(), Some(reasons[0]));
    reasons[0]
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_configuration_is_said_at_once() {
    let broken = |config: Config| {
        config
            .set("/listen/port", json!(70_000))
            .set("/session/jwt_secret", json!("short"))
            .set("/store/postgres_url", json!("mysql://nowhere"))
            .set("/upstreams", json!([{"provider": "anthropic", "auth": {}}]))
            .set("/limts", json!({}))
            .set("/oidc/issuer", json!("${NO_SUCH_VARIABLE}"))
    };
    let wrong =
        ["listen.port", "session.jwt_secret", "store.postgres_url", "upstreams[0].auth", "limts", "oidc.issuer"];
    let config = broken(Gateway::config().unwrap());
    for ended in [config.end().await.unwrap(), config.check().await.unwrap()] {
        assert_eq!(ended.status.code(), Some(1));
        for path in wrong {
            assert_eq!(ended.stderr.lines().filter(|line| line.contains(path)).count(), 1, "{path}:\n{}", ended.stderr);
        }
        assert!(ended.stderr.contains("NO_SUCH_VARIABLE"));
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn a_check_judges_without_reaching_for_anybody() {
    let config = Gateway::config().unwrap().issuer("http://127.0.0.1:9").store("postgres://nobody@127.0.0.1:9/none");
    let upstream = json!([{"provider": "anthropic", "auth": {"api_key": "sk-x"}}]);
    let config = config.set("/upstreams", upstream);
    let held = TcpListener::bind(("127.0.0.1", config.port())).unwrap();
    let ended = config.check().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.contains("is valid"), "{ended:?}");
    drop(held);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_tried_three_times() {
    let (identity, _) = parts().await;
    let nobody = free_address().unwrap();
    let ended = config(&identity, &format!("postgres://gateway:a-password@{nobody}/gateway")).end().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.after >= Duration::from_secs(4), "given up after {:?}", ended.after);
    let between = ended.stderr.lines().filter(|line| line.contains("the store does not answer yet")).count();
    assert_eq!(between, 2, "{}", ended.stderr);
    assert!(reason(&ended.stderr).contains("store: the store cannot be reached"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("a-password"));
}

#[tokio::test]
async fn an_identity_provider_that_does_not_answer_stops_the_boot_by_its_key() {
    let (identity, database) = parts().await;
    let config = config(&identity, &database.url);
    identity.go_away().await;
    let ended = config.end().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(reason(&ended.stderr).contains("oidc.issuer"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_port_in_use_stops_the_boot_by_its_number() {
    let (identity, database) = parts().await;
    let config = config(&identity, &database.url);
    let held = TcpListener::bind(("127.0.0.1", config.port())).unwrap();
    let ended = config.end().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let reason = reason(&ended.stderr);
    assert!(reason.contains(&format!("127.0.0.1:{}", config.port())) && reason.contains("in use"), "{reason}");
    drop(held);
}

/// A second gateway on the port of a first takes nothing from it, although both could listen.
#[tokio::test]
async fn a_second_gateway_does_not_share_the_port_of_a_first() {
    let stage = Stage::new().await;
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let second = config(&stage.identity, &database).set("/listen/port", json!(stage.gateway.port()));
    let ended = second.set("/listen/public_url", json!(stage.gateway.url())).end().await.unwrap();
    assert!(reason(&ended.stderr).contains("in use"), "{}", ended.stderr);
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_role_without_ddl_serves_a_schema_that_somebody_else_migrated() {
    let (identity, Postgresql { server, url }) = parts().await;
    let role = server.create_role(&url, "plain_pod", "secret").await.unwrap();
    let poor = || config(&identity, &role).set("/store/migrate", json!(false));
    let ended = poor().end().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = reason(&ended.stderr);
    assert!(said.contains("claude_gateway") && said.contains("version 0") && said.contains("store.migrate"), "{said}");
    assert!(!ended.stderr.contains("does not answer yet"), "an empty schema is no reason to try again");

    drop(config(&identity, &url).start().await.unwrap());
    let grants = "GRANT USAGE ON SCHEMA claude_gateway TO plain_pod;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA claude_gateway TO plain_pod;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA claude_gateway TO plain_pod";
    server.execute(&url, grants).await.unwrap();
    let gateway = poor().start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    tokens.refresh(&gateway.client().unwrap()).await.unwrap();
    let refused = server.execute(&role, "CREATE TABLE claude_gateway.mine (n int)").await;
    assert!(refused.is_err(), "the role has no DDL");
}

/// The same role with `migrate` left on: the reason names the schema, and nothing is half made.
#[tokio::test]
async fn a_role_without_ddl_cannot_migrate_and_says_so() {
    let (identity, Postgresql { server, url }) = parts().await;
    let role = server.create_role(&url, "poor_pod", "secret").await.unwrap();
    let ended = config(&identity, &role).end().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(reason(&ended.stderr).contains("permission denied"), "{}", ended.stderr);
}
