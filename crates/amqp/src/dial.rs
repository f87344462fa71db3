//! From an endpoint to a connected stream: TCP, or TLS over it.

use std::sync::Arc;

use lapin::tcp::OwnedTLSConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::link::Stream;
use super::{Endpoint, Error, LOGIN_TIMEOUT};

/// Whom to trust in TLS, beside what the system trusts.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates in PEM.
    pub authorities: Option<String>,
}

impl Tls {
    /// The same for lapin.
    pub(super) fn for_lapin(&self) -> OwnedTLSConfig {
        OwnedTLSConfig { cert_chain: self.authorities.clone(), ..OwnedTLSConfig::default() }
    }

    fn connector(&self) -> Result<TlsConnector, Error> {
        let mut roots = RootCertStore::empty();
        // A system without certificates is no error: the broker's own may be given.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in
            CertificateDer::pem_slice_iter(self.authorities.as_deref().unwrap_or("").as_bytes())
        {
            let certificate = certificate.map_err(|error| Error::Address(format!("the CA file: {error}")))?;
            roots.add(certificate).map_err(|error| Error::Address(format!("the CA file: {error}")))?;
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

impl Endpoint {
    /// Connects to the broker's address.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::LoginTimeout`], and [`Error::Address`] for bad certificates.
    pub async fn dial(&self) -> Result<Box<dyn Stream>, Error> {
        let connecting = tokio::time::timeout(LOGIN_TIMEOUT, self.connect());
        connecting.await.map_err(|_| Error::LoginTimeout)?
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let unreachable = |error: std::io::Error| Error::Connection(error.to_string());
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        // Writes are large already; what is small must not wait for more.
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Error::Address(format!("{:?} is no name that a certificate can have", self.host)))?;
        let stream = tls.connector()?.connect(name, socket).await.map_err(unreachable)?;
        Ok(Box::new(stream))
    }
}
