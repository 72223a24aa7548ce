//! A certificate for this machine, which nobody but our own clients trusts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;

/// The name in the certificate.
pub const NAME: &str = "localhost";

/// A certificate with an ECDSA key of P-256, and its files in PEM.
pub struct Certificate {
    /// The file of the certificate.
    pub cert: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
    /// The certificate itself.
    pub der: CertificateDer<'static>,
}

impl Certificate {
    /// Draws a key, and writes both files into `dir`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(dir: &Path) -> Result<Self> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned()]).context("cannot make a certificate")?;
        let made = Self {
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
            der: cert.der().clone(),
        };
        fs::write(&made.cert, cert.pem())?;
        fs::write(&made.key, signing_key.serialize_pem())?;
        Ok(made)
    }
}
