//! Where Redis is, and how to get in.

use std::path::PathBuf;

use crate::env::Secret;
use crate::types::ServerAddress;

/// A Redis, which may be one server or several. Its `Debug` hides the passwords.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The servers that it consists of.
    pub servers: RedisServers,
    /// User name, where the server knows any.
    pub user: Option<String>,
    /// Password, if there is one.
    pub password: Option<Secret>,
    /// Number of the logical database; 0 with a cluster.
    pub db: u16,
    /// Whether connections are encrypted, to servers with a trusted certificate for their host. Sentinels are
    /// servers, too.
    pub tls: bool,
    /// File of the authorities that may sign the servers' certificates, in PEM; `None` for those that
    /// the system trusts.
    pub authorities: Option<PathBuf>,
}

/// The servers that a Redis consists of.
#[derive(Clone, Debug)]
pub enum RedisServers {
    /// One server.
    Single(ServerAddress),
    /// A master with replicas. Sentinels know which of them is the master.
    Sentinel(SentinelOptions),
    /// A cluster. The listed nodes know which node has the keys.
    Cluster(Vec<ServerAddress>),
}

impl RedisServers {
    /// The servers that are asked where the keys are, and what they are; none where that is known.
    pub(super) fn contacts(&self) -> (&'static str, &[ServerAddress]) {
        match self {
            Self::Single(_) => ("server", &[]),
            Self::Sentinel(options) => ("sentinel", &options.sentinels),
            Self::Cluster(nodes) => ("node", nodes),
        }
    }
}

/// The sentinels of a master with replicas. Its `Debug` hides the password.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// The sentinels that are asked.
    pub sentinels: Vec<ServerAddress>,
    /// The name that they have for the master.
    pub master: String,
    /// User name at the sentinels, where they know any.
    pub user: Option<String>,
    /// Password at the sentinels, if there is one.
    pub password: Option<Secret>,
}

impl RedisOptions {
    /// Where Redis is, as configured: `host:port`, `mymaster of the sentinels host:port, …` or `the cluster
    /// host:port, …`. Holds no secret.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.servers {
            RedisServers::Single(server) => server.to_string(),
            RedisServers::Sentinel(options) => {
                let sentinels = list(&options.sentinels);
                format!("{} of the sentinels {sentinels}", options.master)
            }
            RedisServers::Cluster(nodes) => format!("the cluster {}", list(nodes)),
        }
    }
}

fn list(servers: &[ServerAddress]) -> String {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    servers.join(", ")
}
