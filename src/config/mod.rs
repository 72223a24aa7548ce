//! The configuration: a file, then the environment, then flags; the later one wins.
//!
//! [`Config::load`] reads all three, checks every value, and gives either plain data that needs no
//! further checks or a [`ConfigError`] with all that is wrong. Nothing is opened but the file.

mod auth;
mod effective;
mod environment;
mod error;
mod file;
mod keys;
mod log;
mod overrides;
mod rates;
mod raw;
mod redis;
mod replication;
mod rules;
mod validate;
mod values;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use auth::AuthConfig;
pub use environment::{Environment, process_environment};
pub use error::{ConfigError, ConfigProblem};
pub use file::ConfigFile;
pub use log::{LogConfig, LogFormat};
pub use overrides::Overrides;
pub use rates::LimitsConfig;
pub use raw::{IgnoredVariable, SettingSource};
pub use rules::{is_token, token_allowed};
pub use webhooks::WebhookConfig;

use crate::env::Secret;
use crate::types::{ClientAddress, Durability, PaymentTerms, ServerAddress};

/// The sources of a configuration, the weakest first.
pub struct ConfigSources<'a> {
    /// The file.
    pub file: ConfigFile,
    /// The environment: [`process_environment`], or a test's own.
    pub environment: Environment<'a>,
    /// The flags.
    pub overrides: Overrides,
    /// The secrets that are read.
    pub secrets: SecretsNeeded,
}

/// The secrets that a command needs. Others are neither read nor checked: whoever verifies a journal may have no right
/// to the file of a password, or none that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsNeeded {
    /// All that are configured.
    All,
    /// The passwords of the sinks.
    OfSinks,
    /// None.
    None,
}

impl SecretsNeeded {
    fn includes(self, key: keys::Key) -> bool {
        match self {
            Self::All => true,
            Self::OfSinks => {
                let others = [
                    keys::ADMIN_TOKEN.key,
                    keys::SHOP_TOKEN.key,
                    keys::AUTH_KEYS.key,
                    keys::AUTH_SESSION_SECRET.key,
                    keys::WEBHOOKS.key,
                ];
                !others.contains(&key)
            }
            // Without the secret that belongs to them, the keys are of no use.
            Self::None => !key.secret && key != keys::AUTH_KEYS.key,
        }
    }
}

/// A configuration in which every value is possible.
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// The Postgres sink; `None` when it is off.
    pub database: Option<DatabaseConfig>,
    /// The Redis sink; `None` when it is off.
    pub redis: Option<RedisConfig>,
    /// The journal.
    pub journal: JournalConfig,
    /// The replicated log; `None` when it is off.
    pub replication: Option<ReplicationConfig>,
    /// The sales.
    pub sale: SaleConfig,
    /// How often clients may ask.
    pub limits: LimitsConfig,
    /// The operator's part of the API.
    pub admin: AdminConfig,
    /// The shop that the server sells for.
    pub shop: ShopConfig,
    /// The tokens of users; `None` where a user is who the request says.
    pub auth: Option<AuthConfig>,
    /// The endpoints that are told events.
    pub webhooks: Vec<WebhookConfig>,
    /// The log.
    pub log: LogConfig,
    /// Environment variables that look like settings and are none.
    pub ignored: Vec<IgnoredVariable>,
    /// The values of all keys as text that may be shown.
    effective: effective::Effective,
}

impl Config {
    /// Returns whether something follows the journal once this server leads: a database or a webhook.
    #[must_use]
    pub fn has_followers(&self) -> bool {
        self.database.is_some() || self.redis.is_some() || !self.webhooks.is_empty()
    }

    /// Returns whether a shop is told of events: it has a token of its own, or an endpoint.
    #[must_use]
    pub fn tells_shops(&self) -> bool {
        self.shop.token.is_some() || !self.webhooks.is_empty()
    }
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 lets the system pick a free one.
    pub port: u16,
    /// Number of worker threads; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
    /// The certificate that connections are encrypted with; `None` when they are not.
    pub tls: Option<TlsFiles>,
    /// Connections that one peer may have open; `None` for as many as it likes.
    pub connections_per_peer: Option<NonZeroU32>,
    /// Where the address of a client stands, and which proxies are believed.
    pub client_address: ClientAddress,
    /// Seconds that a connection may be without a request.
    pub idle_seconds: u32,
    /// Origins whose pages may call the public interface; `*` alone for all.
    pub cors_origins: Vec<String>,
    /// Where others reach this server; `None` for the machine's name and the port.
    pub advertise: Option<String>,
}

