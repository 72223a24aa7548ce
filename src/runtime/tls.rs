//! The server's certificate, which can be replaced while connections are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};
use tokio_rustls::TlsAcceptor;
use webpki::{EndEntityCert, KeyUsage};

use crate::env::{Clock, read_chain, read_private_key};

const CERT: &str = "server.tls_cert";
const KEY: &str = "server.tls_key";

/// The only protocol that is offered by ALPN.
const PROTOCOL: &[u8] = b"http/1.1";

/// An error of the certificate or its key. It contains nothing of the files' contents.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {path:?} cannot be used: {what}; it must be {allowed}")]
pub struct TlsError {
    key: &'static str,
    path: PathBuf,
    what: String,
    allowed: &'static str,
}

/// The certificate and its key, read from their files.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    clock: Arc<dyn Clock>,
    config: ArcSwap<ServerConfig>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = (&self.cert, &self.key);
        f.debug_tuple("Tls").field(&files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificate, with those of the authorities behind it, and the private key, both in PEM.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, or the key belongs to another certificate. The dates are not checked: see
    /// [`Self::check_dates`].
    pub fn load(cert: &Path, key: &Path, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let config = read_config(cert, key)?;
        Ok(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            clock,
            config: ArcSwap::from_pointee(config),
        })
    }

    /// Reads the files again, and presents their certificate on new connections. Open ones are not affected.
    ///
    /// # Errors
    /// See [`Self::load`] and [`Self::check_dates`]; the old certificate stays then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.check_dates()?;
        let config = read_config(&self.cert, &self.key)?;
        self.config.store(Arc::new(config));
        Ok(())
    }

    /// Checks that the certificate in the file is valid now.
    ///
    /// # Errors
    /// When it is not, or cannot be read.
    pub fn check_dates(&self) -> Result<(), TlsError> {
        let chain = read_certificates(&self.cert)?;
        check_dates(&self.cert, &chain[0], &*self.clock)
    }

    /// Returns the acceptor of new connections.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.config.load_full().into()
    }
}

fn read_config(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let chain = read_certificates(cert)?;
    end_entity(cert, &chain[0])?;
    let unusable = |what: String| refused_key(key, what);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, read_key(key)?)
        .map_err(|error| match error {
            Error::InconsistentKeys(_) => unusable(format!(
                "it does not belong to the certificate in {}",
                cert.display()
            )),
            error => unusable(error.to_string()),
        })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Resumption needs no memory in the server: its state is in the tickets, encrypted with keys of the server.
    config.ticketer = ring::Ticketer::new().map_err(|error| unusable(error.to_string()))?;
    Ok(config)
}

/// Reads the certificates in a PEM file, the server's first; at least one.
///
/// # Errors
/// When the file cannot be read, or holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    read_chain(path).map_err(|error| refused_cert(path, error.to_string()))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    read_private_key(path).map_err(|error| refused_key(path, error.to_string()))
}

fn end_entity<'a>(
    path: &Path,
    certificate: &'a CertificateDer<'_>,
) -> Result<EndEntityCert<'a>, TlsError> {
    EndEntityCert::try_from(certificate)
        .map_err(|error| refused_cert(path, format!("the certificate is wrong: {error}")))
}

/// Fails unless the certificate is valid now.
fn check_dates(
    path: &Path,
    certificate: &CertificateDer<'_>,
    clock: &dyn Clock,
) -> Result<(), TlsError> {
    let since_epoch = Duration::from_micros(clock.now().0.try_into().unwrap_or_default());
    let certificate = end_entity(path, certificate)?;
    // webpki checks the dates first. Whether clients trust the issuer is not the server's to check.
    let verified = certificate.verify_for_usage(
        ring::default_provider()
            .signature_verification_algorithms
            .all,
        &[],
        &[],
        UnixTime::since_unix_epoch(since_epoch),
        KeyUsage::server_auth(),
        None,
        None,
    );
    let what = match verified.err() {
        Some(webpki::Error::CertExpired { .. }) => "the certificate has expired",
        Some(webpki::Error::CertNotValidYet { .. }) => "the certificate is not valid yet",
        _ => return Ok(()),
    };
    Err(refused_cert(path, what.into()))
}

fn refused_cert(path: &Path, what: String) -> TlsError {
    TlsError {
        key: CERT,
        path: path.to_owned(),
        what,
        allowed: "a PEM file with the server's certificate, valid now, and behind it those of the \
                  authorities in between",
    }
}

fn refused_key(path: &Path, what: String) -> TlsError {
    TlsError {
        key: KEY,
        path: path.to_owned(),
        what,
        allowed: "a PEM file with the private key of that certificate (PKCS #8, PKCS #1 or SEC 1), \
                  not encrypted",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;
    use crate::env::SystemClock;

    /// Puts a new certificate and its key into `dir`.
    fn renew(dir: &TempDir) {
        let names = ["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("a certificate");
        fs::write(dir.path().join("cert"), cert.pem()).expect("a file");
        fs::write(dir.path().join("key"), signing_key.serialize_pem()).expect("a file");
    }

    #[test]
    fn a_wrong_certificate_does_not_replace_the_old_one() {
        let dir = TempDir::new().expect("a directory");
        let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
        renew(&dir);
        let tls = Tls::load(&cert, &key, Arc::new(SystemClock::new())).expect("a certificate");
        let shown = || tls.config.load_full();
        let first = shown();
        let first_key = fs::read(&key).expect("a file");
        renew(&dir);
        tls.reload().expect("a new certificate");
        let second = shown();
        assert!(!Arc::ptr_eq(&first, &second), "the new one is shown");
        fs::write(&key, first_key).expect("a file");
        let error = tls
            .reload()
            .expect_err("the key of another one")
            .to_string();
        assert!(
            error.contains("does not belong to the certificate"),
            "{error}"
        );
        fs::remove_file(&cert).expect("a file");
        let error = tls.reload().expect_err("no file").to_string();
        assert!(error.starts_with("server.tls_cert = "), "{error}");
        assert!(Arc::ptr_eq(&second, &shown()), "the old one stays");
    }

    #[test]
    fn errors_contain_nothing_of_the_files() {
        let dir = TempDir::new().expect("a directory");
        let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
        renew(&dir);
        fs::write(&key, "-----BEGIN s3cret\ns3cret\n").expect("a file");
        let error = Tls::load(&cert, &key, Arc::new(SystemClock::new())).expect_err("no key");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}
