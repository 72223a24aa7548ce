//! The listener's options, as the configuration has them.

use std::sync::Arc;

use crate::config::{Config, TlsFiles};
use crate::env::SystemClock;
use crate::runtime::{ListenerOptions, Tls, TlsError};

/// Returns the listener's options, with the server's certificate if it has one. Nothing is bound or written.
///
/// # Errors
/// When the certificate and its key cannot be used.
pub fn listener_options(config: &Config) -> Result<ListenerOptions, TlsError> {
    let load = |files: &TlsFiles| {
        Tls::load(&files.cert, &files.key, Arc::new(SystemClock::new())).map(Arc::new)
    };
    Ok(ListenerOptions {
        tls: config.server.tls.as_ref().map(load).transpose()?,
        connections_per_peer: config.server.connections_per_peer,
        client_address: Arc::new(config.server.client_address.clone()),
        idle_seconds: config.server.idle_seconds,
    })
}

/// Logs an error where the certificate is not valid now. The server presents it all the same: a clock that is wrong
/// for a moment, or a renewal that was forgotten, must not keep the sale from clients that do not check.
pub(super) fn log_certificate_dates(options: &ListenerOptions) {
    let dates = options.tls.as_ref().map(|tls| tls.check_dates());
    if let Some(Err(error)) = dates {
        tracing::error!(
            "clients will not trust the certificate, which is shown all the same: {error}"
        );
    }
}
