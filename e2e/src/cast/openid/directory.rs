//! Google's group directory, scripted: a token endpoint that checks the service account's assertion, and pages of groups.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    record::Recorded,
    server::{self, Answer, answer},
};

const ACCESS_TOKEN: &str = "directory-access-token";
const PAGE: usize = 2;

/// Runs until it is dropped. Pages hold two groups, so that three are two pages.
pub struct GroupDirectory {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    serving: JoinHandle<()>,
}

struct Shelf {
    token_uri: String,
    account: String,
    admin: String,
    public_key_pem: String,
    groups: HashMap<String, Vec<String>>,
    /// Answers every question with this status while it is set.
    broken: Mutex<Option<u16>>,
    requests: Mutex<Vec<Recorded>>,
}

impl GroupDirectory {
    /// `account` signs with the private half of `public_key_pem` and acts for `admin`.
    pub async fn start(account: &str, admin: &str, public_key_pem: &str, groups: &[(&str, &[&str])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let owned = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect();
        let shelf = Arc::new(Shelf {
            token_uri: format!("http://{address}/token"),
            account: account.to_owned(),
            admin: admin.to_owned(),
            public_key_pem: public_key_pem.to_owned(),
            groups: groups.iter().map(|(email, groups)| ((*email).to_owned(), owned(groups))).collect(),
            broken: Mutex::new(None),
            requests: Mutex::new(Vec::new()),
        });
        let desk = shelf.clone();
        let serving = server::accept(listener, move |request| {
            let shelf = desk.clone();
            async move { shelf.answer(server::recorded(request).await) }
        });
        Self { address, shelf, serving }
    }

    pub fn base(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn token_uri(&self) -> String {
        self.shelf.token_uri.clone()
    }

    pub fn break_with(&self, status: Option<u16>) {
        *self.shelf.broken.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.shelf.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GroupDirectory {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shelf {
    fn answer(&self, asked: Recorded) -> Answer {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        if let Some(status) = *self.broken.lock().unwrap_or_else(PoisonError::into_inner) {
            return answer(status, &json!({"error": "invalid_grant"}));
        }
        match asked.path.as_str() {
            "/token" if self.assertion_holds(&asked) => {
                answer(200, &json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3599}))
            }
            "/token" => answer(400, &json!({"error": "invalid_grant"})),
            "/admin/directory/v1/groups" => self.groups(&asked),
            _ => answer(404, &json!({})),
        }
    }

    fn assertion_holds(&self, asked: &Recorded) -> bool {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.token_uri]);
        validation.set_issuer(&[&self.account]);
        validation.sub = Some(self.admin.clone());
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let key = DecodingKey::from_rsa_pem(self.public_key_pem.as_bytes()).expect("the account's key is one");
        let assertion = asked.form("assertion").unwrap_or_default();
        let granted = asked.form("grant_type") == Some("urn:ietf:params:oauth:grant-type:jwt-bearer");
        granted
            && jsonwebtoken::decode::<Value>(assertion, &key, &validation).is_ok_and(|token| {
                token.claims["scope"] == "https://www.googleapis.com/auth/admin.directory.group.readonly"
            })
    }

    fn groups(&self, asked: &Recorded) -> Answer {
        if asked.header("authorization") != Some(&format!("Bearer {ACCESS_TOKEN}")) {
            return answer(401, &json!({"error": {"code": 401}}));
        }
        let Some(groups) = asked.query("userKey").and_then(|email| self.groups.get(email)) else {
            return answer(404, &json!({"error": {"code": 404}}));
        };
        let start: usize = asked.query("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0);
        let end = groups.len().min(start + PAGE);
        // A page without groups leaves the list out altogether.
        let mut page = json!({"kind": "admin#directory#groups"});
        if start < end {
            page["groups"] = groups[start..end].iter().map(|email| json!({ "email": email })).collect();
        }
        if end < groups.len() {
            page["nextPageToken"] = json!(end.to_string());
        }
        answer(200, &page)
    }
}
