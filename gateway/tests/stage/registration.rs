//! A gateway's registration with the scripted provider, and its way there: nothing out of the ordinary.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use e2e::cast::openid::OpenIdProvider;
use gateway_config::{ClientAuthentication, EmailClaim, Oidc, SigningAlgorithm};
use gateway_egress::{Egress, EgressSettings};

pub(crate) fn with(provider: &OpenIdProvider) -> Oidc {
    Oidc {
        issuer: provider.issuer().parse().unwrap(),
        issuer_text: provider.issuer(),
        client_id: provider.client_id(),
        authentication: ClientAuthentication::Negotiated(provider.client_secret().into()),
        allowed_email_domains: Vec::new(),
        allowed_groups: Vec::new(),
        groups_claim: "groups".to_owned(),
        google_groups: None,
        email_claim: EmailClaim(vec!["email".to_owned()]),
        scopes: ["openid", "profile", "email", "offline_access"].map(str::to_owned).to_vec(),
        extra_auth_params: BTreeMap::new(),
        userinfo_fallback: false,
        use_pkce: true,
        clock_skew: Duration::ZERO,
        signing_algorithm: SigningAlgorithm::Rs256,
        additional_authorized_parties: Vec::new(),
        discovery_url: None,
        use_proxy: false,
        form_action_origins: Vec::new(),
        ca_cert_pem: None,
        scope_on_refresh: false,
    }
}

/// Providers of a test are on loopback.
pub(crate) fn egress() -> Arc<Egress> {
    Egress::new(EgressSettings { allow_loopback: true, ..EgressSettings::default() })
}
