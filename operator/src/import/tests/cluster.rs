//! The objects in a cluster, and what the operator makes of them: the file that pods read, and the documents of policies.

use std::{collections::BTreeMap, io, path::Path};

use crds::{ClaudeGateway, UserPolicy};
use gateway_config::{AnthropicAuth, ClientAuthentication, Config, Environment, Files, Policy, Provider};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Imported, objects, of_kind};
use crate::{
    gateway::{
        dereference::{Dereferenced, Foreign},
        kinds::Kind,
        references::{CONFIG_MAPS, References, SECRETS},
        rendering::{self, Decided},
        validate::{ValidatedGateway, validate},
    },
    policy::document::judged,
};

/// The objects, filled in, in a cluster.
pub(super) struct Cluster {
    gateway: ValidatedGateway,
    secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    policies: Vec<UserPolicy>,
}

impl Cluster {
    pub(super) fn of(imported: &Imported, fill: &dyn Fn(&str) -> Option<String>) -> Self {
        let objects = objects(imported);
        let mut secrets = BTreeMap::new();
        for secret in of_kind(&objects, "Secret") {
            assert_eq!(secret["metadata"]["labels"]["claude-gateway.dev/use"], "gateway");
            let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
            let data = secret["stringData"].as_object().unwrap().iter().map(|(key, value)| {
                let place = format!("{name}/{key}");
                let open = imported.to_fill_in.contains(&place);
                let value = value.as_str().unwrap();
                assert_eq!(open, value.contains("FILL-IN"), "{place}");
                let value = open.then(|| fill(&place)).flatten().unwrap_or_else(|| value.to_owned());
                (key.clone(), value.into_bytes())
            });
            secrets.insert(name.clone(), data.collect());
        }
        let [gateway] = of_kind(&objects, "ClaudeGateway").try_into().unwrap();
        let mut gateway: ClaudeGateway = serde_json::from_value(gateway).unwrap();
        gateway.metadata.uid = Some("a".to_owned());
        let found =
            secrets.iter().map(|(name, data): (&String, &BTreeMap<_, _>)| (name.clone(), Foreign::Found(data.clone())));
        let world = Dereferenced {
            references: References::of(&gateway.spec),
            secrets: found.collect(),
            config_maps: BTreeMap::new(),
            config: None,
            keys: None,
            deployment: None,
            issued: None,
            renewal: None,
            served: Kind::ALL.to_vec(),
        };
        for (name, keys) in world.references.mounted.iter().chain(&world.references.private) {
            let held = secrets.get(name).unwrap_or_else(|| panic!("no Secret {name}"));
            keys.iter().for_each(|key| assert!(held.contains_key(key), "{name} has no {key}"));
        }
        let validated = validate(&gateway, &world, Some("image:1"));
        let policies =
            of_kind(&objects, "UserPolicy").into_iter().map(|policy| serde_json::from_value(policy).unwrap());
        Self {
            gateway: validated.unwrap_or_else(|finding| panic!("{}", finding.message())),
            secrets,
            policies: policies.collect(),
        }
    }

    /// What a pod reads.
    pub(super) fn config(&self, environment: &Environment) -> Config {
        let decided = Decided {
            database_url: self.gateway.database_url.clone(),
            username: "pods".to_owned(),
            password_path: "/password".to_owned(),
            key_ids: vec!["key".to_owned()],
        };
        let text = rendering::tree(&self.gateway.spec, &decided).to_string();
        let loaded = Config::parse(&text, environment, self);
        loaded.unwrap_or_else(|errors| panic!("{errors}\n{text}")).config
    }

    /// In the order in which pods try them; the base has no place among them.
    pub(super) fn documents(&self) -> Vec<Value> {
        let mut policies: Vec<_> = self.policies.iter().collect();
        policies.sort_by_key(|policy| (-policy.spec.priority, policy.metadata.name.clone()));
        policies.iter().map(|policy| judged(&policy.spec).unwrap().document.as_ref().clone()).collect()
    }
}

