//! TLS to our own server, which is recognised by the configured certificate itself, whoever has signed it and
//! whatever name is in it.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error};

use crate::config::{ServerConfig, TlsFiles};
use crate::env::{CertificateRule, Presented, RuleVerifier};
use crate::runtime::{TlsError, read_certificates};
use crate::types::AddressSource;

/// Speaks TLS to a server that has exactly one certificate.
#[derive(Clone, Debug)]
pub struct PinnedTls {
    config: Arc<ClientConfig>,
}

/// The way in which connections to the configured server begin: with a PROXY header where it asks for one, and then with TLS
/// where it encrypts.
#[derive(Clone, Debug, Default)]
pub struct ServerAccess {
    /// The encryption; `None` where there is none.
    pub tls: Option<PinnedTls>,
    /// Whether the server takes nothing without a PROXY header.
    pub needs_proxy_header: bool,
}

impl ServerAccess {
    /// Returns the way to the server that is configured.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub fn configured(server: &ServerConfig) -> Result<Self, TlsError> {
        let pin = |files: &TlsFiles| PinnedTls::to(&files.cert);
        Ok(Self {
            tls: server.tls.as_ref().map(pin).transpose()?,
            needs_proxy_header: server.client_address.source == AddressSource::ProxyV2,
        })
    }
}

impl PinnedTls {
    fn to(cert: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pinned = Pinned(read_certificates(cert)?.swap_remove(0));
        let verifier = RuleVerifier::new(pinned, Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Our end of a new connection.
    ///
    /// # Errors
    /// The library cannot make one.
    pub fn connection(&self) -> Result<ClientConnection, Error> {
        // It stands in no decision, and a server with one certificate does not care.
        let name = ServerName::try_from("localhost").expect("a name");
        ClientConnection::new(Arc::clone(&self.config), name)
    }
}

/// Trusts one certificate.
#[derive(Debug)]
struct Pinned(CertificateDer<'static>);

impl CertificateRule for Pinned {
    fn check(&self, presented: &Presented<'_>) -> Result<(), Error> {
        match *presented.end_entity == self.0 {
            true => Ok(()),
            false => Err(Error::General(
                "the server shows another certificate than the one in server.tls_cert; if that was \
                 replaced, the server has to read it again"
                    .into(),
            )),
        }
    }
}
