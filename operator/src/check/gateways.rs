//! The gateways that the operator may read: what each refers to, its database, its identity provider, its name and its
//! certificate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crds::{ClaudeGateway, gateway::exposure::Tls};
use gateway_egress::{Egress, SystemResolver};
use jiff::Timestamp;
use kube::{Client, ResourceExt, api::ListParams, core::DeserializeGuard};

use super::{Finding, certificate, database, database::Role, name, provider};
use crate::{
    engine::{discovery::Discovery, scope::Scope, settings::Settings},
    gateway::{
        dereference::dereference,
        issuer::Question,
        kinds::OPTIONAL,
        sight::Sights,
        validate::{PodRole, ValidatedGateway, validate},
    },
};

pub(super) async fn gateways(settings: &Settings, client: &Client, egress: &Arc<Egress>) -> Vec<Finding> {
    let discovery = Discovery::of(&OPTIONAL);
    discovery.look(client).await;
    // Which image it is, is for whoever starts pods to say.
    let image = settings.gateway_image.as_deref().unwrap_or("claude-gateway");
    let means = Means { client, discovery: &discovery, image, egress };
    let mut findings = Vec::new();
    for scope in Scope::of(&settings.watch_namespaces) {
        match scope.api::<DeserializeGuard<ClaudeGateway>>(client).list(&ListParams::default()).await {
            Ok(list) => {
                for gateway in list.items {
                    let called = format!("{}/{}", gateway.namespace().unwrap_or_default(), gateway.name_any());
                    findings.extend(match gateway.0 {
                        Ok(gateway) => means.judge(&called, &gateway).await,
                        Err(error) => {
                            vec![Finding::Bad(format!("{called} cannot be read ({error}): correct it, or delete it"))]
                        }
                    });
                }
            }
            Err(error) => {
                findings.push(Finding::Bad(format!("gateways cannot be listed ({error}): install the chart's RBAC")));
            }
        }
    }
    findings
}

/// What a look at a gateway takes.
struct Means<'a> {
    client: &'a Client,
    discovery: &'a Discovery,
    image: &'a str,
    egress: &'a Arc<Egress>,
}

impl Means<'_> {
    async fn judge(&self, called: &str, gateway: &ClaudeGateway) -> Vec<Finding> {
        let sights = Sights::default();
        let sight = sights.of(self.client, gateway, Instant::now());
        let world = match dereference(&sight, self.discovery, gateway).await {
            Ok(world) => world,
            Err(error) => {
                return vec![Finding::Bad(format!("{called}: what it refers to cannot be read ({error}): try again"))];
            }
        };
        match validate(gateway, &world, Some(self.image)) {
            Ok(validated) => judged(called, &validated, self.egress).await,
            Err(finding) => vec![Finding::Bad(format!("{called}: {}", finding.message()))],
        }
    }
}

async fn judged(called: &str, gateway: &ValidatedGateway, egress: &Arc<Egress>) -> Vec<Finding> {
    let role = match &gateway.pod_role {
        PodRole::Made => Role::MakesPodsRole,
        PodRole::Given { .. } => Role::GivesRights,
    };
    let mut findings = database::database(&format!("{called}, database"), gateway.access.clone(), role).await;
    let skew = Duration::from_secs(gateway.spec.oidc.clock_skew_seconds.into());
    let provider = format!("{called}, identity provider");
    findings.extend(provider::provider(&provider, &Question::of(gateway), skew, egress).await);
    findings.push(name::name(&format!("{called}, publicUrl"), &gateway.public_url, &SystemResolver).await);
    findings.push(tls(called, gateway));
    findings
}

fn tls(called: &str, gateway: &ValidatedGateway) -> Finding {
    let called = format!("{called}, TLS");
    match (&gateway.spec.exposure.tls, &gateway.leaf) {
        (None, _) => Finding::Note(format!(
            "{called}: exposure.tls is not written: whatever ends TLS for the public address brings its own certificate"
        )),
        (Some(_), Some(leaf)) => certificate::certificate(&called, leaf, &gateway.public_url, Timestamp::now()),
        (Some(Tls::SecretRef(secret)), None) => Finding::Bad(format!(
            "{called}: the Secret {} is missing, has no tls.crt, or lacks the label claude-gateway.dev/use=gateway: make it so",
            secret.name
        )),
        (Some(Tls::CertManager(_)), None) => Finding::Note(format!(
            "{called}: cert-manager has issued no certificate yet: `kubectl describe certificate` says why"
        )),
    }
}
