//! TLS towards others: whom to trust, and the name to ask for.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject};
use url::{Host, Url};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the system's trust store holds no certificate (install ca-certificates, or set SSL_CERT_FILE): {reason}")]
    NoSystemRoots { reason: String },
    #[error("the CA certificate cannot be used: {reason}")]
    BadCa { reason: String },
    #[error("TLS could not be configured: {0}")]
    Rustls(#[from] rustls::Error),
}

/// A client's TLS: the system's roots, or `ca_pem`'s certificates and no others.
pub fn client_tls(ca_pem: Option<&str>, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca_pem {
        Some(pem) => Arc::new(private_roots(pem)?),
        None => system_roots()?,
    };
    // Explicit: other crates may have brought another provider into the binary.
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The name (or address) that a URL's certificate must be for.
pub fn server_name(url: &Url) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(std::net::IpAddr::V4(address).into())),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(std::net::IpAddr::V6(address).into())),
        None => Err(InvalidDnsNameError),
    }
}

/// Some hundred files on disk that do not change while a process runs: read by the first who asks.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(TlsError::NoSystemRoots { reason });
    }
    Ok(ROOTS.get_or_init(|| Arc::new(roots)).clone())
}

fn private_roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| TlsError::BadCa { reason: error.to_string() })?;
        roots.add(certificate).map_err(|error| TlsError::BadCa { reason: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(TlsError::BadCa { reason: "there is no certificate in it".to_owned() });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_ca_replaces_the_system_store() {
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::new(vec!["ca.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(private_roots(&ca.pem()).unwrap().len(), 1);
        assert_eq!(client_tls(Some(&ca.pem()), &[b"h2"]).unwrap().alpn_protocols, vec![b"h2".to_vec()]);
    }

    #[test]
    fn a_ca_without_a_certificate_is_refused() {
        for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(client_tls(Some(pem), &[]), Err(TlsError::BadCa { .. })), "{pem:?}");
        }
    }
}
