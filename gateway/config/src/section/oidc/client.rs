//! How the gateway proves itself to the identity provider: which keys of `oidc` go together.

use super::{ClientAuthentication, ClientCertificate};
use crate::{fields::Fields, pem};

pub(super) fn read(fields: &Fields<'_>) -> Option<ClientAuthentication> {
    let method = fields.text("token_endpoint_auth_method");
    if method == Some("private_key_jwt") {
        return private_key_jwt(fields);
    }
    if fields.written("client_assertion") {
        fields.refuse(
            "client_assertion",
            "goes with token_endpoint_auth_method: private_key_jwt only",
            "set that method, or remove client_assertion",
        );
    }
    if !fields.written("client_secret") {
        fields.refuse(
            "client_secret",
            "is missing",
            "write it, or set token_endpoint_auth_method: private_key_jwt and client_assertion",
        );
    }
    let secret = fields.secret("client_secret")?;
    Some(match method {
        Some("client_secret_basic") => ClientAuthentication::Basic(secret),
        Some("client_secret_post") => ClientAuthentication::Post(secret),
        _ => ClientAuthentication::Negotiated(secret),
    })
}

fn private_key_jwt(fields: &Fields<'_>) -> Option<ClientAuthentication> {
    if fields.written("client_secret") {
        fields.refuse("client_secret", "does not go with private_key_jwt", "remove it");
    }
    if !fields.written("client_assertion") {
        fields.refuse(
            "client_assertion",
            "is missing, and private_key_jwt needs it",
            "write private_key_pem and certificate_pem below it",
        );
    }
    let assertion = fields.section("client_assertion")?;
    let key = assertion.parsed("private_key_pem", pem::signing_key);
    let certificate = assertion.parsed("certificate_pem", pem::client_certificate);
    assertion.heard(assertion.path("certificate_pem"), pem::belong_together(&certificate?, &key?))?;
    Some(ClientAuthentication::PrivateKeyJwt(ClientCertificate {
        private_key_pem: assertion.secret("private_key_pem")?,
        certificate_pem: assertion.owned("certificate_pem")?,
    }))
}
