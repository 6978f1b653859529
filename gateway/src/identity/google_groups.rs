//! Groups of a Google Workspace person: Google's ID tokens carry none, so the Directory API is asked, by a service account that
//! acts for an administrator (RFC 7523 authorization grant).

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use gateway_config::GoogleGroups;
use gateway_egress::Client;
use http::{HeaderValue, StatusCode, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use super::{provider, relying_party::SignInError, token_endpoint};
use crate::clock::Clock;

const SCOPE: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DIRECTORY: &str = "https://admin.googleapis.com/";
const ASSERTION_SECONDS: i64 = 3600;
/// 200 groups each.
const MAX_PAGES: usize = 50;

/// A Google service-account key file, never printed. `admin_directory_uri` is ours: the API behind a private endpoint.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Url,
    admin_directory_uri: Option<Url>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(rename = "nextPageToken")]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    email: String,
}

struct Grant {
    access_token: SecretString,
    directory: Url,
    until: DateTime<Utc>,
}

pub(super) struct GroupDirectory {
    client: Client,
    clock: Arc<dyn Clock>,
    key_file: PathBuf,
    admin_email: String,
    grant: Mutex<Option<Arc<Grant>>>,
}

impl GroupDirectory {
    /// Reads the key file once, so that a wrong one is found at boot; it is read anew for each grant.
    pub(super) async fn open(
        config: &GoogleGroups,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        let directory = Self {
            client,
            clock,
            key_file: config.service_account_json_path.clone(),
            admin_email: config.admin_email.clone(),
            grant: Mutex::new(None),
        };
        let account = directory.service_account().await?;
        directory.assertion(&account)?;
        Ok(directory)
    }

    /// The e-mail addresses of all groups that the person is a direct member of.
    pub(super) async fn groups_of(&self, email: &str) -> Result<Vec<String>, SignInError> {
        let grant = self.grant().await?;
        let mut groups = Vec::new();
        let mut page_token = None;
        for _ in 0..MAX_PAGES {
            let Some(page) = self.page(&grant, email, page_token.as_deref()).await? else { return Ok(Vec::new()) };
            groups.extend(page.groups.into_iter().map(|group| group.email));
            page_token = page.next_page_token.filter(|token| !token.is_empty());
            if page_token.is_none() {
                return Ok(groups);
            }
        }
        Err(unavailable("the group directory has no last page"))
    }

    /// `None`: the directory does not know the person.
    async fn page(&self, grant: &Grant, email: &str, page_token: Option<&str>) -> Result<Option<Page>, SignInError> {
        let mut url = grant.directory.clone();
        url.query_pairs_mut()
            .append_pair("userKey", email)
            .append_pair("maxResults", "200")
            .append_pair("fields", "groups(email),nextPageToken")
            .extend_pairs(page_token.map(|token| ("pageToken", token)));
        let mut request = provider::get(&url)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", grant.access_token.expose_secret()))
            .map_err(|_| unavailable("the group directory's token cannot be sent"))?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let answer = provider::send(&self.client, request).await?;
        match answer.status() {
            StatusCode::OK => serde_json::from_slice(answer.body())
                .map(Some)
                .map_err(|_| unavailable("the group directory's answer cannot be read")),
            StatusCode::NOT_FOUND => Ok(None),
            status => {
                // A revoked grant must not be kept for its hour.
                *self.grant.lock().await = None;
                Err(unavailable(&format!("the group directory answered {status}")))
            }
        }
    }

    /// One grant serves everybody for most of an hour; whoever comes while it is renewed waits for it.
    async fn grant(&self) -> Result<Arc<Grant>, SignInError> {
        let mut held = self.grant.lock().await;
        if let Some(grant) = held.as_ref().filter(|grant| self.clock.now() < grant.until) {
            return Ok(grant.clone());
        }
        let account = self.service_account().await?;
        let form = vec![("grant_type", GRANT.to_owned()), ("assertion", self.assertion(&account)?)];
        let reply = token_endpoint::ask(&self.client, &account.token_uri, None, &form)
            .await
            .map_err(|error| unavailable(&format!("no token for the group directory: {error}")))?;
        let lifetime = i64::try_from(reply.expires_in.unwrap_or(600)).unwrap_or(600).min(ASSERTION_SECONDS);
        let base = account.admin_directory_uri.map_or_else(|| Url::parse(DIRECTORY), Ok);
        let directory = base.and_then(|base| base.join("/admin/directory/v1/groups"));
        let grant = Arc::new(Grant {
            access_token: reply.access_token,
            directory: directory.map_err(|_| unavailable("the group directory has no usable address"))?,
            until: self.clock.now() + TimeDelta::seconds(lifetime - 60),
        });
        *held = Some(grant.clone());
        Ok(grant)
    }

    async fn service_account(&self) -> Result<ServiceAccount, SignInError> {
        let path = self.key_file.display();
        let text = tokio::fs::read(&self.key_file).await.map_err(|error| unavailable(&format!("{path}: {error}")))?;
        // The parser's message might quote the key.
        serde_json::from_slice(&text).map_err(|_| unavailable(&format!("{path} is no service-account key file")))
    }

    fn assertion(&self, account: &ServiceAccount) -> Result<String, SignInError> {
        let unusable = |_| unavailable("the service account's private key cannot be used");
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes()).map_err(unusable)?;
        let header = Header { kid: account.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let now = self.clock.now().timestamp();
        let claims = json!({
            "iss": account.client_email,
            "sub": self.admin_email,
            "scope": SCOPE,
            "aud": account.token_uri.as_str(),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        jsonwebtoken::encode(&header, &claims, &key).map_err(unusable)
    }
}

fn unavailable(reason: &str) -> SignInError {
    SignInError::Unavailable { reason: reason.to_owned() }
}
