//! A certificate of our own and its key, in PEM.

use std::io;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{RealDisk, read_file};
use crate::limits;

/// The reason why a file is of no use. It contains nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is of another form.
    #[error("it is not PEM")]
    NotPem,
    /// There is no certificate in the file.
    #[error("it holds no certificate")]
    NoCertificate,
    /// There is no private key in the file.
    #[error("it holds no private key")]
    NoKey,
}

/// Reads the certificates in the file at `path`, at least one.
///
/// # Errors
/// The file cannot be read, or holds none.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| PemError::NotPem)?;
    match chain.is_empty() {
        true => Err(PemError::NoCertificate),
        false => Ok(chain),
    }
}

/// Reads the private key in the file at `path`.
///
/// # Errors
/// The file cannot be read, or holds none.
pub fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    // The error may show a line of the file.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| PemError::NoKey)
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    read_file(&RealDisk, path, limits::CERTIFICATES_BYTES_MAX).map_err(PemError::Unreadable)
}