/// The files of a certificate of our own, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those of the authorities between it and a trusted one.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ServerConfig {
    /// Returns the address to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Returns the address of the server for clients on the same machine.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        let ip = match self.host {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.port)
    }
}

/// The Postgres sink.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Host name or address, never empty.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
    /// User name.
    pub user: String,
    /// Password, if there is one.
    pub password: Option<Secret>,
    /// Name of the database.
    pub dbname: String,
    /// Schema of the tables.
    pub schema: String,
    /// Encryption of the connection.
    pub sslmode: SslMode,
    /// File of the authorities that may sign the server's certificate, in PEM; `None` for those that
    /// the system trusts.
    pub sslrootcert: Option<PathBuf>,
    /// Directory of the migrations.
    pub migrations_path: PathBuf,
}

/// The encryption of a connection to Postgres, as libpq names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Not at all.
    Disable,
    /// Encrypted, to whoever answers.
    Require,
    /// Encrypted, to a server with a trusted certificate.
    VerifyCa,
    /// Encrypted, to a server with a trusted certificate for this host.
    VerifyFull,
}

impl SslMode {
    const NAMES: [(&str, Self); 4] = [
        ("disable", Self::Disable),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

/// The Redis sink.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// The servers that it consists of.
    pub place: RedisPlace,
    /// User name, where the server knows any.
    pub user: Option<String>,
    /// Password, if there is one.
    pub password: Option<Secret>,
    /// Number of the logical database; 0 with a cluster.
    pub db: u16,
    /// Connections are encrypted, to servers with a trusted certificate for their host.
    pub tls: bool,
    /// File of the authorities that may sign the servers' certificates, in PEM; `None` for those that
    /// the system trusts.
    pub sslrootcert: Option<PathBuf>,
}

/// The servers that the Redis sink consists of.
#[derive(Clone, Debug)]
pub enum RedisPlace {
    /// One server.
    Server(ServerAddress),
    /// A master with replicas, and sentinels that know which of them is the master.
    Sentinels {
        /// The sentinels, at least one.
        sentinels: Vec<ServerAddress>,
        /// The name that they have for the master.
        master: String,
        /// User name at the sentinels, where they know any.
        user: Option<String>,
        /// Password at the sentinels, if there is one.
        password: Option<Secret>,
    },
    /// Nodes of a cluster, at least one.
    Cluster(Vec<ServerAddress>),
}

impl RedisPlace {
    /// The servers that are configured.
    #[must_use]
    pub fn servers(&self) -> &[ServerAddress] {
        match self {
            Self::Server(server) => std::slice::from_ref(server),
            Self::Sentinels { sentinels, .. } => sentinels,
            Self::Cluster(nodes) => nodes,
        }
    }
}

/// The journal.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// The moment at which a record counts as durable.
    pub durability: Durability,
    /// The time that segments are kept which the sinks have applied; `None` is for ever.
    pub retain: Option<Duration>,
    /// The time that segments are kept for a webhook that lacks what is in them.
    pub keep_for_webhooks: Duration,
    /// Refused attempts are recorded, too.
    pub refused_attempts: bool,
    /// Size of a segment, in bytes.
    pub segment_bytes: u64,
    /// The time that a commit may take before it is reported and the server is not ready.
    pub stall: Duration,
}

impl Durability {
    const NAMES: [(&str, Self); 2] = [("fsync", Self::Fsync), ("os", Self::Os)];
}

/// The keeper of the replicated log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEngine {
    /// There is none: the machine's own disk is all.
    Off,
    /// PostgreSQL with synchronous replication.
    Postgres,
    /// etcd.
    Etcd,
}

impl LogEngine {
    const NAMES: [(&str, Self); 3] = [
        ("off", Self::Off),
        ("postgres", Self::Postgres),
        ("etcd", Self::Etcd),
    ];
}

