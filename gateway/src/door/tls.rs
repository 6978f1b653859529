//! The listener's certificate, replaced in place when its files change.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use gateway_config::TlsFiles;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("{path}: {reason}")]
    Unusable { path: String, reason: String },
    #[error("listen.tls: the certificate and the key do not belong together: {0}")]
    Mismatch(rustls::Error),
    #[error("TLS could not be configured: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The certificate that new connections get.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    pub fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsFileError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(read(files)?))))
    }

    /// On an error the old certificate stays.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsFileError> {
        self.0.store(Arc::new(read(files)?));
        Ok(())
    }

    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsFileError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsFileError> {
    let unusable = |path: &Path, reason: String| TlsFileError::Unusable { path: path.display().to_string(), reason };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.cert).map_err(|error| unusable(&files.cert, error.to_string()))?.collect();
    let chain = chain.map_err(|error| unusable(&files.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(&files.cert, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, error.to_string()))?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| unusable(&files.key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(TlsFileError::Mismatch)?;
    Ok(certified)
}
