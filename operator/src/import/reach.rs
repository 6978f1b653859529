//! How the gateway is reached, and what it reaches: exposure, metrics, the NetworkPolicy.

use std::collections::BTreeMap;

use crds::gateway::{
    Development,
    exposure::{Exposure, ExposureKind, Tls, TlsSecret},
    network::{Egress, NetworkPolicy},
    observation::Metrics,
};
use gateway_config::{Config, Listen};
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::{Source, gateway::unique, secrets::Purpose};

pub(super) fn exposure(listen: &Listen, source: &mut Source<'_>) -> Exposure {
    let is_proxied = !listen.trusted_proxies.is_empty();
    let kind = if is_proxied { ExposureKind::Ingress } else { ExposureKind::None };
    source.notes.say(
        "/spec/exposure/kind",
        match kind {
            ExposureKind::Ingress => {
                "Chosen, because the file trusts proxies: an Ingress of the cluster's default class (className names another). \
                 HTTPRoute with parentRefs is the other way. trustedProxies has to hold the addresses of the ingress \
                 controller's pods: those of the file are of the old gateway's surroundings."
            }
            _ => {
                "Chosen, because the file trusts no proxy: only a Service is made. For kind Ingress or HTTPRoute add \
                 trustedProxies, the addresses of the ingress controller's or Gateway's pods: without them everybody would \
                 share one address's sign-in limit."
            }
        },
    );
    let files = source.lifted.get("listen.tls.cert").cloned().zip(source.lifted.get("listen.tls.key").cloned());
    let tls = files.map(|(certificate, key)| {
        source.secrets.keep(Purpose::Tls, "tls.crt", "listen.tls.cert", &certificate);
        source.secrets.keep(Purpose::Tls, "tls.key", "listen.tls.key", &key);
        source.notes.say(
            "/spec/exposure/tls",
            "The old certificate and key in this Secret: developers' clients pin the certificate, so with another one each of \
             them has to trust anew. Pods serve plain HTTP: an Ingress ends TLS with this Secret, a Gateway's listener has to \
             name it itself.",
        );
        Tls::SecretRef(TlsSecret { name: source.secrets.name_of(Purpose::Tls) })
    });
    if tls.is_none() {
        source.notes.say(
            "/spec/exposure",
            "The file names no certificate, so tls is missing: name the Secret with the one that developers see, or an issuer \
             of cert-manager. Clients pin it: take the old one along, or each developer has to trust anew.",
        );
    }
    Exposure {
        kind,
        class_name: None,
        parent_refs: Vec::new(),
        annotations: BTreeMap::new(),
        tls,
        trusted_proxies: unique(listen.trusted_proxies.iter().map(ToString::to_string)),
    }
}

pub(super) fn metrics(listen: &Listen, source: &mut Source<'_>) -> Metrics {
    let usual = Metrics::default();
    match listen.metrics {
        None => {
            source.notes.say(
                "/spec/metrics/enabled",
                "As in the file, which serves no metrics; without this line pods serve them on a port of their own, 9464.",
            );
            Metrics { enabled: false, ..usual }
        }
        Some(address) if address.port() < 1_024 || address.port() == 8_080 => {
            source.notes.say("/spec/metrics", "The port of the file is none that pods may serve metrics on: 9464.");
            usual
        }
        Some(address) => Metrics { port: address.port(), ..usual },
    }
}

pub(super) fn development(config: &Config, source: &mut Source<'_>) -> Option<Development> {
    let providers = [Some(&config.oidc.issuer), config.oidc.discovery_url.as_ref()];
    let upstreams = config.upstreams.iter().map(|upstream| &upstream.base_url);
    let is_plain = providers.into_iter().flatten().chain(upstreams).any(|url| url.scheme() == "http");
    is_plain.then(|| {
        source.notes.say(
            "/spec/development",
            "The file has an http address of the identity provider or of an upstream: whoever is on the way reads credentials. \
             Write https there, and remove this.",
        );
        Development { allow_plain_http: true }
    })
}

/// Addresses that the file writes as such are let through; what a name leads to is not known here.
pub(super) fn network_policy(config: &Config, source: &mut Source<'_>) -> NetworkPolicy {
    let database = source.lifted.get("store.postgres_url").filter(|kept| kept.references.is_empty());
    let database = database.and_then(|kept| Url::parse(kept.value.expose_secret()).ok());
    let database = database.as_ref().and_then(|url| Some((url.host_str()?, url.port().unwrap_or(5_432))));
    let others = [Some(&config.oidc.issuer), config.oidc.discovery_url.as_ref()].into_iter().flatten();
    let others = others.chain(config.upstreams.iter().map(|upstream| &upstream.base_url));
    let others = others.filter_map(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let mut egress: Vec<Egress> = Vec::new();
    for (host, port) in database.into_iter().chain(others) {
        let cidr = match Host::parse(host) {
            Ok(Host::Ipv4(address)) => format!("{address}/32"),
            Ok(Host::Ipv6(address)) => format!("{address}/128"),
            Ok(Host::Domain(_)) | Err(_) => continue,
        };
        if !egress.iter().any(|entry| entry.cidr == cidr && entry.port == port) {
            egress.push(Egress { cidr, port });
        }
    }
    source.notes.say(
        "/spec/networkPolicy",
        "Pods may connect to name servers, to public addresses on port 443, and to what egress names. Add where the database is, \
         and the identity provider and the upstreams where they are within the company or on another port.",
    );
    NetworkPolicy { egress, ..NetworkPolicy::default() }
}
