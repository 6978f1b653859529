//! The operator's side of Postgres, against a real server: what pods may do, how their login changes, how a set is written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod login;
mod reading;
mod set;
mod trouble;

use aws_lc_rs::rand::SystemRandom;
use e2e::cast::postgres::Postgres;
use operator::store::{DatabaseAccess, GatewayStore, PodLogin};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

/// A database of its own, and the store of a gateway in it whose role may make roles and is no superuser.
pub(crate) struct Place {
    pub(crate) store: GatewayStore,
    /// The superuser's.
    pub(crate) url: String,
    pub(crate) postgres: &'static Postgres,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let postgres = Postgres::shared().await.unwrap();
        let url = postgres.database().await.unwrap();
        Self { store: store(postgres, &url, "claude_gateway").await, url, postgres }
    }

    pub(crate) async fn migrated() -> Self {
        let place = Self::new().await;
        place.store.migrate().await.unwrap();
        place
    }

    pub(crate) async fn login(&self, held: Option<&PodLogin>) -> PodLogin {
        self.store.ensure_pod_login(held, &SystemRandom::new()).await.unwrap()
    }

    pub(crate) fn url_of(&self, login: &PodLogin) -> String {
        as_role(&self.url, &login.username, login.password.expose_secret())
    }

    /// Runs statements as the pods' role; what the server refused them for.
    pub(crate) async fn refusal(&self, login: &PodLogin, statements: &str) -> Option<String> {
        self.postgres.execute(&self.url_of(login), statements).await.err().map(|error| error.to_string())
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }
}

/// The store of one more gateway on a database.
pub(crate) async fn store(postgres: &Postgres, url: &str, schema: &str) -> GatewayStore {
    let database = url::Url::parse(url).unwrap().path().trim_start_matches('/').to_owned();
    let owner = format!("{database}_{schema}_owner");
    let role =
        format!("CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'owns'; GRANT CREATE ON DATABASE {database} TO {owner}");
    postgres.execute(url, &role).await.unwrap();
    GatewayStore::connect(access(&as_role(url, &owner, "owns"), schema)).unwrap()
}

pub(crate) fn access(url: &str, schema: &str) -> DatabaseAccess {
    let (url, schema) = (url.to_owned().into(), schema.to_owned());
    DatabaseAccess { url, username: None, password: None, schema, ca_pem: None }
}

pub(crate) fn as_role(url: &str, name: &str, password: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_username(name).unwrap();
    url.set_password(Some(password)).unwrap();
    url.into()
}
