//! One database, and the pods that share it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::cast::postgres::Postgres;
use gateway::{
    clock::SystemClock,
    identity::Subject,
    spend::{Amount, Book, Flusher, Flushing, Held, Ledger, LimitKey, Meter, OpenReply, Pace, journal::Owner},
    store::Store,
};
use gateway_config::{Readiness, Store as StoreConfig};

/// For a machine that does much besides.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Pod {
    pub(crate) incarnation: String,
    pub(crate) store: Arc<Store>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) book: Arc<Book>,
}

pub(crate) async fn schema() -> StoreConfig {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    StoreConfig {
        postgres_url: Postgres::shared().await.unwrap().url().into(),
        username: None,
        password: None,
        max_connections: 5,
        connect_timeout: Duration::from_secs(30),
        readiness_grace: Duration::ZERO,
        schema: format!("shares_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed)),
        migrate: true,
        readiness: Readiness::Strict,
        journal_dir: "/nowhere".into(),
        ca_cert_pem: None,
    }
}

pub(crate) fn alice() -> Subject {
    Subject("alice".to_owned())
}

pub(crate) fn key(meter: Meter) -> LimitKey {
    LimitKey { subject: alice(), meter }
}

pub(crate) fn owner(incarnation: &str) -> Owner {
    Owner::new("https://gateway.example", incarnation)
}

impl Pod {
    /// Listens for the store's bell, and flushes when told to.
    pub(crate) async fn start(config: &StoreConfig, journals: &Path, incarnation: &str) -> Self {
        let store = Store::open(config).await.unwrap();
        let listening = store.clone();
        tokio::spawn(async move { listening.listen(|| {}).await });
        Self {
            incarnation: incarnation.to_owned(),
            store,
            ledger: Ledger::open(journals, owner(incarnation), Arc::new(SystemClock)),
            book: Book::new(Pace::default()),
        }
    }

    pub(crate) fn flushing(&self) -> Flushing {
        let Self { incarnation, store, ledger, book } = self;
        let (ledger, book, store) = (ledger.clone(), book.clone(), store.clone());
        Flusher { ledger, book, store, incarnation: incarnation.clone() }.start()
    }

    /// Holds as a request does: at once, or after the store has been asked as often as it takes.
    pub(crate) async fn hold(&self, meter: Meter, limit: Amount, amount: Amount) -> Held {
        let (since, mut held) = (Instant::now(), Held::new(self.book.clone(), false));
        let mut news = self.book.news();
        while held.try_add(key(meter), limit, amount, Instant::now()).is_err() {
            assert!(since.elapsed() < PATIENCE, "no share of {meter:?}");
            let want = self.book.want(&key(meter), limit, amount, Instant::now());
            tokio::time::timeout(PATIENCE, news.changed()).await.unwrap().unwrap();
            drop(want);
        }
        held
    }

    pub(crate) fn reply(&self, held: Held) -> OpenReply {
        self.ledger.reply(alice(), "claude-opus-4-8".to_owned(), "one".to_owned(), Some(held))
    }

    /// What the row says is used and granted.
    pub(crate) async fn row(&self, meter: Meter) -> (Amount, Amount) {
        let rows = self.store.limit_states(&alice()).await.unwrap();
        rows.into_iter().find(|row| row.key.meter == meter).map_or((0, 0), |row| (row.used, row.granted))
    }
}
