//! Reads what a gateway refers to, and what there is of its own objects. Changes nothing.

use std::collections::BTreeMap;

use crds::{ClaudeGateway, PERMITTED_USE, gateway::exposure::Tls};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{Api, ResourceExt, api::ObjectMeta, core::DynamicObject};

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
    let namespace = gateway.namespace().unwrap_or_default();
    let (name, uid) = (gateway.name_any(), gateway.uid().unwrap_or_default());
    let secrets_api = Api::<Secret>::namespaced(sight.client.clone(), &namespace);
    let maps_api = Api::<ConfigMap>::namespaced(sight.client.clone(), &namespace);
    let deployments_api = Api::<Deployment>::namespaced(sight.client.clone(), &namespace);
    let references = References::of(&gateway.spec);
    let mut secrets = BTreeMap::new();
    for name in references.secrets() {
        secrets.insert(name.to_owned(), permitted(sight.get(Watched::Permitted, &secrets_api, name).await?.object));
    }
    let mut config_maps = BTreeMap::new();
    for name in references.config_maps.keys() {
        let found = sight.get(Watched::ConfigMaps, &maps_api, name).await?.object;
        let data =
            found.map(|map| map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes())));
        config_maps.insert(name.clone(), data.map_or(Foreign::Missing, |data| Foreign::Found(data.collect())));
    }
    let ours = |meta: &ObjectMeta| kinds::owned_by(meta, &uid);
    let own = Watched::Owned(Kind::Secret);
    let config = sight.get(own, &secrets_api, &kinds::config(&name)).await?.object;
    let keys = sight.get(own, &secrets_api, &kinds::keys(&name)).await?.object;
    let issued = match is_issued(gateway) {
        true => sight.get(Watched::Permitted, &secrets_api, &kinds::certificate(&name)).await?.object,
        false => None,
    };
    let renewal = renewal(sight, discovery, gateway, &namespace).await?;
    let deployment = sight.get(Watched::Owned(Kind::Deployment), &deployments_api, &name).await?.object;
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
    namespace: &str,
) -> Result<Option<Timestamp>, kube::Error> {
    if !is_issued(gateway) || !discovery.has(&CERTIFICATE) {
        return Ok(None);
    }
    let api = Api::<DynamicObject>::namespaced_with(sight.client.clone(), namespace, &CERTIFICATE.resource());
    let certificate = sight.get(Watched::Owned(Kind::Certificate), &api, &gateway.name_any()).await?.object;
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
