//! Where the database is, and how to reach it.

use std::path::PathBuf;

use secrecy::SecretString;

/// A database to follow the journal.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Host name, address, or the directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name.
    pub user: String,
    /// Password, if there is one.
    pub password: Option<SecretString>,
    /// Name of the database.
    pub dbname: String,
    /// How the connection is protected. A Unix socket needs no protection and gets none.
    pub encryption: Encryption,
    /// File of the authorities that may sign the server's certificate, in PEM; `None` for those that
    /// the system trusts.
    pub authorities: Option<PathBuf>,
    /// Directory of the migrations.
    pub migrations: PathBuf,
}

impl PostgresOptions {
    /// Whether the database is reached without a network.
    pub(super) fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    Off,
    /// Encrypted, to whoever answers.
    Unverified,
    /// Encrypted, to a server whose certificate a trusted authority has signed, whatever its name.
    Authority,
    /// Encrypted, to a server whose certificate a trusted authority has signed for this host.
    Host,
}
