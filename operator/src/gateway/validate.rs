//! Judges a gateway and what it refers to; pure. What passes is a [`ValidatedGateway`], and nothing downstream sees anything
//! else.

use std::{collections::BTreeMap, io, path::Path};

use aws_lc_rs::digest;
use crds::{
    ClaudeGateway, ClaudeGatewaySpec, PERMITTED_USE,
    gateway::{
        database::{Database, SslMode},
        exposure::{ExposureKind, Tls},
        image::Image,
    },
};
use gateway_config::{Config, Environment, Files};
use kube::ResourceExt;
use secrecy::SecretString;
use url::Url;

use super::{
    condition::{Finding, Reason},
    dereference::{Dereferenced, Foreign},
    kinds::{self, Kind},
    references::{self, References, CONFIG_MAPS, SECRETS},
    rendering::{self, Decided},
};
use crate::store::DatabaseAccess;

/// Objects are called like the gateway with up to seven letters more, and a Service's name is a label.
const NAME: usize = 56;

/// Which object this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Who pods are at the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodRole {
    /// The operator makes it.
    Made,
    /// Somebody else made it.
    Given { username: String, password_path: String },
}

/// A gateway whose every reference resolves and whose file a pod would take.
#[derive(Debug, Clone)]
pub struct ValidatedGateway {
    pub identity: Identity,
    pub spec: ClaudeGatewaySpec,
    pub references: References,
    pub public_url: Url,
    pub image: String,
    pub access: DatabaseAccess,
    pub pod_role: PodRole,
    /// For pods: without user and password.
    pub database_url: String,
    /// The CA of the identity provider.
    pub issuer_ca: Option<String>,
    /// Of what stands in a Secret or a ConfigMap and is read only when a pod starts.
    pub lasting_values: String,
    /// The leaf certificate that the public address shows, in PEM form.
    pub leaf: Option<Vec<u8>>,
    pub served: Vec<Kind>,
}

pub fn validate(
    gateway: &ClaudeGateway,
    world: &Dereferenced,
    default_image: Option<&str>,
) -> Result<ValidatedGateway, Finding> {
    let identity = identity(gateway)?;
    let values = Values::of(world)?;
    let spec = gateway.spec.clone();
    served(&spec, &world.served)?;
    let image = image(spec.image.as_ref(), default_image)?;
    let (access, database_url) = database(&spec.database, &values)?;
    let pod_role = match &spec.database.pod_secret_ref {
        None => PodRole::Made,
        Some(role) => PodRole::Given {
            username: values.text(&role.name, &role.username_key)?,
            password_path: references::secret_path(&role.name, &role.password_key),
        },
    };
    let public_url = Url::parse(&spec.public_url)
        .map_err(|_| Finding::bad(Reason::ConfigurationInvalid, "publicUrl is no URL: write one such as https://claude.example.com"))?;
    judge_file(&spec, &database_url, &values)?;
    Ok(ValidatedGateway {
        issuer_ca: spec.oidc.ca_certificate.as_ref().map(|ca| values.ca(ca)).transpose()?,
        lasting_values: lasting_values(&spec, &values)?,
        leaf: leaf(&spec, world),
        references: world.references.clone(),
        served: world.served.clone(),
        identity,
        public_url,
        image,
        access,
        pod_role,
        database_url,
        spec,
    })
}

fn identity(gateway: &ClaudeGateway) -> Result<Identity, Finding> {
    let name = gateway.name_any();
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > NAME || !name.chars().all(letters) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let message = format!(
            "The name has to begin with a letter, hold small letters, digits and `-` only, and be at most {NAME} long, because \
             a Service is called like it. Make the gateway anew under another name."
        );
        return Err(Finding::bad(Reason::NameInvalid, message));
    }
    Ok(Identity { namespace: gateway.namespace().unwrap_or_default(), name, uid: gateway.uid().unwrap_or_default() })
}

/// What the references hold.
struct Values<'a> {
    secrets: BTreeMap<&'a str, &'a BTreeMap<String, Vec<u8>>>,
    config_maps: BTreeMap<&'a str, &'a BTreeMap<String, Vec<u8>>>,
}

impl<'a> Values<'a> {
    fn of(world: &'a Dereferenced) -> Result<Self, Finding> {
        let mut values = Self { secrets: BTreeMap::new(), config_maps: BTreeMap::new() };
        for (name, secret) in &world.secrets {
            values.secrets.insert(name, found_secret(name, secret)?);
        }
        for (name, map) in &world.config_maps {
            let Foreign::Found(data) = map else {
                let message = format!("The ConfigMap {name} does not exist. Make it; it is used as soon as it is there.");
                return Err(Finding::bad(Reason::ConfigMapMissing, message));
            };
            values.config_maps.insert(name, data);
        }
        for (name, keys) in world.references.mounted.iter().chain(&world.references.private) {
            keys.iter().try_for_each(|key| values.secret(name, key).map(drop))?;
        }
        for (name, keys) in &world.references.config_maps {
            keys.iter().try_for_each(|key| values.config_map(name, key).map(drop))?;
        }
        Ok(values)
    }

