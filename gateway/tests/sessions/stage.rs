//! One provider, one schema, one clock, and the pods that share them.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::rand::SystemRandom;
use axum::{
    Extension, Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use chrono::{Months, TimeDelta};
use e2e::cast::{
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
};
use gateway::{
    boot::{Pulse, pulse::Body as PulseBody},
    clock::{Clock, SystemClock},
    door::{ClientAddress, RequestId},
    identity::RelyingParty,
    oauth::{OauthParts, routes},
    policy::LivePolicies,
    session::{Journal, KeyRing, Lifetimes, Revocations, SessionParts, Sessions, Verifier},
    store::{Store, pod::Pod as PodRow},
    telemetry::{Audit, Lines},
};
use gateway_config::{Oidc, PublicUrl, RateLimit, RateLimits, Readiness, Store as StoreConfig};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tower::ServiceExt;

use crate::{hands::Hands, registration};

pub(crate) const ORIGIN: &str = "https://gateway.example";
pub(crate) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Where the devices and browsers of a test are, unless it says otherwise.
pub(crate) const HOME: &str = "203.0.113.7";

pub(crate) struct Stage {
    pub(crate) provider: OpenIdProvider,
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) script: Script,
    pub(crate) journals: tempfile::TempDir,
    hands: Arc<Hands>,
}

/// What a test may change before its pods start.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) rate_limits: RateLimits,
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) allowed_groups: Vec<String>,
    pub(crate) connections: u32,
    pub(crate) migrate: bool,
    pub(crate) login_notice: Option<String>,
}

pub(crate) struct Pod {
    pub(crate) routes: Router,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) store: Arc<Store>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) lines: Lines,
    pub(crate) written: Written,
    row: PodRow,
    pulse: Option<Pulse>,
}

/// What the audit wrote.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Stage {
    pub(crate) async fn usual() -> Self {
        Self::with(Behaviour::default()).await
    }

    pub(crate) async fn with(behaviour: Behaviour) -> Self {
        Self::on(Postgres::shared().await.unwrap(), behaviour).await
    }

    pub(crate) async fn on(postgres: &Postgres, behaviour: Behaviour) -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        // Limits and waits that only the tests about them should meet.
        let roomy = RateLimit { max: 1_000_000, window: Duration::from_secs(600) };
        let lifetimes = Lifetimes {
            wait: Duration::from_secs(30),
            renewal: Duration::from_secs(20),
            claim: Duration::from_secs(40),
            look: Duration::from_millis(20),
            poll_interval: Duration::ZERO,
            ..Lifetimes::default()
        };
        let script = Script {
            lifetimes,
            rate_limits: RateLimits { device_authorization: roomy, device_verify: roomy },
            secrets: vec!["the first secret of these pods, long enough for all".into()],
            allowed_groups: Vec::new(),
            connections: 3,
            migrate: true,
            login_notice: None,
        };
        Self {
            provider: OpenIdProvider::start(behaviour).await,
            database: postgres.url(),
            schema: format!("stage_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed)),
            script,
            journals: tempfile::tempdir().unwrap(),
            hands: Arc::default(),
        }
    }

    pub(crate) fn scripted(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// Both clocks, ours and the provider's; the database keeps its own.
    pub(crate) fn time_passes(&self, by: TimeDelta) {
        self.hands.turn(&self.provider, by);
    }

    pub(crate) fn store_config(&self) -> StoreConfig {
        StoreConfig {
            postgres_url: self.database.clone().into(),
            username: None,
            password: None,
            max_connections: self.script.connections,
            connect_timeout: Duration::from_secs(20),
            readiness_grace: Duration::ZERO,
            schema: self.schema.clone(),
            migrate: self.script.migrate,
            readiness: Readiness::Strict,
            journal_dir: PathBuf::from(self.journals.path()),
            ca_cert_pem: None,
        }
    }

    fn oidc(&self) -> Oidc {
        Oidc {
            allowed_groups: self.script.allowed_groups.clone(),
            form_action_origins: vec!["https://second-factor.example".to_owned()],
            ..registration::with(&self.provider)
        }
    }

    /// A pod whose tick runs: what is revoked elsewhere reaches it.
    pub(crate) async fn pod(&self) -> Pod {
        let mut pod = self.deaf_pod().await;
        pod.wake().await;
        pod
    }

    pub(crate) async fn pods(&self, count: usize) -> Vec<Pod> {
        let mut pods = Vec::new();
        for _ in 0..count {
            pods.push(self.pod().await);
        }
        pods
    }

    pub(crate) async fn deaf_pods(&self, count: usize) -> Vec<Pod> {
        let mut pods = Vec::new();
        for _ in 0..count {
            pods.push(self.deaf_pod().await);
        }
        pods
    }

    /// A pod that serves and hears nothing.
    pub(crate) async fn deaf_pod(&self) -> Pod {
        static INCARNATIONS: AtomicU32 = AtomicU32::new(0);
        let incarnation = format!("pod-{}", INCARNATIONS.fetch_add(1, Ordering::Relaxed));
        let (clock, random): (Arc<dyn Clock>, _) = (self.hands.clone(), Arc::new(SystemRandom::new()));
        let public_url = PublicUrl::from_origin(ORIGIN.parse().unwrap());
        let redirect_uri = public_url.join("/oauth/callback");
        let relying_party =
            RelyingParty::discover(&self.oidc(), &redirect_uri, registration::egress(), clock.clone()).await;
        let relying_party = Arc::new(relying_party.unwrap());
        let store = Store::open(&self.store_config()).await.unwrap();
        let keys = KeyRing::new(&self.script.secrets).unwrap();
        let written = Written::default();
        let lines = Lines::to(written.clone()).unwrap();
        let sessions = Sessions::new(SessionParts {
            keys: keys.clone(),
            revocations: Arc::new(Revocations::default()),
            store: store.clone(),
            relying_party: relying_party.clone(),
            public_url: public_url.clone(),
            lifetimes: self.script.lifetimes,
            journal: Journal::open(self.journals.path(), &incarnation),
            clock: clock.clone(),
            random: random.clone(),
        });
        let routes = routes(OauthParts {
            sessions: sessions.clone(),
            store: store.clone(),
            keys: keys.clone(),
            relying_party,
            public_url,
            rate_limits: self.script.rate_limits,
            lifetimes: self.script.lifetimes,
            form_action_origins: self.oidc().form_action_origins,
            login_notice: self.script.login_notice.clone(),
            audit: Audit::new(lines.clone(), clock.clone()),
            clock,
            random,
        });
        let verifier = sessions.verifier();
        let row = PodRow { name: incarnation.clone(), incarnation, version: "0.0.0" };
        Pod { routes, verifier, sessions, store, keys, lines, written, row, pulse: None }
    }
}

