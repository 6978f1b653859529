//! A schema of one's own, and the words of flushes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use e2e::cast::postgres::{self, Postgres};
use gateway::{
    identity::Subject,
    spend::{Amount, Counts, LimitKey, Meter, Pace, UsageDelta, UsageKey, escrow::Report, escrow::row::Row},
    store::{Store, flush::Flush},
};
use gateway_config::{Readiness, Store as StoreConfig};
use sqlx::PgPool;

pub(crate) struct Stage {
    pub(crate) store: Arc<Store>,
    /// The superuser's, in the same schema, for what no pod may do.
    pub(crate) pool: PgPool,
    pub(crate) schema: String,
}

impl Stage {
    pub(crate) async fn new(connections: u32) -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("escrow_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let url = Postgres::shared().await.unwrap().url();
        let store = Store::open(&config(&url, &schema, connections, true)).await.unwrap();
        let in_schema = format!("{url}?options=-c%20search_path%3D{schema}");
        Self { store, pool: postgres::pool(&in_schema).await.unwrap(), schema }
    }

    /// As another role, which may not migrate.
    pub(crate) async fn store_as(&self, url: &str) -> Arc<Store> {
        Store::open(&config(url, &self.schema, 1, false)).await.unwrap()
    }

    pub(crate) async fn row(&self, key: &LimitKey) -> Option<Row> {
        let (rows, _) = self.store.limit_rows(&key.subject).await.unwrap();
        rows.into_iter().find(|row| row.key == *key)
    }

    pub(crate) async fn usage(&self, subject: &Subject) -> Vec<UsageDelta> {
        let (from, until) = (DateTime::UNIX_EPOCH, "2100-01-01T00:00:00Z".parse().unwrap());
        self.store.usage_between(Some(subject), from, until).await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        sqlx::query(statement).execute(&self.pool).await.unwrap().rows_affected()
    }
}

fn config(url: &str, schema: &str, connections: u32, migrate: bool) -> StoreConfig {
    StoreConfig {
        postgres_url: url.to_owned().into(),
        username: None,
        password: None,
        max_connections: connections + 2,
        connect_timeout: Duration::from_secs(30),
        readiness_grace: Duration::ZERO,
        schema: schema.to_owned(),
        migrate,
        readiness: Readiness::Strict,
        journal_dir: "/nowhere".into(),
        ca_cert_pem: None,
    }
}

pub(crate) fn key(subject: &str, meter: Meter) -> LimitKey {
    LimitKey { subject: Subject(subject.to_owned()), meter }
}

/// A report that says nothing.
pub(crate) fn report(key: &LimitKey, limit: Amount) -> Report {
    Report { key: key.clone(), limit, spent: 0, held: 0, given_back: 0, wanted: 0, needed: 0, closed: false }
}

pub(crate) fn wants(key: &LimitKey, limit: Amount, amount: Amount) -> Report {
    Report { wanted: amount, needed: amount, ..report(key, limit) }
}

pub(crate) fn flush(incarnation: &str, sequence: i64, reports: Vec<Report>) -> Flush {
    Flush { incarnation: incarnation.to_owned(), sequence, usage: Vec::new(), reports }
}

pub(crate) fn usage(subject: &str, hour: DateTime<Utc>, requests: i64) -> UsageDelta {
    let key = UsageKey {
        subject: Subject(subject.to_owned()),
        model: "claude-opus-4-8".to_owned(),
        upstream: "one".to_owned(),
        hour,
    };
    UsageDelta { key, counts: Counts { requests, input_tokens: 10 * requests, ..Counts::default() } }
}

/// Holds last as long as a busy machine needs.
pub(crate) fn patient() -> Pace {
    Pace { lease: Duration::from_secs(600), want: Duration::from_secs(600), ..Pace::default() }
}
