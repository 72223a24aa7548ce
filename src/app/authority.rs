//! Who says who a user is, as the configuration has it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::auth::{Authority, AuthorityOptions, ClaimRules, KeySet, KeySetError, SessionKeys};
use crate::config::{AuthConfig, Config};
use crate::env::{RealDisk, Secret, read_file};
use crate::limits::AUTH_KEYS_BYTES_MAX;

/// The reason why a file of keys is of no use. It holds nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum AuthKeysError {
    /// It cannot be read.
    #[error("auth.keys: {path}: it cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Its content cannot be used.
    #[error("auth.keys: {path}: {source}")]
    Unusable {
        /// The file.
        path: String,
        /// The fault.
        source: KeySetError,
    },
}

/// Returns the authority that is configured, if one is.
///
/// # Errors
/// The file of its keys cannot be used.
pub(super) fn authority(config: &Config) -> Result<Option<Arc<Authority>>, AuthKeysError> {
    let Some(auth) = &config.auth else {
        return Ok(None);
    };
    let keys = read_keys(&auth.keys)?;
    tracing::info!(
        required = auth.is_required,
        "user tokens are verified with the keys in {}: {}",
        auth.keys.display(),
        keys.describe()
    );
    let options = options(auth);
    let session_keys = session_keys(&auth.session_secret);
    Ok(Some(Arc::new(Authority::new(options, keys, session_keys))))
}

/// Reads a file of keys.
///
/// # Errors
/// It cannot be used.
pub fn read_keys(path: &Path) -> Result<KeySet, AuthKeysError> {
    let text = || path.display().to_string();
    let read = read_file(&RealDisk, path, AUTH_KEYS_BYTES_MAX);
    let read = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8"))
    });
    let read = read.map_err(|source| AuthKeysError::Unreadable {
        path: text(),
        source,
    })?;
    KeySet::parse(&read).map_err(|source| AuthKeysError::Unusable {
        path: text(),
        source,
    })
}

/// Derives the keys of sessions from their secret, as it is now.
pub(super) fn session_keys(secret: &Secret) -> SessionKeys {
    SessionKeys::derive(secret.get().expose_secret())
}

fn options(auth: &AuthConfig) -> AuthorityOptions {
    AuthorityOptions {
        rules: ClaimRules {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway_s: auth.leeway_seconds,
        },
        is_required: auth.is_required,
        session_s: auth.session_seconds,
    }
}
