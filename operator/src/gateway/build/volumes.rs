//! What pods find in their file system: the configuration, keys, what the gateway refers to, and two places to write.

use std::collections::BTreeSet;

use crds::gateway::{
    exposure::Tls,
    upstream::{AnthropicAuth, Provider},
};
use k8s_openapi::{
    api::core::v1::{
        ConfigMapProjection, EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource, SecretProjection,
        SecretVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::gateway::{
    kinds,
    references::{CONFIG_MAPS, SECRETS, TLS, TOKENS, ends_tls},
    rendering::{self, CONFIG, JOURNAL, KEYS},
    validate::ValidatedGateway,
};

/// For the pod's own group alone.
const MODE: i32 = 0o440;
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn volumes(gateway: &ValidatedGateway) -> Vec<Volume> {
    let name = &gateway.identity.name;
    let mut volumes = vec![
        secret("config", kinds::config(name)),
        secret("keys", kinds::keys(name)),
        empty("journal", "1Gi"),
        empty("tmp", "64Mi"),
    ];
    volumes.extend(issued(gateway).map(|certificate| secret("tls", certificate)));
    let references = &gateway.references;
    if !references.mounted.is_empty() {
        let sources = references.mounted.iter().map(|(name, keys)| VolumeProjection {
            secret: Some(SecretProjection { name: name.clone(), items: Some(items(name, keys)), optional: None }),
            ..VolumeProjection::default()
        });
        volumes.push(projected("secrets", sources.collect()));
    }
    if !references.config_maps.is_empty() {
        let sources = references.config_maps.iter().map(|(name, keys)| VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: name.clone(),
                items: Some(items(name, keys)),
                optional: None,
            }),
            ..VolumeProjection::default()
        });
        volumes.push(projected("configmaps", sources.collect()));
    }
    let tokens = tokens(gateway);
    if !tokens.is_empty() {
        volumes.push(projected("tokens", tokens));
    }
    volumes
}

pub(super) fn mounts(gateway: &ValidatedGateway) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let references = &gateway.references;
    let mut mounts = vec![
        mount("config", CONFIG, true),
        mount("keys", KEYS, true),
        mount("journal", JOURNAL, false),
        mount("tmp", "/tmp", false),
    ];
    mounts.extend(issued(gateway).map(|_| mount("tls", TLS, true)));
    mounts.extend((!references.mounted.is_empty()).then(|| mount("secrets", SECRETS, true)));
    mounts.extend((!references.config_maps.is_empty()).then(|| mount("configmaps", CONFIG_MAPS, true)));
    mounts.extend((!tokens(gateway).is_empty()).then(|| mount("tokens", TOKENS, true)));
    mounts
}

/// What cert-manager writes for pods that end TLS themselves: the kubelet waits for it.
fn issued(gateway: &ValidatedGateway) -> Option<String> {
    let exposure = &gateway.spec.exposure;
    let for_pods = ends_tls(exposure) && matches!(exposure.tls, Some(Tls::CertManager(_)));
    for_pods.then(|| kinds::certificate(&gateway.identity.name))
}

/// A token of the pods' own identity for each upstream that takes one.
fn tokens(gateway: &ValidatedGateway) -> Vec<VolumeProjection> {
    let audiences = gateway.spec.upstreams.iter().enumerate().filter_map(|(at, upstream)| {
        let Provider::Anthropic(anthropic) = &upstream.provider;
        match &anthropic.auth {
            AnthropicAuth::Federation(federation) => Some((at, federation.audience.clone())),
            AnthropicAuth::ApiKeySecretRef(_) | AnthropicAuth::OauthTokenSecretRef(_) => None,
        }
    });
    let token = |(at, audience): (usize, String)| VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: Some(audience),
            expiration_seconds: Some(TOKEN_SECONDS),
            path: rendering::token_path(at).trim_start_matches(TOKENS).trim_start_matches('/').to_owned(),
        }),
        ..VolumeProjection::default()
    };
    audiences.map(token).collect()
}

fn items(name: &str, keys: &BTreeSet<String>) -> Vec<KeyToPath> {
    keys.iter().map(|key| KeyToPath { key: key.clone(), path: format!("{name}/{key}"), mode: None }).collect()
}

fn secret(name: &str, secret: String) -> Volume {
    let source =
        SecretVolumeSource { secret_name: Some(secret), default_mode: Some(MODE), ..SecretVolumeSource::default() };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    let projected = ProjectedVolumeSource { default_mode: Some(MODE), sources: Some(sources) };
    Volume { name: name.to_owned(), projected: Some(projected), ..Volume::default() }
}

fn empty(name: &str, limit: &str) -> Volume {
    let source = EmptyDirVolumeSource { medium: None, size_limit: Some(Quantity(limit.to_owned())) };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}
