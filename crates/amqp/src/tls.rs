//! TLS to a broker: which certificates are trusted.

use std::sync::Arc;

use lapin::tcp::OwnedTLSConfig;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// Certificate authorities that are trusted in addition to the system's.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates in PEM.
    pub authorities: Option<String>,
}

impl Tls {
    /// The same for lapin.
    pub(crate) fn for_lapin(&self) -> OwnedTLSConfig {
        OwnedTLSConfig { cert_chain: self.authorities.clone(), ..OwnedTLSConfig::default() }
    }

    /// The same for tokio-rustls.
    ///
    /// # Errors
    /// [`Error::Address`] for certificates that cannot be read.
    pub(crate) fn connector(&self) -> Result<TlsConnector, Error> {
        let bad_file = |error: &dyn std::fmt::Display| Error::Address(format!("the CA file: {error}"));
        let mut roots = RootCertStore::empty();
        // A system without certificates is no error: the broker's own may have been given.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let pem = self.authorities.as_deref().unwrap_or("").as_bytes();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad_file(&error))?;
            roots.add(certificate).map_err(|error| bad_file(&error))?;
        }
        // Named, since a process-wide default may be missing.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Address(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