    fn secret(&self, name: &str, key: &str) -> Result<&'a [u8], Finding> {
        let value = self.secrets.get(name).and_then(|data| data.get(key));
        value.map(Vec::as_slice).ok_or_else(|| {
            let message = format!("The Secret {name} has no key {key}. Add it, or correct the reference.");
            Finding::bad(Reason::SecretKeyMissing, message)
        })
    }

    fn config_map(&self, name: &str, key: &str) -> Result<&'a [u8], Finding> {
        let value = self.config_maps.get(name).and_then(|data| data.get(key));
        value.map(Vec::as_slice).ok_or_else(|| {
            let message = format!("The ConfigMap {name} has no key {key}. Add it, or correct the reference.");
            Finding::bad(Reason::ConfigMapKeyMissing, message)
        })
    }

    fn text(&self, name: &str, key: &str) -> Result<String, Finding> {
        let text = std::str::from_utf8(self.secret(name, key)?).map_err(|_| {
            let message = format!("The key {key} of the Secret {name} is not text. Put the value itself into it.");
            Finding::bad(Reason::ConfigurationInvalid, message)
        })?;
        Ok(text.trim().to_owned())
    }

    fn ca(&self, certificate: &crds::CaCertificate) -> Result<String, Finding> {
        let pem = match certificate {
            crds::CaCertificate::SecretRef(key) => self.secret(&key.name, &key.key)?,
            crds::CaCertificate::ConfigMapRef(key) => self.config_map(&key.name, &key.key)?,
        };
        Ok(String::from_utf8_lossy(pem).into_owned())
    }
}

fn found_secret<'a>(name: &str, secret: &'a Foreign) -> Result<&'a BTreeMap<String, Vec<u8>>, Finding> {
    match secret {
        Foreign::Found(data) => Ok(data),
        Foreign::Missing => {
            let message = format!("The Secret {name} does not exist. Make it; it is used as soon as it is there.");
            Err(Finding::bad(Reason::SecretMissing, message))
        }
        Foreign::NotPermitted => {
            let (label, value) = PERMITTED_USE;
            let message = format!(
                "The Secret {name} may not be used by gateways. Whoever owns it can permit that with the label \
                 {label}={value}."
            );
            Err(Finding::bad(Reason::SecretNotPermitted, message))
        }
    }
}

/// Whether the cluster has the kinds that this gateway asks for.
fn served(spec: &ClaudeGatewaySpec, served: &[Kind]) -> Result<(), Finding> {
    let route = (spec.exposure.kind == ExposureKind::HttpRoute).then_some((Kind::HttpRoute, "exposure.kind"));
    let issued = matches!(spec.exposure.tls, Some(Tls::CertManager(_)));
    let issued = issued.then_some((Kind::Certificate, "exposure.tls.certManager"));
    let missing = [route, issued].into_iter().flatten().find(|(kind, _)| !served.contains(kind));
    let Some((api, field)) = missing.and_then(|(kind, field)| kind.optional().map(|api| (api, field))) else {
        return Ok(());
    };
    let message = format!(
        "{field} needs {} of {}/{}, which this cluster does not serve. Install {}, or change {field}; it is noticed by itself.",
        api.kind, api.group, api.version, api.brought_by
    );
    Err(Finding::bad(Reason::ApiMissing, message))
}

fn image(image: Option<&Image>, default: Option<&str>) -> Result<String, Finding> {
    let (repository, tag) = match default.map(|default| (default, default.rsplit_once(':'))) {
        Some((_, Some((repository, tag)))) if !tag.contains('/') => (Some(repository), Some(tag)),
        Some((default, _)) => (Some(default), None),
        None => (None, None),
    };
    let image = image.cloned().unwrap_or_default();
    let repository = image.repository.as_deref().or(repository).map(|name| name.split('@').next().unwrap_or(name));
    let Some(repository) = repository else {
        let message = "No image is known: write image.repository, or start the operator with --gateway-image.";
        return Err(Finding::bad(Reason::ImageMissing, message));
    };
    Ok(match (image.digest, image.tag.as_deref().or(tag)) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) if image.repository.is_some() || image.tag.is_some() => format!("{repository}:{tag}"),
        (None, _) => default.map_or_else(|| repository.to_owned(), str::to_owned),
    })
}

