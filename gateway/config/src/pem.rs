//! Certificates and keys in PEM form, checked before anything relies on them.

use aws_lc_rs::{rsa::KeyPair, signature::KeyPair as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::complaint::Complaint;

const LEAST_MODULUS_BYTES: usize = 2048 / 8;

/// One certificate or more: a trust store, or a chain.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Complaint> {
    let damaged = || Complaint::new("holds a damaged certificate", "export it again as PEM");
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| damaged())?;
    if certificates.is_empty() {
        return Err(Complaint::new(
            "holds no PEM certificate",
            "write the PEM itself; for a mounted file, `${file:/path/to/it.pem}`",
        ));
    }
    if certificates.iter().any(|certificate| X509Certificate::from_der(certificate).is_err()) {
        return Err(damaged());
    }
    Ok(certificates)
}

pub(crate) fn trust_store(pem: &str) -> Result<String, Complaint> {
    certificates(pem.as_bytes()).map(|_| pem.to_owned())
}

/// The key of a TLS listener, of any kind.
pub(crate) fn private_key(pem: &[u8]) -> Result<(), Complaint> {
    PrivateKeyDer::from_pem_slice(pem)
        .map(drop)
        .map_err(|_| Complaint::new("holds no PEM private key", "write the path of an unencrypted PEM key"))
}

/// An RSA key that can sign a client assertion.
pub(crate) fn signing_key(pem: &str) -> Result<KeyPair, Complaint> {
    if pem.contains("ENCRYPTED") {
        return Err(Complaint::new("is an encrypted key", "decrypt it with `openssl pkey`"));
    }
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(key)) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
        Ok(PrivateKeyDer::Pkcs1(key)) => KeyPair::from_der(key.secret_pkcs1_der()),
        Ok(_) => return Err(unfit()),
        Err(_) => {
            return Err(Complaint::new(
                "holds no PEM private key",
                "write the PEM itself; for a mounted file, `${file:/path/to/it.key}`",
            ));
        }
    };
    key.ok().filter(|key| key.public_modulus_len() >= LEAST_MODULUS_BYTES).ok_or_else(unfit)
}

fn unfit() -> Complaint {
    Complaint::new("is no RSA key of 2048 bits or more", "make one with `openssl genpkey -algorithm RSA`")
}

/// The one certificate that the identity provider knows this client by.
pub(crate) fn client_certificate(pem: &str) -> Result<CertificateDer<'static>, Complaint> {
    let mut certificates = certificates(pem.as_bytes())?;
    match (certificates.pop(), certificates.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(Complaint::new("holds more than one certificate", "leave out the rest of the chain")),
    }
}

pub(crate) fn belong_together(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), Complaint> {
    let of_certificate = X509Certificate::from_der(certificate).ok();
    let same = of_certificate.is_some_and(|(_, certificate)| {
        certificate.public_key().subject_public_key.data.as_ref() == key.public_key().as_ref()
    });
    if same {
        return Ok(());
    }
    Err(Complaint::new("is the certificate of another key", "write the certificate that was made for private_key_pem"))
}
