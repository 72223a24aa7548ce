//! The authorities whose certificates are trusted.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{RealDisk, read_file};
use crate::limits;

/// The reason why there is no authority to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be used.
    #[error("{}: {what}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// The system has none.
    #[error("this system trusts no authority: name one with sslrootcert")]
    System,
}

/// Reads the authorities in the file at `path`, in PEM; those that the system trusts where none is named.
///
/// # Errors
/// There are none, or they cannot be read.
pub fn read_authorities(path: Option<&Path>) -> Result<RootCertStore, AuthoritiesError> {
    match path {
        Some(path) => of_file(path).map_err(|what| AuthoritiesError::File {
            path: path.to_owned(),
            what,
        }),
        None => of_system(),
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let pem = read_file(&RealDisk, path, limits::CERTIFICATES_BYTES_MAX)
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("no PEM: {error}"))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("no certificate of an authority: {error}"))?;
    }
    match roots.is_empty() {
        true => Err("holds no certificate".to_owned()),
        false => Ok(roots),
    }
}

fn of_system() -> Result<RootCertStore, AuthoritiesError> {
    let mut roots = RootCertStore::empty();
    // Some of those that a system trusts may be of a form that is no longer understood.
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match added {
        0 => Err(AuthoritiesError::System),
        _ => Ok(roots),
    }
}