/// The replicated log.
#[derive(Clone, Debug)]
pub struct ReplicationConfig {
    /// Its name.
    pub log: String,
    /// Milliseconds without a sign of the leader after which a standby takes over.
    pub takeover_ms: u32,
    /// What keeps it.
    pub keeper: LogKeeper,
}

/// The keeper of a replicated log, and the way to it.
#[derive(Clone, Debug)]
pub enum LogKeeper {
    /// PostgreSQL with synchronous replication.
    Postgres {
        /// The way to its servers. Of their hosts and ports the first is in this.
        database: DatabaseConfig,
        /// The servers behind the first.
        other_hosts: Vec<ServerAddress>,
    },
    /// etcd.
    Etcd(EtcdConfig),
}

/// An etcd that keeps a replicated log.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// Its members, at least one.
    pub members: Vec<ServerAddress>,
    /// The user, where a password says who it is.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// What encrypts the connections; `None` when nothing does.
    pub tls: Option<EtcdTls>,
}

/// The encryption of the connections to an etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// File of the authorities that may sign the members' certificates, in PEM; `None` for those that the system trusts.
    pub sslrootcert: Option<PathBuf>,
    /// The certificate that is shown to the members, if there is one.
    pub client: Option<TlsFiles>,
}

impl ReplicationConfig {
    /// Returns the password by which this server is known to what keeps the log.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        match &self.keeper {
            LogKeeper::Postgres { database, .. } => database.password.as_ref(),
            LogKeeper::Etcd(etcd) => etcd.password.as_ref(),
        }
    }

    /// Returns where the servers are that keep the log. Holds no secret.
    #[must_use]
    pub fn hosts_text(&self) -> String {
        let hosts: Vec<_> = match &self.keeper {
            LogKeeper::Postgres {
                database,
                other_hosts,
            } => {
                let first = ServerAddress {
                    host: database.host.clone(),
                    port: database.port,
                };
                let others = other_hosts.iter().map(ToString::to_string);
                [first.to_string()].into_iter().chain(others).collect()
            }
            LogKeeper::Etcd(etcd) => etcd.members.iter().map(ToString::to_string).collect(),
        };
        hosts.join(",")
    }
}

/// The sales.
#[derive(Clone, Debug)]
pub struct SaleConfig {
    /// Items in each sale.
    pub total_items: u32,
    /// Time from the start of one sale to the start of the next; whole seconds.
    pub interval: Duration,
    /// Items that one user may buy in a sale.
    pub max_items_per_user: u32,
    /// The time that a checkout reserves its items; `None` when it reserves none.
    pub hold: Option<Duration>,
    /// The terms of paying.
    pub payment: PaymentTerms,
    /// The address of the page at which buyers pay; `None` where the sale page sends them nowhere.
    pub payment_page: Option<String>,
    /// The time that a sale stays in memory after its end.
    pub keep_ended: Duration,
    /// Seed of the generated items.
    pub seed: u64,
}

/// The operator's part of the API.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The bearer token; with `None` it is drawn, and kept beside the journal.
    pub token: Option<Secret>,
}

/// The shop that the server sells for.
#[derive(Clone, Debug)]
pub struct ShopConfig {
    /// The bearer token that opens what is for shops; with `None` that takes the token of administration.
    pub token: Option<Secret>,
}

impl Config {
    /// Reads and checks the whole configuration.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or any source holds an unknown key, a key twice, or a value
    /// that is of the wrong type or cannot work. The error has all of them.
    pub fn load(sources: &ConfigSources<'_>) -> Result<Self, ConfigError> {
        let mut raw = raw::RawConfig::default();
        sources.file.read_into(&mut raw);
        environment::read_into(&mut raw, sources.environment, sources.secrets);
        raw.settings.extend(sources.overrides.settings());
        let settings = &mut raw.settings;
        settings.retain(|setting| sources.secrets.includes(setting.key));
        validate::validate(raw)
    }

    /// The configuration in effect on one line, for the log at the start. Of secrets it says
    /// whether they are set.
    #[must_use]
    pub fn describe(&self) -> String {
        self.effective.lines().join(" ")
    }

    /// Twelve hex digits that are equal for equal configurations, wherever their values came from and
    /// whatever the secrets are: the beginning of the SHA-256 of [`Self::describe`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.describe());
        digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests;
