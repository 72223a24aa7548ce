//! Which server counts as the right one.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CertificateError, ClientConfig, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{Encryption, PostgresOptions};
use crate::env::{AuthoritiesError, CertificateRule, Presented, RuleVerifier, read_authorities};
use crate::reconcile::SinkError;

/// What encrypts the connection; `None` when nothing does.
///
/// # Errors
/// The authorities cannot be read.
pub(super) fn connector(options: &PostgresOptions) -> Result<Option<MakeRustlsConnect>, SinkError> {
    if options.encryption == Encryption::Off || options.is_local() {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match options.encryption {
        Encryption::Off | Encryption::Unverified => {
            let rule = AnyName { authority: None };
            Arc::new(RuleVerifier::new(rule, Arc::clone(&provider)))
        }
        Encryption::Authority => {
            let authority = Some(verifier(options, &provider)?);
            Arc::new(RuleVerifier::new(
                AnyName { authority },
                Arc::clone(&provider),
            ))
        }
        Encryption::Host => verifier(options, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SinkError::Refused(format!("TLS cannot be used: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn verifier(
    options: &PostgresOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, SinkError> {
    let roots = read_authorities(options.authorities.as_deref()).map_err(|error| match error {
        AuthoritiesError::File { path, what } => SinkError::authorities(&path, &what),
        AuthoritiesError::System => SinkError::Refused(error.to_string()),
    })?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| SinkError::Refused(format!("sslrootcert cannot be used: {error}")))
}

/// Trusts any certificate, or any that the authority has signed; the name does not matter.
#[derive(Debug)]
struct AnyName {
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl CertificateRule for AnyName {
    fn check(&self, presented: &Presented<'_>) -> Result<(), Error> {
        let Some(authority) = &self.authority else {
            return Ok(());
        };
        // The name is checked last, when the signatures have been found good.
        match authority.verify_server_cert(
            presented.end_entity,
            presented.intermediates,
            presented.server_name,
            presented.ocsp_response,
            presented.now,
        ) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            verified => verified.map(drop),
        }
    }
}