impl Pod {
    pub(crate) async fn wake(&mut self) {
        let body = PulseBody {
            pod: self.row.clone(),
            store: self.store.clone(),
            sessions: self.sessions.clone(),
            policies: Arc::new(LivePolicies::none()),
            stored: None,
            applied: None,
            clock: Arc::new(SystemClock),
            usage_kept: Months::new(13),
            upstreams: Box::new(Value::default),
        };
        self.pulse = Some(Pulse::start(body).await.unwrap());
    }

    pub(crate) async fn call(&self, from: &str, request: Request<Body>) -> Answer {
        let from: IpAddr = from.parse().unwrap();
        let routes =
            self.routes.clone().layer(Extension(ClientAddress(from))).layer(Extension(RequestId::of([0x5a; 16])));
        let (head, body) = routes.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.call(HOME, Request::get(target).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.call(HOME, post(target, fields)).await
    }

    /// Device and user code.
    pub(crate) async fn start(&self) -> (String, String) {
        let answer = self.post("/oauth/device_authorization", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let body = answer.json();
        (text(&body, "device_code"), text(&body, "user_code"))
    }

    pub(crate) async fn poll(&self, device_code: &str) -> Answer {
        self.post("/oauth/token", &[("grant_type", DEVICE_CODE_GRANT), ("device_code", device_code)]).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// The audit's lines so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        self.lines.flush(Duration::from_secs(10));
        let written = String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap();
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn audited(&self, event: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|line| line["evt"] == event).collect()
    }
}

pub(crate) fn post(target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(target)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::USER_AGENT, "claude-code/2.1.330")
        .body(Body::from(body))
        .unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status and the OAuth error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str) {
        assert_eq!((self.status.as_u16(), self.json()["error"].as_str()), (status, Some(error)), "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        if status == 503 {
            assert!(self.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
        }
    }

    #[track_caller]
    pub(crate) fn tokens(&self) -> (String, String) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let body = self.json();
        (text(&body, "access_token"), text(&body, "refresh_token"))
    }
}

pub(crate) fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}