/// How the operator reaches the database, and the URL that pods are given.
fn database(database: &Database, values: &Values<'_>) -> Result<(DatabaseAccess, String), Finding> {
    let invalid = |message: &str| Finding::bad(Reason::DatabaseUrlInvalid, message);
    let url = match (&database.url_secret_ref, &database.host) {
        (Some(key), _) => values.text(&key.name, &key.key)?,
        (None, Some(host)) => written(database, host),
        (None, None) => return Err(invalid("database names no server: write urlSecretRef, or host and name.")),
    };
    let mut bare = Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.has_host())
        .ok_or_else(|| invalid("The database's URL cannot be read. Write one such as postgres://db.example.com:5432/gateway into the Secret."))?;
    let cleared = bare.set_password(None).and_then(|()| bare.set_username(""));
    cleared.map_err(|()| invalid("The database's URL cannot be read. Write one with a host into the Secret."))?;
    let (username, password) = match &database.migration_secret_ref {
        Some(role) => {
            let password = values.text(&role.name, &role.password_key)?;
            (Some(values.text(&role.name, &role.username_key)?), Some(SecretString::from(password)))
        }
        None => (None, None),
    };
    let ca_pem = database.ca_certificate.as_ref().map(|ca| values.ca(ca)).transpose()?;
    let access = DatabaseAccess { url: url.into(), username, password, schema: database.schema.clone(), ca_pem };
    Ok((access, bare.into()))
}

fn written(database: &Database, host: &str) -> String {
    let port = database.port.unwrap_or(5432);
    let name = database.name.as_deref().unwrap_or_default();
    let default = if database.ca_certificate.is_some() { SslMode::VerifyFull } else { SslMode::Require };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("postgres://{host}:{port}/{name}?sslmode={}", database.ssl_mode.unwrap_or(default).word())
}

/// Reads the file as a pod would, with the values that pods will find.
fn judge_file(spec: &ClaudeGatewaySpec, database_url: &str, values: &Values<'_>) -> Result<(), Finding> {
    // Whatever the login and the keys will be, they are of this form.
    let stand_in = Decided {
        database_url: database_url.to_owned(),
        username: "pods".to_owned(),
        password_path: format!("{}/password", rendering::CONFIG),
        key_ids: vec!["key".to_owned()],
    };
    let text = rendering::tree(spec, &stand_in).to_string();
    let environment: Environment = [("CLAUDE_GATEWAY_LOG_LEVEL", spec.log_level.word())].into_iter().collect();
    match Config::parse(&text, &environment, &Mounted(values)) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let errors = errors.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
            Err(Finding::bad(Reason::ConfigurationInvalid, format!("The gateway would not start: {errors}")))
        }
    }
}

/// The volumes of a pod.
struct Mounted<'a>(&'a Values<'a>);

impl Files for Mounted<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let part = |below: &str| {
            let inside = path.strip_prefix(below).ok()?.to_str()?;
            inside.split_once('/')
        };
        if let Some((name, key)) = part(SECRETS) {
            return self.0.secret(name, key).map(<[u8]>::to_vec).map_err(|_| missing());
        }
        if let Some((name, key)) = part(CONFIG_MAPS) {
            return self.0.config_map(name, key).map(<[u8]>::to_vec).map_err(|_| missing());
        }
        // What the operator itself puts there.
        match path.starts_with(rendering::CONFIG) || path.starts_with(rendering::KEYS) {
            true => Ok([b'x'; 64].to_vec()),
            false => Err(missing()),
        }
    }
}

fn lasting_values(spec: &ClaudeGatewaySpec, values: &Values<'_>) -> Result<String, Finding> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |value: &[u8]| {
        context.update(&value.len().to_be_bytes());
        context.update(value);
    };
    let authorities = [&spec.oidc.ca_certificate, &spec.database.ca_certificate].into_iter();
    let authorities = authorities.chain(spec.upstreams.iter().map(|upstream| &upstream.ca_certificate)).flatten();
    for authority in authorities {
        add(values.ca(authority)?.as_bytes());
    }
    let headers = spec.upstreams.iter().flat_map(|upstream| &upstream.headers);
    for key in headers.filter_map(|header| header.value_secret_ref.as_ref()) {
        add(values.secret(&key.name, &key.key)?);
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn leaf(spec: &ClaudeGatewaySpec, world: &Dereferenced) -> Option<Vec<u8>> {
    match &spec.exposure.tls {
        Some(Tls::SecretRef(secret)) => match world.secrets.get(&secret.name) {
            Some(Foreign::Found(data)) => data.get("tls.crt").cloned(),
            _ => None,
        },
        Some(Tls::CertManager(_)) => world.issued.as_ref()?.data.as_ref()?.get("tls.crt").map(|pem| pem.0.clone()),
        None => None,
    }
}

/// The Secret that holds the public address's certificate.
pub fn tls_secret(gateway: &ValidatedGateway) -> Option<String> {
    match gateway.spec.exposure.tls.as_ref()? {
        Tls::SecretRef(secret) => Some(secret.name.clone()),
        Tls::CertManager(_) => Some(kinds::certificate(&gateway.identity.name)),
    }
}
