//! Reads what a gateway refers to, and what there is of its own objects. Changes nothing.

use std::collections::BTreeMap;

use crds::{ClaudeGateway, PERMITTED_USE, gateway::exposure::Tls};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{ResourceExt, api::ObjectMeta, core::DynamicObject};

use super::{
    kinds::{self, CERTIFICATE, Kind},
    references::References,
    sight::{Sight, Watched},
};
use crate::engine::discovery::Discovery;

/// A Secret or a ConfigMap that somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    Missing,
    /// It lacks the label that lets gateways use it; nothing of it is kept.
    NotPermitted,
    Found(BTreeMap<String, Vec<u8>>),
}

/// The world, as far as one gateway is concerned.
#[derive(Debug)]
pub struct Dereferenced {
    pub references: References,
    pub secrets: BTreeMap<String, Foreign>,
    pub config_maps: BTreeMap<String, Foreign>,
    /// Our own Secrets, if they are ours.
    pub config: Option<Secret>,
    pub keys: Option<Secret>,
    pub deployment: Option<Deployment>,
    /// The certificate that cert-manager issued.
    pub issued: Option<Secret>,
    /// When cert-manager will issue another one.
    pub renewal: Option<Timestamp>,
    /// The kinds that the cluster serves.
    pub served: Vec<Kind>,
}

pub async fn dereference(
    sight: &Sight<'_>,
    discovery: &Discovery,
    gateway: &ClaudeGateway,
) -> Result<Dereferenced, kube::Error> {
    let (name, uid) = (gateway.name_any(), gateway.uid().unwrap_or_default());
    let references = References::of(&gateway.spec);
    let mut secrets = BTreeMap::new();
    for name in references.secrets() {
        secrets.insert(name.to_owned(), permitted(sight.get(Watched::Permitted, name).await?));
    }
    let mut config_maps = BTreeMap::new();
    for name in references.config_maps.keys() {
        let found: Option<ConfigMap> = sight.get(Watched::ConfigMaps, name).await?;
        let data =
            found.map(|map| map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes())));
        config_maps.insert(name.clone(), data.map_or(Foreign::Missing, |data| Foreign::Found(data.collect())));
    }
    let ours = |meta: &ObjectMeta| kinds::owned_by(meta, &uid);
    let own = Watched::Owned(Kind::Secret);
    let config = sight.get::<Secret>(own, &kinds::config(&name)).await?;
    let keys = sight.get::<Secret>(own, &kinds::keys(&name)).await?;
    let issued = match is_issued(gateway) {
        true => sight.get::<Secret>(Watched::Permitted, &kinds::certificate(&name)).await?,
        false => None,
    };
    let renewal = renewal(sight, discovery, gateway).await?;
    let deployment = sight.get::<Deployment>(Watched::Owned(Kind::Deployment), &name).await?;
    let served = |kind: &Kind| kind.optional().is_none_or(|api| discovery.has(&api));
    Ok(Dereferenced {
        references,
        secrets,
        config_maps,
        config: config.filter(|found| ours(&found.metadata)),
        keys: keys.filter(|found| ours(&found.metadata)),
        deployment: deployment.filter(|found| ours(&found.metadata)),
        issued: issued.filter(|secret| carries_label(&secret.metadata)),
        renewal,
        served: Kind::ALL.into_iter().filter(served).collect(),
    })
}

async fn renewal(
    sight: &Sight<'_>,
    discovery: &Discovery,
    gateway: &ClaudeGateway,
) -> Result<Option<Timestamp>, kube::Error> {
    if !is_issued(gateway) || !discovery.has(&CERTIFICATE) {
        return Ok(None);
    }
    let certificate: Option<DynamicObject> = sight.get(Watched::Owned(Kind::Certificate), &gateway.name_any()).await?;
    let time = certificate.as_ref().and_then(|found| found.data.pointer("/status/renewalTime")?.as_str()?.parse().ok());
    Ok(time)
}

/// By cert-manager.
fn is_issued(gateway: &ClaudeGateway) -> bool {
    matches!(gateway.spec.exposure.tls, Some(Tls::CertManager(_)))
}

fn permitted(found: Option<Secret>) -> Foreign {
    match found {
        None => Foreign::Missing,
        Some(secret) if !carries_label(&secret.metadata) => Foreign::NotPermitted,
        Some(secret) => {
            Foreign::Found(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
        }
    }
}

fn carries_label(meta: &ObjectMeta) -> bool {
    let (label, value) = PERMITTED_USE;
    meta.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|set| set == value)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn d2_nothing_is_kept_of_a_secret_that_does_not_permit_its_use() {
        let mut secret =
            Secret { data: Some([("token".to_owned(), ByteString(b"hidden".to_vec()))].into()), ..Secret::default() };
        assert_eq!(permitted(Some(secret.clone())), Foreign::NotPermitted);
        secret.metadata.labels = Some([(PERMITTED_USE.0.to_owned(), "other".to_owned())].into());
        assert_eq!(permitted(Some(secret.clone())), Foreign::NotPermitted);
        secret.metadata.labels = Some([(PERMITTED_USE.0.to_owned(), PERMITTED_USE.1.to_owned())].into());
        assert_eq!(permitted(Some(secret)), Foreign::Found([("token".to_owned(), b"hidden".to_vec())].into()));
        assert_eq!(permitted(None), Foreign::Missing);
    }
}