impl Files for Cluster {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        assert!(!path.starts_with(CONFIG_MAPS));
        let Ok(below) = path.strip_prefix(SECRETS) else { return Ok([b'x'; 64].to_vec()) };
        let (name, key) = below.to_str().unwrap().split_once('/').unwrap();
        let data = self.secrets.get(name).and_then(|secret| secret.get(key));
        data.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What a file says, section by section and with its secrets, of all that is a ClaudeGateway's to say.
pub(super) fn said(config: &Config) -> BTreeMap<&'static str, String> {
    let shown = |secret: &SecretString| secret.expose_secret().to_owned();
    let Config {
        listen,
        oidc,
        session,
        store,
        upstreams,
        models,
        auto_include_builtin_models,
        access_control,
        limits,
        timeouts,
        rate_limits,
        managed: _,
        telemetry: _,
        admin,
        enforcement,
        pricing: _,
        load_test_mode: _,
        files: _,
    } = config;
    let proof = match &oidc.authentication {
        ClientAuthentication::Negotiated(secret)
        | ClientAuthentication::Basic(secret)
        | ClientAuthentication::Post(secret) => shown(secret),
        ClientAuthentication::PrivateKeyJwt(pair) => {
            format!("{} {}", shown(&pair.private_key_pem).trim(), pair.certificate_pem.trim())
        }
    };
    let mut provider = oidc.clone();
    provider.ca_cert_pem = provider.ca_cert_pem.map(|pem| pem.trim().to_owned());
    if let Some(google) = &mut provider.google_groups {
        google.service_account_json_path = "/".into();
    }
    if let ClientAuthentication::PrivateKeyJwt(pair) = &mut provider.authentication {
        pair.certificate_pem = pair.certificate_pem.trim().to_owned();
    }
    let mut credentials = Vec::new();
    let mut ways = upstreams.clone();
    for upstream in &mut ways {
        upstream.ca_cert_pem = upstream.ca_cert_pem.take().map(|pem| pem.trim().to_owned());
        upstream.headers.sort_by(|one, other| one.name.cmp(&other.name));
        credentials.extend(upstream.headers.iter().map(|header| (header.name.clone(), shown(&header.value))));
        let Provider::Anthropic { auth, .. } = &mut upstream.provider;
        match auth {
            AnthropicAuth::ApiKey(key) | AnthropicAuth::OauthToken(key) => {
                credentials.push((upstream.name.clone(), shown(key)));
            }
            AnthropicAuth::WorkloadIdentity(identity) => identity.identity_token_file = "/".into(),
        }
    }
    let keys = admin.iter().flat_map(|admin| admin.write_keys.iter().chain(&admin.read_keys));
    let keys: Vec<_> = keys.map(|key| (key.id.clone(), shown(&key.key))).collect();
    let admin = admin
        .as_ref()
        .map(|admin| (&admin.write_keys, &admin.read_keys, &admin.admin_groups, admin.spend_retention_months));
    let store_says =
        (&store.schema, store.max_connections, store.connect_timeout, store.ca_cert_pem.as_ref().map(|pem| pem.trim()));
    let metrics = listen.metrics.map(|address| address.port());
    BTreeMap::from([
        ("listen", format!("{} {:?} {metrics:?}", listen.public_url.as_str(), listen.trusted_proxies)),
        ("oidc", format!("{provider:?} {proof}")),
        ("session", format!("{:?} {:?}", session.ttl, session.max_age)),
        ("store", format!("{store_says:?}")),
        ("upstreams", format!("{ways:?} {credentials:?}")),
        ("models", format!("{models:?} {auto_include_builtin_models}")),
        ("door", format!("{access_control:?} {limits:?} {timeouts:?} {rate_limits:?}")),
        ("admin", format!("{admin:?} {keys:?} {enforcement:?}")),
    ])
}

/// The role that migrates, and where: as one URL.
pub(super) fn database(url: &str, username: Option<&str>, password: Option<&str>) -> String {
    let mut url = url::Url::parse(url).unwrap();
    if let Some(name) = username {
        url.set_username(name).unwrap();
    }
    if password.is_some() {
        url.set_password(password).unwrap();
    }
    url.into()
}

pub(super) fn in_order(policies: &[Policy]) -> (Vec<Value>, Option<Value>) {
    let documents = policies.iter().map(|policy| {
        let mut document = policy.to_document();
        // Rows are called by their objects.
        document.as_object_mut().unwrap().shift_remove("name");
        document
    });
    // One of each mode may be a base; their places among the others do not matter.
    let (mut bases, others): (Vec<_>, Vec<_>) = documents.partition(|document| document["match"] == json!({}));
    bases.sort_by_key(Value::to_string);
    (others, (!bases.is_empty()).then(|| Value::from(bases)))
}

pub(super) fn assert_same(text: &str, cluster: &Cluster, environment: &Environment, resolved: &dyn Files) {
    let original =
        Config::parse(text, environment, resolved).unwrap_or_else(|errors| panic!("{errors}\n{text}")).config;
    let again = cluster.config(environment);
    let (one, other) = (said(&original), said(&again));
    for (section, says) in &one {
        assert_eq!(Some(says), other.get(section), "{section} of\n{text}");
    }
    let access = &cluster.gateway.access;
    let password = access.password.as_ref().map(|word| word.expose_secret());
    let reached = database(access.url.expose_secret(), access.username.as_deref(), password);
    assert_eq!(reached, original.store.postgres_url.expose_secret());
    let before = original.managed.map(|managed| managed.policies).unwrap_or_default();
    let after: Vec<_> = cluster.documents().iter().map(|document| Policy::from_document(document).unwrap()).collect();
    assert_eq!(in_order(&before), in_order(&after), "{text}");
}
