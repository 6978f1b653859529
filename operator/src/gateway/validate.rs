//! Judges a gateway and what it refers to; pure. What passes is a [`ValidatedGateway`], and nothing downstream sees anything
//! else.

mod database;
mod file;
mod values;

use aws_lc_rs::digest;
use crds::{
    ClaudeGateway, ClaudeGatewaySpec,
    gateway::{
        exposure::{ExposureKind, Tls},
        image::Image,
    },
};
use jiff::Timestamp;
use kube::ResourceExt;
use url::Url;

use self::{database::database, file::judge_file, values::Values};
use super::{
    condition::{Finding, Reason},
    dereference::{Dereferenced, Foreign},
    kinds::{self, Kind},
    references::{self, References},
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
    /// `None`: the object names its image wholly. Otherwise part of it is the operator's own, and pods that run keep theirs
    /// until this changes, or they have to be replaced anyway.
    pub image_follows: Option<String>,
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
    /// When cert-manager will issue another.
    pub renewal: Option<Timestamp>,
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
    let image_follows = follows(spec.image.as_ref(), gateway.annotations().get(crds::TAKE_IMAGE));
    let (access, database_url) = database(&spec.database, &values)?;
    let pod_role = match &spec.database.pod_secret_ref {
        None => PodRole::Made,
        Some(role) => PodRole::Given {
            username: values.text(&role.name, &role.username_key)?,
            password_path: references::secret_path(&role.name, &role.password_key),
        },
    };
    let public_url = Url::parse(&spec.public_url).map_err(|_| {
        Finding::bad(Reason::ConfigurationInvalid, "publicUrl is no URL: write one such as https://claude.example.com")
    })?;
    judge_file(&spec, &database_url, &values)?;
    Ok(ValidatedGateway {
        issuer_ca: spec.oidc.ca_certificate.as_ref().map(|ca| values.ca(ca)).transpose()?,
        lasting_values: lasting_values(&spec, &values)?,
        leaf: leaf(&spec, world),
        renewal: world.renewal,
        references: world.references.clone(),
        served: world.served.clone(),
        identity,
        public_url,
        image,
        image_follows,
        access,
        pod_role,
        database_url,
        spec,
    })
}

fn identity(gateway: &ClaudeGateway) -> Result<Identity, Finding> {
    let name = gateway.name_any();
    if !is_gateway_name(&name) {
        let message = format!(
            "The name has to begin with a letter, hold small letters, digits and `-` only, and be at most {NAME} long, because \
             a Service is called like it. Make the gateway anew under another name."
        );
        return Err(Finding::bad(Reason::NameInvalid, message));
    }
    Ok(Identity { namespace: gateway.namespace().unwrap_or_default(), name, uid: gateway.uid().unwrap_or_default() })
}

/// Whether a Service can be called like it, and the longest of the objects that are called after it.
pub fn is_gateway_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= NAME && name.chars().all(letters) && name.starts_with(|c: char| c.is_ascii_lowercase())
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
        Some((default, Some((repository, tag)))) if !tag.contains('/') && !default.contains('@') => {
            (Some(repository), Some(tag))
        }
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

/// What the owner said of the image, where that leaves something to the operator.
fn follows(image: Option<&Image>, asked: Option<&String>) -> Option<String> {
    let is_whole = |image: &Image| image.repository.is_some() && (image.tag.is_some() || image.digest.is_some());
    match image.is_some_and(is_whole) {
        true => None,
        false => Some(format!("{image:?} {asked:?}")),
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

#[cfg(test)]
#[path = "validate/tests.rs"]
mod tests;
