//! A scripted OpenID provider: good by default, with people whom one can pick, and able to misbehave in every way that a client
//! must survive.
//!
//! It is strict where a client could be sloppy (PKCE, redirect URIs, client authentication, codes used twice) and keeps a
//! record of what it was asked, so that tests read what the gateway really sent.

mod authorization;
mod behaviour;
mod directory;
mod discovery;
mod person;
mod record;
mod server;
mod signing;
mod token;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

pub use behaviour::{AuthMethod, Behaviour, CertifiedClient, Misbehaviour};
pub use directory::GroupDirectory;
pub use person::Person;
pub use record::Recorded;
pub use signing::{Algorithm, SigningKey};

/// Runs until it is dropped.
pub struct OpenIdProvider {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: Mutex<JoinHandle<()>>,
}

/// What the endpoints share.
pub(crate) struct Desk {
    pub(crate) issuer: String,
    pub(crate) books: Mutex<Books>,
}

pub(crate) struct Books {
    pub(crate) behaviour: Behaviour,
    /// The last signs; all are published.
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) codes: HashMap<String, token::Code>,
    pub(crate) refresh_tokens: HashMap<String, token::Grant>,
    /// Access token to subject.
    pub(crate) access_tokens: HashMap<String, String>,
    pub(crate) requests: Vec<Recorded>,
}

impl Desk {
    pub(crate) fn new(issuer: String, behaviour: Behaviour) -> Self {
        let books = Books {
            keys: vec![SigningKey::generate(behaviour.algorithm)],
            behaviour,
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            requests: Vec::new(),
        };
        Self { issuer, books: Mutex::new(books) }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenIdProvider {
    pub async fn start(behaviour: Behaviour) -> Self {
        Self::start_on(behaviour, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address that others know beforehand.
    pub async fn start_on(behaviour: Behaviour, address: SocketAddr) -> Self {
        Self::start_named(behaviour, address, None).await
    }

    /// The same under a name of its own, where others reach it by another road than its address.
    pub async fn start_as(behaviour: Behaviour, issuer: &str) -> Self {
        Self::start_named(behaviour, SocketAddr::from(([127, 0, 0, 1], 0)), Some(issuer)).await
    }

    async fn start_named(behaviour: Behaviour, address: SocketAddr, issuer: Option<&str>) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let issuer = issuer.map_or_else(|| format!("http://{address}"), str::to_owned);
        let desk = Arc::new(Desk::new(issuer, behaviour));
        let serving = Mutex::new(server::serve(listener, desk.clone()));
        Self { address, desk, serving }
    }

    pub fn issuer(&self) -> String {
        self.desk.issuer.clone()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn client_id(&self) -> String {
        self.desk.books().behaviour.client_id.clone()
    }

    pub fn client_secret(&self) -> String {
        self.desk.books().behaviour.client_secret.clone()
    }

    /// Changes the script while it runs.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.desk.books().behaviour);
    }

    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.behave(|behaviour| behaviour.misbehaviour = Some(misbehaviour));
    }

    pub fn behave_well(&self) {
        self.behave(|behaviour| behaviour.misbehaviour = None);
    }

    /// A new key signs from now on; the old ones are no longer published.
    pub fn rotate_keys(&self) {
        let mut books = self.desk.books();
        books.keys = vec![SigningKey::generate(books.behaviour.algorithm)];
    }

    /// A new key signs from now on, and the old ones stay published.
    pub fn add_key(&self) {
        let mut books = self.desk.books();
        let key = SigningKey::generate(books.behaviour.algorithm);
        books.keys.push(key);
    }

    /// From now on the person's refresh tokens answer `invalid_grant`, and signing in is denied.
    pub fn disable(&self, sub: &str) {
        self.behave(|behaviour| behaviour.person_mut(sub).enabled = false);
    }

    pub fn enable(&self, sub: &str) {
        self.behave(|behaviour| behaviour.person_mut(sub).enabled = true);
    }

    /// Connections are refused until [`Self::come_back`].
    pub async fn go_away(&self) {
        let serving = std::mem::replace(&mut *self.lock_serving(), tokio::spawn(async {}));
        serving.abort();
        // Its listener is closed once the task is gone.
        let _ = serving.await;
    }

    pub async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the provider's port is still free");
        *self.lock_serving() = server::serve(listener, self.desk.clone());
    }

    /// What a browser would do with the authorization URL: pick the person, and follow to the callback's URL.
    pub fn approve(&self, authorization: &Url, sub: &str) -> Url {
        let mut url = authorization.clone();
        url.query_pairs_mut().append_pair("login_hint", sub);
        let asked = Recorded::of_url("GET", &url);
        self.desk.books().requests.push(asked.clone());
        authorization::callback(&self.desk, &asked, sub).expect("the authorization request is complete")
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.desk.books().requests.clone()
    }

    pub fn requests_to(&self, path: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    fn lock_serving(&self) -> MutexGuard<'_, JoinHandle<()>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.lock_serving().abort();
    }
}
