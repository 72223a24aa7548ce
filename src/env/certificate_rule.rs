//! A verifier of servers' certificates with a rule of its own.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// The certificates that a server presents, and the name that was connected to.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The server's own certificate.
    pub end_entity: &'a CertificateDer<'a>,
    /// The certificates between that one and an authority.
    pub intermediates: &'a [CertificateDer<'a>],
    /// The name that was connected to.
    pub server_name: &'a ServerName<'a>,
    /// The answer of the authority that the server has stapled.
    pub ocsp_response: &'a [u8],
    /// The time.
    pub now: UnixTime,
}

/// Decides whether a certificate is the right one.
pub trait CertificateRule: Debug + Send + Sync {
    /// Checks what a server presents.
    ///
    /// # Errors
    /// The certificate is not the right one.
    fn check(&self, presented: &Presented<'_>) -> Result<(), Error>;
}

/// Lets a rule decide about certificates. That a server has the key of its certificate is checked all the same.
#[derive(Debug)]
pub struct RuleVerifier<R> {
    rule: R,
    provider: Arc<CryptoProvider>,
}

impl<R: CertificateRule> RuleVerifier<R> {
    /// A verifier that checks signatures with `provider`.
    #[must_use]
    pub fn new(rule: R, provider: Arc<CryptoProvider>) -> Self {
        Self { rule, provider }
    }
}

impl<R: CertificateRule> ServerCertVerifier for RuleVerifier<R> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = Presented {
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        };
        let checked = self.rule.check(&presented);
        checked.map(|()| ServerCertVerified::assertion())
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
