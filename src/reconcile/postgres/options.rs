//! Where the database is, and how to reach it.

use std::path::PathBuf;

use crate::env::Secret;
use crate::types::ServerAddress;

/// A database to follow the journal.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Host name, address, or the directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Servers of the same cluster. Where there are any, the one is chosen that takes changes.
    pub others: Vec<ServerAddress>,
    /// User name.
    pub user: String,
    /// Password, if there is one.
    pub password: Option<Secret>,
    /// Name of the database.
    pub dbname: String,
    /// Schema of the tables. Migrations make it where it is missing.
    pub schema: String,
    /// How the connection is protected. A Unix socket needs no protection and gets none.
    pub encryption: Encryption,
    /// File of the authorities that may sign the server's certificate, in PEM; `None` for those that
    /// the system trusts.
    pub authorities: Option<PathBuf>,
    /// Directory of the migrations.
    pub migrations: PathBuf,
}

impl PostgresOptions {
    /// Where the database is: `host:port`, or the path of its Unix socket. Holds no secret.
    #[must_use]
    pub fn address(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if self.is_local() {
            format!("{}/.s.PGSQL.{port}", host.trim_end_matches('/'))
        } else {
            let host = host.clone();
            ServerAddress { host, port }.to_string()
        }
    }

    /// Whether the database is reached without a network.
    pub(super) fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// A name as an identifier of SQL, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The schema of the seed's views beside the tables in `schema`: two servers in one database do not share it.
pub(super) fn seed_schema(schema: &str) -> String {
    match schema {
        "public" => "seed".to_owned(),
        schema => format!("{schema}_seed"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_host_and_port_and_no_secret() {
        let address = |host: &str| {
            let options = PostgresOptions {
                host: host.into(),
                port: 5433,
                others: Vec::new(),
                user: "shop".into(),
                password: Some("a-secret".into()),
                dbname: "flashsale".into(),
                schema: "public".into(),
                encryption: Encryption::Off,
                authorities: None,
                migrations: PathBuf::new(),
            };
            options.address()
        };
        assert_eq!(address("db.example"), "db.example:5433");
        assert_eq!(address("127.0.0.1"), "127.0.0.1:5433");
        assert_eq!(address("2001:db8::7"), "[2001:db8::7]:5433");
        let socket = "/run/postgresql/.s.PGSQL.5433";
        assert_eq!(address("/run/postgresql/"), socket);
    }
}
