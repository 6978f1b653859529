//! How the gateway proves itself at the token endpoint: a secret in a header or in the form, or a signed assertion that names
//! the registered certificate (RFC 7523).

use aws_lc_rs::{digest, rand::SecureRandom};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use gateway_config::{ClientAuthentication, ClientCertificate};
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::{relying_party, token_endpoint::Form};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ASSERTION_SECONDS: i64 = 120;

#[derive(Debug)]
pub(super) struct ClientAuthenticator {
    client_id: String,
    method: Method,
}

#[derive(Debug)]
enum Method {
    Basic(SecretString),
    Post(SecretString),
    Assertion { key: EncodingKey, header: Box<Header> },
}

impl ClientAuthenticator {
    /// `advertised` is the discovery document's `token_endpoint_auth_methods_supported`.
    pub(super) fn new(
        client_id: &str,
        configured: &ClientAuthentication,
        advertised: Option<&[String]>,
    ) -> Result<Self, String> {
        let method = match configured {
            ClientAuthentication::Basic(secret) => Method::Basic(secret.clone()),
            ClientAuthentication::Post(secret) => Method::Post(secret.clone()),
            ClientAuthentication::Negotiated(secret) => negotiated(secret.clone(), advertised)?,
            ClientAuthentication::PrivateKeyJwt(certificate) => assertion(certificate)?,
        };
        Ok(Self { client_id: client_id.to_owned(), method })
    }

    /// Adds what goes into the form and returns what goes into the `Authorization` header.
    pub(super) fn sign(
        &self,
        form: &mut Form,
        audience: &Url,
        now: DateTime<Utc>,
        random: &dyn SecureRandom,
    ) -> Option<HeaderValue> {
        match &self.method {
            Method::Basic(secret) => Some(basic(&self.client_id, secret)),
            Method::Post(secret) => {
                form.push(("client_id", self.client_id.clone()));
                form.push(("client_secret", secret.expose_secret().to_owned()));
                None
            }
            Method::Assertion { key, header } => {
                form.push(("client_id", self.client_id.clone()));
                form.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                form.push(("client_assertion", self.assertion(key, header, audience, (now, random))));
                None
            }
        }
    }

    fn assertion(
        &self,
        key: &EncodingKey,
        header: &Header,
        audience: &Url,
        (now, random): (DateTime<Utc>, &dyn SecureRandom),
    ) -> String {
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience.as_str(),
            "jti": relying_party::random_text(random).expose_secret(),
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": now.timestamp() + ASSERTION_SECONDS,
        });
        jsonwebtoken::encode(header, &claims, key).expect("a key that signed once at boot signs again")
    }
}

/// Basic is every provider's duty where it says nothing (OpenID Connect Discovery 1.0, section 3).
fn negotiated(secret: SecretString, advertised: Option<&[String]>) -> Result<Method, String> {
    let Some(advertised) = advertised else { return Ok(Method::Basic(secret)) };
    let offers = |method: &str| advertised.iter().any(|offered| offered == method);
    if offers("client_secret_basic") {
        Ok(Method::Basic(secret))
    } else if offers("client_secret_post") {
        Ok(Method::Post(secret))
    } else {
        Err(format!("it accepts no client secret, only {}", advertised.join(", ")))
    }
}

/// RFC 6749, section 2.3.1: both halves are form-encoded before they are joined.
fn basic(client_id: &str, secret: &SecretString) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose_secret()));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).expect("base64 is a header value");
    value.set_sensitive(true);
    value
}

fn assertion(certificate: &ClientCertificate) -> Result<Method, String> {
    let ClientCertificate { private_key_pem, certificate_pem } = certificate;
    let key = EncodingKey::from_rsa_pem(private_key_pem.expose_secret().as_bytes())
        .map_err(|_| "the client assertion's private key cannot be read".to_owned())?;
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|_| "the client assertion's certificate cannot be read".to_owned())?;
    let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &certificate));
    let header = Header {
        // SHA-1 names the certificate here; nothing rests on its strength (RFC 7515, section 4.1.7).
        x5t: Some(thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
        x5t_s256: Some(thumbprint(&digest::SHA256)),
        ..Header::new(Algorithm::RS256)
    };
    jsonwebtoken::encode(&header, &json!({}), &key)
        .map_err(|_| "the client assertion's private key cannot sign".to_owned())?;
    announce(&certificate)?;
    Ok(Method::Assertion { key, header: Box::new(header) })
}

/// The thumbprint as providers show it, for the operator to compare.
fn announce(certificate: &CertificateDer<'_>) -> Result<(), String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| "the client assertion's certificate is none".to_owned())?;
    let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
    let thumbprint: String = thumbprint.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let (subject, expires) = (parsed.subject(), parsed.validity().not_after);
    tracing::info!(%subject, thumbprint, %expires, "a certificate proves the gateway to the identity provider");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(methods: &[&str]) -> Vec<String> {
        methods.iter().map(|method| (*method).to_owned()).collect()
    }

    #[test]
    fn basic_encodes_both_halves_as_a_form_does() {
        let header = basic("claude gateway", &"p:ä+%&=".into());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"claude+gateway:p%3A%C3%A4%2B%25%26%3D");
        assert!(header.is_sensitive());
    }

    #[test]
    fn negotiation_prefers_basic_and_needs_one_of_the_two() {
        let method = |advertised: Option<&[String]>| negotiated("s".into(), advertised);
        assert!(matches!(method(None), Ok(Method::Basic(_))));
        let both = named(&["client_secret_post", "client_secret_basic"]);
        assert!(matches!(method(Some(&both)), Ok(Method::Basic(_))));
        let post = named(&["private_key_jwt", "client_secret_post"]);
        assert!(matches!(method(Some(&post)), Ok(Method::Post(_))));
        assert!(method(Some(&named(&["private_key_jwt", "none"]))).is_err());
    }

    #[test]
    fn no_secret_shows_when_printed() {
        let configured = ClientAuthentication::Negotiated("canary".into());
        let printed = format!("{:?}", ClientAuthenticator::new("id", &configured, None).unwrap());
        assert!(!printed.contains("canary"), "{printed}");
    }
}
