//! Where Redis is, and how to get in.

use std::path::PathBuf;

use crate::env::Secret;
use crate::reconcile::sink::host_and_port;

/// A Redis server. Its `Debug` hides the password.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name, where the server knows any.
    pub user: Option<String>,
    /// Password, if there is one.
    pub password: Option<Secret>,
    /// Number of the logical database.
    pub db: u16,
    /// Whether the connection is encrypted, to a server with a trusted certificate for this host.
    pub tls: bool,
    /// File of the authorities that may sign the server's certificate, in PEM; `None` for those that
    /// the system trusts.
    pub authorities: Option<PathBuf>,
}

impl RedisOptions {
    /// Where Redis is: `host:port`. Holds no secret.
    #[must_use]
    pub fn address(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}
