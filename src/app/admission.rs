//! What the configuration says of who is let in, and how.

use std::sync::Arc;

use crate::config::{Config, TlsFiles};
use crate::env::SystemClock;
use crate::runtime::{Admission, Tls, TlsError};

/// Reads the server's certificate, if it has one. Nothing is bound or written.
///
/// # Errors
/// When the certificate and its key cannot be used.
pub fn admission(config: &Config) -> Result<Admission, TlsError> {
    let load = |files: &TlsFiles| {
        Tls::load(&files.cert, &files.key, Arc::new(SystemClock::new())).map(Arc::new)
    };
    Ok(Admission {
        tls: config.server.tls.as_ref().map(load).transpose()?,
        connections_per_peer: config.server.connections_per_peer,
        idle_seconds: config.server.idle_seconds,
    })
}

/// Writes down that the certificate is not valid now. It is shown all the same: a clock that is wrong for a
/// moment, or a renewal that was forgotten, must not keep the sale from those whom it does not matter to.
pub(super) fn tell_of_dates(admission: &Admission) {
    let dates = admission.tls.as_ref().map(|tls| tls.check_dates());
    if let Some(Err(error)) = dates {
        tracing::error!(
            "clients will not trust the certificate, which is shown all the same: {error}"
        );
    }
}
