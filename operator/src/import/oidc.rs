//! `oidc`: the identity provider, the client's proof, and who may sign in.

use crds::gateway::oidc::{
    ClientAssertion, GoogleGroups, Oidc, QueryParameter, SigningAlgorithm, TokenEndpointAuthMethod,
};
use gateway_config::ClientAuthentication;

use super::{
    Source,
    gateway::{seconds, unique},
    secrets::Purpose,
};

pub(super) fn section(oidc: &gateway_config::Oidc, source: &mut Source<'_>) -> Oidc {
    let gateway_config::Oidc {
        issuer: _,
        issuer_text,
        client_id,
        authentication,
        allowed_email_domains,
        allowed_groups,
        groups_claim,
        google_groups,
        email_claim,
        scopes,
        extra_auth_params,
        userinfo_fallback,
        use_pkce,
        clock_skew,
        signing_algorithm,
        additional_authorized_parties,
        discovery_url,
        use_proxy,
        form_action_origins,
        ca_cert_pem: _,
        scope_on_refresh,
    } = oidc;
    let authority = source.lifted.get("oidc.ca_cert_pem").cloned();
    let proof = Proof::of(authentication, source);
    let parameter = |(name, value): (&String, &String)| QueryParameter { name: name.clone(), value: value.clone() };
    Oidc {
        issuer: issuer_text.clone(),
        discovery_url: discovery_url.as_ref().map(ToString::to_string),
        ca_certificate: authority
            .map(|kept| source.secrets.authority(Purpose::Oidc, "ca.crt", "oidc.ca_cert_pem", &kept)),
        use_proxy: source.is_written("/oidc/use_proxy").then_some(*use_proxy),
        id_token_signed_response_alg: match signing_algorithm {
            gateway_config::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
            gateway_config::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
            gateway_config::SigningAlgorithm::Ps256 => SigningAlgorithm::Ps256,
            gateway_config::SigningAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
        },
        clock_skew_seconds: seconds(*clock_skew),
        client_id: client_id.clone(),
        client_secret_ref: proof.secret,
        token_endpoint_auth_method: proof.method,
        client_assertion: proof.assertion,
        additional_authorized_parties: unique(additional_authorized_parties.iter().cloned()),
        allowed_email_domains: unique(allowed_email_domains.iter().cloned()),
        allowed_groups: unique(allowed_groups.iter().cloned()),
        groups_claim: groups_claim.clone(),
        email_claim: email_claim.0.clone(),
        google_groups: google_groups.as_ref().and_then(|google| self::google_groups(google, source)),
        userinfo_fallback: *userinfo_fallback,
        scopes: unique(scopes.iter().cloned()),
        scope_on_refresh: *scope_on_refresh,
        extra_auth_params: extra_auth_params.iter().map(parameter).collect(),
        use_pkce: *use_pkce,
        form_action_origins: unique(form_action_origins.iter().cloned()),
    }
}

fn google_groups(google: &gateway_config::GoogleGroups, source: &mut Source<'_>) -> Option<GoogleGroups> {
    const PATH: &str = "oidc.google_groups.service_account_json_path";
    let gateway_config::GoogleGroups { service_account_json_path: _, admin_email } = google;
    let kept = source.lifted.get(PATH)?.clone();
    let service_account_secret_ref = source.secrets.keep(Purpose::Oidc, "service-account.json", PATH, &kept);
    Some(GoogleGroups { service_account_secret_ref, admin_email: admin_email.clone() })
}

/// How the client proves itself; exactly one of secret and assertion is there.
#[derive(Default)]
struct Proof {
    secret: Option<crds::SecretKeyRef>,
    method: Option<TokenEndpointAuthMethod>,
    assertion: Option<ClientAssertion>,
}

impl Proof {
    fn of(authentication: &ClientAuthentication, source: &mut Source<'_>) -> Self {
        let method = match authentication {
            _ if source.assertion => return Self::by_certificate(source),
            ClientAuthentication::PrivateKeyJwt(_) => return Self::by_certificate(source),
            ClientAuthentication::Negotiated(_) => None,
            ClientAuthentication::Basic(_) => Some(TokenEndpointAuthMethod::ClientSecretBasic),
            ClientAuthentication::Post(_) => Some(TokenEndpointAuthMethod::ClientSecretPost),
        };
        let kept = source.lifted.get("oidc.client_secret").cloned();
        let secret = kept.map(|kept| source.secrets.keep(Purpose::Oidc, "client-secret", "oidc.client_secret", &kept));
        Self { secret, method, assertion: None }
    }

    fn by_certificate(source: &mut Source<'_>) -> Self {
        let mut keep = |file: &str, key: &str| {
            let path = format!("oidc.client_assertion.{file}");
            let kept = source.lifted.get(&path)?.clone();
            Some(source.secrets.keep(Purpose::Oidc, key, &path, &kept))
        };
        let pair = keep("private_key_pem", "client.key").zip(keep("certificate_pem", "client.crt"));
        let assertion = pair.map(|(private_key_secret_ref, certificate_secret_ref)| ClientAssertion {
            private_key_secret_ref,
            certificate_secret_ref,
        });
        Self { secret: None, method: Some(TokenEndpointAuthMethod::PrivateKeyJwt), assertion }
    }
}
