//! Three gateways that are one to their clients: one Postgres behind a wire that can be cut, one provider, one public URL.

use std::{fs, path::PathBuf, time::Duration};

use e2e::cast::{
    client::Client,
    fleet::{another, metric},
    gateway::Gateway,
    openid::{Behaviour, OpenIdProvider},
    people::People,
    ports::free_address,
    postgres::Postgres,
    provider::Provider,
    stage::Stage,
};
use rustix::process::Signal;
use serde_json::json;
use url::Url;

use crate::{eventually, told::Told, wire::Wire};

pub(crate) const PODS: usize = 3;
/// Nobody runs into it; what is used of it is counted all the same.
const PLENTY: u64 = 1_000_000_000_000;
/// Everybody's subject begins so.
pub(crate) const PERSON: &str = "a-person-of-the-ledger-";

pub(crate) struct Fleet {
    pub(crate) pods: Vec<Pod>,
    pub(crate) people: People,
    pub(crate) postgres: Postgres,
    pub(crate) wire: Wire,
    pub(crate) provider: Provider,
    pub(crate) database: String,
    _identity: OpenIdProvider,
}

pub(crate) struct Pod {
    pub(crate) gateway: Gateway,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let postgres = Postgres::start().await.unwrap();
        let database = postgres.database().await.unwrap();
        let wire = Wire::to(([127, 0, 0, 1], postgres.port()).into(), PERSON).await;
        let mut through_the_wire = Url::parse(&database).unwrap();
        through_the_wire.set_port(Some(wire.port())).unwrap();
        let provider = Provider::builder().threads(1).start().unwrap();
        let identity = OpenIdProvider::start(Behaviour::default()).await;
        let limits = json!([{"name": "everybody", "match": {}, "limits": {"tokens_per_day": PLENTY}}]);
        let config = Stage::config(&identity, through_the_wire.as_str(), std::slice::from_ref(&provider)).unwrap();
        let config = config.set("/listen/metrics", json!(free_address().unwrap())).set("/managed/policies", limits);
        let mut pods = vec![Pod { gateway: config.start().await.unwrap() }];
        while pods.len() < PODS {
            pods.push(Pod { gateway: another(&pods[0].gateway).unwrap().start().await.unwrap() });
        }
        let people = People::of(&pods[0].gateway).await.unwrap();
        Self { pods, people, postgres, wire, provider, database, _identity: identity }
    }

    /// A client of each pod.
    pub(crate) fn clients(&self) -> Vec<Client> {
        self.pods.iter().map(|pod| pod.gateway.client().unwrap()).collect()
    }

    /// What the store knows.
    pub(crate) async fn told(&self) -> Told {
        Told::read(&self.database).await
    }

    /// Waits until the store knows everything that living and dead processes have counted.
    pub(crate) async fn settle(&self) {
        for pod in &self.pods {
            eventually("everything is flushed", async || pod.metric("ledger_unflushed_keys").await == Some(0.0)).await;
            eventually("dead processes' journals are told", async || pod.journals().len() == 1).await;
        }
    }

    /// Everybody drains; nothing may be left to tell.
    pub(crate) async fn end(mut self) -> Told {
        for pod in &mut self.pods {
            pod.gateway.signal(Signal::TERM).unwrap();
            assert!(pod.gateway.exit(Duration::from_secs(30)).await.unwrap().success());
            assert!(pod.journals().is_empty(), "{:?}", pod.journals());
        }
        self.told().await
    }
}

impl Pod {
    /// A pod that comes up while Postgres does not answer gives up, and is started again, as its platform would.
    pub(crate) async fn kill_and_restart(&mut self) {
        let mut tries = 0;
        while let Err(error) = self.gateway.restart().await {
            tries += 1;
            assert!(tries < 5, "{error}");
        }
    }

    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.gateway, name).await.ok()
    }

    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let directory = self.gateway.setting("/store/journal_dir");
        let files = fs::read_dir(directory.as_str().unwrap()).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("usage-"))).collect()
    }
}
