//! How our own server is recognised: by the configured certificate itself, whoever has signed it and
//! whatever name is in it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::config::ServerConfig;
use crate::runtime::{TlsError, read_certificates};

/// Speaks TLS to a server that has exactly one certificate.
#[derive(Clone, Debug)]
pub struct PinnedTls {
    config: Arc<ClientConfig>,
}

impl PinnedTls {
    /// For the server that is configured; `None` when it does not encrypt.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub fn configured(server: &ServerConfig) -> Result<Option<Self>, TlsError> {
        let pin = |files: &crate::config::TlsFiles| Self::to(&files.cert);
        server.tls.as_ref().map(pin).transpose()
    }

    fn to(cert: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Pinned {
            certificate: read_certificates(cert)?.swap_remove(0),
            provider: Arc::clone(&provider),
        };
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

/// Trusts one certificate, and whoever proves to have its key.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::General(
                "the server shows another certificate than the one in server.tls_cert; if that was \
                 replaced, the server has to read it again"
                    .into(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
