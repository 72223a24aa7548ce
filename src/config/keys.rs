//! The table of the keys: of each its place in the file, its name in the environment, and its values.

use std::net::{IpAddr, Ipv4Addr};

use super::auth::SESSION_SECRET;
use super::rates::OptionalLimit;
use super::raw::Given;
use super::rules::{self, IDENTIFIER_BYTES_MAX, MASTER_BYTES_MAX, TEXT_BYTES_MAX};
use super::values::{AllowedValues, Choice, Integer, Parsed, SecretText, Text, Truth};
use super::webhooks::Objects;
use super::{LogEngine, LogFormat, SslMode};
use crate::limits;
use crate::types::{AddressSource, Cidr, Durability, PurchaseBy, ServerAddress};

/// The names of one key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// `section.name`, as in the file.
    pub(super) path: &'static str,
    /// The environment variable that sets the same value.
    pub(super) variable: &'static str,
    /// The environment variable that names a file which holds the value, of a secret. Orchestrators hand
    /// those out as files.
    pub(super) file_variable: &'static str,
    /// Its value is never shown.
    pub(super) secret: bool,
}

impl Key {
    /// The part of the path before the dot.
    pub(super) fn section(self) -> &'static str {
        self.path
            .split_once('.')
            .map_or(self.path, |(section, _)| section)
    }

    /// Returns the key that is a whole section, if there is one of this name.
    pub(super) fn whole(section: &str) -> Option<Self> {
        ALL.iter().find(|key| key.path == section).copied()
    }

    /// The key at `section.name`, if there is one.
    pub(super) fn find(section: &str, name: &str) -> Option<Self> {
        let is_at = |key: &&Key| key.path.split_once('.') == Some((section, name));
        ALL.iter().find(is_at).copied()
    }
}

/// One row of the table: a key, and the values that it may have.
pub(super) struct Row<V> {
    pub(super) key: Key,
    pub(super) values: V,
}

/// Defines a constant for each row and the list of all keys, so that the two cannot differ.
macro_rules! keys {
    ($($name:ident: $kind:ty = $path:literal, $variable:literal, $values:expr;)*) => {
        $(pub(super) const $name: Row<$kind> = Row {
            key: Key {
                path: $path,
                variable: $variable,
                file_variable: concat!($variable, "_FILE"),
                secret: <$kind as AllowedValues>::SECRET,
            },
            values: $values,
        };)*

        /// All keys, in the order of the shipped file.
        pub(super) const ALL: &[Key] = &[$($name.key),*];

        /// Returns each key with its default as it is shown and the words for what is allowed, for the documents.
        #[cfg(test)]
        pub(super) fn documented() -> Vec<(Key, String, String)> {
            vec![$({
                let values = &$name.values;
                ($name.key, values.show(&values.default()), values.allowed())
            }),*]
        }
    };
}

keys! {
    SERVER_HOST: Parsed<IpAddr> = "server.host", "SERVER_HOST", Parsed {
        default: || IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        allowed: || "an IP address or \"localhost\"".to_owned(),
        parse: |given| given.as_text().and_then(rules::address),
        show: ToString::to_string,
    };
    SERVER_PORT: Integer<u16> = "server.port", "SERVER_PORT", Integer::new(8080, 0, u16::MAX);
    SERVER_WORKERS: Integer<usize> = "server.workers", "SERVER_WORKERS",
        Integer::new(0, 0, limits::WORKERS_MAX);
    SERVER_TLS_CERT: Text = "server.tls_cert", "SERVER_TLS_CERT", Text::up_to(TEXT_BYTES_MAX);
    SERVER_TLS_KEY: Text = "server.tls_key", "SERVER_TLS_KEY", Text::up_to(TEXT_BYTES_MAX);
    SERVER_CONNECTIONS_PER_PEER: Integer<u32> =
        "server.connections_per_peer", "SERVER_CONNECTIONS_PER_PEER",
        Integer::new(limits::CONNECTIONS_PER_PEER_DEFAULT, 0, limits::CONNECTIONS_PER_PEER_MAX);
    SERVER_CLIENT_ADDRESS: Choice<AddressSource> = "server.client_address", "SERVER_CLIENT_ADDRESS",
        Choice(&AddressSource::NAMES);
    SERVER_TRUSTED_PROXIES: Parsed<Vec<Cidr>> = "server.trusted_proxies", "SERVER_TRUSTED_PROXIES", Parsed {
        default: Vec::new,
        allowed: rules::proxies_allowed,
        parse: rules::proxies,
        show: |blocks| list(blocks),
    };
    SERVER_IDLE_SECONDS: Integer<u32> = "server.idle_seconds", "SERVER_IDLE_SECONDS",
        Integer::new(limits::IDLE_SECONDS_DEFAULT, 1, limits::IDLE_SECONDS_MAX);
    SERVER_CORS_ORIGINS: Parsed<Vec<String>> = "server.cors_origins", "SERVER_CORS_ORIGINS", Parsed {
        default: || vec!["*".to_owned()],
        allowed: rules::origins_allowed,
        parse: rules::origins,
        show: |origins| origins.join(","),
    };
    SERVER_ADVERTISE: Text = "server.advertise", "SERVER_ADVERTISE", Text::up_to(TEXT_BYTES_MAX);

    DATABASE_HOST: Parsed<String> = "database.host", "DB_HOST", Parsed {
        default: String::new,
        allowed: rules::database_host_allowed,
        parse: |given| text(given, rules::is_database_host),
        show: String::clone,
    };
    DATABASE_PORT: Integer<u16> = "database.port", "DB_PORT", Integer::new(5432, 1, u16::MAX);
    DATABASE_USER: Text = "database.user", "DB_USER", Text::new("postgres", IDENTIFIER_BYTES_MAX);
    DATABASE_PASSWORD: SecretText = "database.password", "DB_PASSWORD", rules::PASSWORD;
    DATABASE_DBNAME: Text = "database.dbname", "DB_NAME", Text::new("flashsale", IDENTIFIER_BYTES_MAX);
    DATABASE_SCHEMA: Parsed<String> = "database.schema", "DB_SCHEMA", Parsed {
        default: || "public".to_owned(),
        allowed: rules::schema_allowed,
        parse: |given| text(given, rules::is_schema),
        show: String::clone,
    };
    DATABASE_SSLMODE: Choice<SslMode> = "database.sslmode", "DB_SSLMODE", Choice(&SslMode::NAMES);
    DATABASE_SSLROOTCERT: Text = "database.sslrootcert", "DB_SSLROOTCERT", Text::up_to(TEXT_BYTES_MAX);
    DATABASE_MIGRATIONS_PATH: Text = "database.migrations_path", "DB_MIGRATIONS_PATH",
        Text::new("migrations", TEXT_BYTES_MAX);

    REDIS_HOST: Parsed<(bool, String)> = "redis.host", "REDIS_HOST", Parsed {
        default: Default::default,
        allowed: rules::redis_host_allowed,
        parse: rules::redis_host,
        show: |(_, host)| host.clone(),
    };
    REDIS_PORT: Integer<u16> = "redis.port", "REDIS_PORT", Integer::new(6379, 1, u16::MAX);
    REDIS_USER: Text = "redis.user", "REDIS_USER", Text::up_to(IDENTIFIER_BYTES_MAX);
    REDIS_PASSWORD: SecretText = "redis.password", "REDIS_PASSWORD", rules::PASSWORD;
    REDIS_DB: Integer<u16> = "redis.db", "REDIS_DB", Integer::new(0, 0, u16::MAX);
    REDIS_TLS: Truth = "redis.tls", "REDIS_TLS", Truth { default: false };
    REDIS_SSLROOTCERT: Text = "redis.sslrootcert", "REDIS_SSLROOTCERT", Text::up_to(TEXT_BYTES_MAX);
    REDIS_SENTINELS: Parsed<Vec<ServerAddress>> = "redis.sentinels", "REDIS_SENTINELS", Parsed {
        default: Vec::new,
        allowed: || rules::servers_allowed("sentinel-1:26379"),
        parse: rules::servers,
        show: |servers| list(servers),
    };
    REDIS_SENTINEL_MASTER: Text = "redis.sentinel_master", "REDIS_SENTINEL_MASTER",
        Text::up_to(MASTER_BYTES_MAX);
    REDIS_SENTINEL_USER: Text = "redis.sentinel_user", "REDIS_SENTINEL_USER",
        Text::up_to(IDENTIFIER_BYTES_MAX);
    REDIS_SENTINEL_PASSWORD: SecretText = "redis.sentinel_password", "REDIS_SENTINEL_PASSWORD",
        rules::PASSWORD;
    REDIS_CLUSTER_NODES: Parsed<Vec<ServerAddress>> = "redis.cluster_nodes", "REDIS_CLUSTER_NODES", Parsed {
        default: Vec::new,
        allowed: || rules::servers_allowed("redis-1:6379"),
        parse: rules::servers,
        show: |servers| list(servers),
    };

    JOURNAL_DIR: Text = "journal.dir", "JOURNAL_DIR", Text::new("data/journal", TEXT_BYTES_MAX);
    JOURNAL_DURABILITY: Choice<Durability> = "journal.durability", "JOURNAL_DURABILITY",
        Choice(&Durability::NAMES);
    JOURNAL_RETAIN_HOURS: Integer<u64> = "journal.retain_hours", "JOURNAL_RETAIN_HOURS",
        Integer::new(0, 0, limits::RETAIN_HOURS_MAX);
    JOURNAL_WEBHOOK_HOURS: Integer<u64> = "journal.webhook_hours", "JOURNAL_WEBHOOK_HOURS",
        Integer::new(72, 1, limits::RETAIN_HOURS_MAX);
    JOURNAL_REFUSED_ATTEMPTS: Truth = "journal.refused_attempts", "JOURNAL_REFUSED_ATTEMPTS",
        Truth { default: false };
    JOURNAL_SEGMENT_MEBIBYTES: Integer<u64> = "journal.segment_mebibytes", "JOURNAL_SEGMENT_MEBIBYTES",
        Integer::new(64, limits::SEGMENT_BYTES_MIN >> 20, limits::SEGMENT_BYTES_MAX >> 20);
    JOURNAL_STALL_SECONDS: Integer<u32> = "journal.stall_seconds", "JOURNAL_STALL_SECONDS",
        Integer::new(limits::STALL_SECONDS_DEFAULT, 1, limits::STALL_SECONDS_MAX);

    REPLICATION_ENGINE: Choice<LogEngine> = "replication.engine", "REPLICATION_ENGINE",
        Choice(&LogEngine::NAMES);
    REPLICATION_LOG: Parsed<String> = "replication.log", "REPLICATION_LOG", Parsed {
        default: || "flashsale".to_owned(),
        allowed: rules::log_name_allowed,
        parse: |given| text(given, rules::is_log_name),
        show: String::clone,
    };
    REPLICATION_TAKEOVER_MS: Integer<u32> = "replication.takeover_ms", "REPLICATION_TAKEOVER_MS",
        Integer::new(3_000, limits::TAKEOVER_MS_MIN, limits::TAKEOVER_MS_MAX);
    REPLICATION_HOSTS: Parsed<Vec<ServerAddress>> = "replication.hosts", "REPLICATION_HOSTS", Parsed {
        default: Vec::new,
        allowed: rules::log_hosts_allowed,
        parse: rules::servers,
        show: |servers| list(servers),
    };
    REPLICATION_USER: Text = "replication.user", "REPLICATION_USER", Text::up_to(IDENTIFIER_BYTES_MAX);
    REPLICATION_PASSWORD: SecretText = "replication.password", "REPLICATION_PASSWORD", rules::PASSWORD;
    REPLICATION_DBNAME: Text = "replication.dbname", "REPLICATION_DBNAME",
        Text::up_to(IDENTIFIER_BYTES_MAX);
    REPLICATION_TLS: Truth = "replication.tls", "REPLICATION_TLS", Truth { default: false };
    REPLICATION_SSLROOTCERT: Text = "replication.sslrootcert", "REPLICATION_SSLROOTCERT",
        Text::up_to(TEXT_BYTES_MAX);
    REPLICATION_SSLCERT: Text = "replication.sslcert", "REPLICATION_SSLCERT", Text::up_to(TEXT_BYTES_MAX);
    REPLICATION_SSLKEY: Text = "replication.sslkey", "REPLICATION_SSLKEY", Text::up_to(TEXT_BYTES_MAX);

    SALE_TOTAL_ITEMS: Integer<u32> = "sale.total_items", "SALE_TOTAL_ITEMS",
        Integer::new(10_000, 1, limits::SALE_ITEMS_MAX);
    SALE_INTERVAL_SECONDS: Integer<u32> = "sale.interval_seconds", "SALE_INTERVAL_SECONDS",
        Integer::new(3600, 1, limits::SALE_SECONDS_MAX);
    SALE_MAX_ITEMS_PER_USER: Integer<u32> = "sale.max_items_per_user", "SALE_MAX_ITEMS_PER_USER",
        Integer::new(10, 1, limits::ITEMS_PER_USER_MAX);
    SALE_HOLD_SECONDS: Integer<u32> = "sale.hold_seconds", "SALE_HOLD_SECONDS",
        Integer::new(0, 0, limits::HOLD_SECONDS_MAX);
    SALE_PAYMENT_SECONDS: Integer<u32> = "sale.payment_seconds", "SALE_PAYMENT_SECONDS",
        Integer::new(0, 0, limits::PAYMENT_SECONDS_MAX);
    SALE_PURCHASE_BY: Choice<PurchaseBy> = "sale.purchase_by", "SALE_PURCHASE_BY",
        Choice(&PurchaseBy::NAMES);
    SALE_PAYMENT_PAGE: Parsed<String> = "sale.payment_page", "SALE_PAYMENT_PAGE", Parsed {
        default: String::new,
        allowed: rules::page_address_allowed,
        parse: |given| text(given, |text| text.is_empty() || rules::is_page_address(text)),
        show: String::clone,
    };
    SALE_KEEP_ENDED_SECONDS: Integer<u32> = "sale.keep_ended_seconds", "SALE_KEEP_ENDED_SECONDS",
        Integer::new(600, 0, limits::KEEP_ENDED_SECONDS_MAX);
    SALE_SEED: Integer<u64> = "sale.seed", "SALE_SEED", Integer::new(0, 0, u64::MAX);

    LIMITS_ADDRESS: OptionalLimit = "limits.address", "LIMITS_ADDRESS", OptionalLimit;
    LIMITS_USER: OptionalLimit = "limits.user", "LIMITS_USER", OptionalLimit;

    ADMIN_TOKEN: SecretText = "admin.token", "ADMIN_TOKEN", rules::TOKEN;

    SHOP_TOKEN: SecretText = "shop.token", "SHOP_TOKEN", rules::TOKEN;

    AUTH_KEYS: Text = "auth.keys", "AUTH_KEYS", Text::up_to(TEXT_BYTES_MAX);
    AUTH_ISSUER: Text = "auth.issuer", "AUTH_ISSUER", Text::up_to(TEXT_BYTES_MAX);
    AUTH_AUDIENCE: Text = "auth.audience", "AUTH_AUDIENCE", Text::up_to(TEXT_BYTES_MAX);
    AUTH_REQUIRED: Truth = "auth.required", "AUTH_REQUIRED", Truth { default: true };
    AUTH_LEEWAY_SECONDS: Integer<u32> = "auth.leeway_seconds", "AUTH_LEEWAY_SECONDS",
        Integer::new(limits::LEEWAY_SECONDS_DEFAULT, 0, limits::LEEWAY_SECONDS_MAX);
    AUTH_SESSION_SECRET: SecretText = "auth.session_secret", "AUTH_SESSION_SECRET", SESSION_SECRET;
    AUTH_SESSION_SECONDS: Integer<u32> = "auth.session_seconds", "AUTH_SESSION_SECONDS",
        Integer::new(limits::SESSION_SECONDS_DEFAULT, limits::SESSION_SECONDS_MIN, limits::SESSION_SECONDS_MAX);

    WEBHOOKS: Objects = "webhooks", "WEBHOOKS", Objects;

    LOG_LEVEL: Parsed<String> = "log.level", "LOG_LEVEL", Parsed {
        default: || "info".to_owned(),
        allowed: rules::log_level_allowed,
        parse: |given| text(given, rules::is_log_level),
        show: String::clone,
    };
    LOG_FORMAT: Choice<LogFormat> = "log.format", "LOG_FORMAT", Choice(&LogFormat::NAMES);
}

fn text(given: &Given, is_allowed: fn(&str) -> bool) -> Option<String> {
    let text = given.as_text().filter(|text| is_allowed(text))?;
    Some(text.to_owned())
}

fn list(values: &[impl ToString]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_path_and_variable_is_unique() {
        let paths: HashSet<_> = ALL.iter().map(|key| key.path).collect();
        let variables: HashSet<_> = ALL.iter().map(|key| key.variable).collect();
        assert_eq!(paths.len(), ALL.len());
        assert_eq!(variables.len(), ALL.len());
    }

    #[test]
    fn a_key_is_found_by_its_section_and_name_only() {
        assert_eq!(Key::find("redis", "db"), Some(REDIS_DB.key));
        assert_eq!(Key::find("redis", "dbname"), None);
        assert_eq!(Key::find("", "redis.db"), None);
        assert_eq!(REDIS_DB.key.section(), "redis");
    }

    #[test]
    fn the_secrets_are_the_passwords_and_the_tokens() {
        let secrets: Vec<_> = ALL
            .iter()
            .filter(|key| key.secret)
            .map(|key| key.path)
            .collect();
        assert_eq!(
            secrets,
            [
                "database.password",
                "redis.password",
                "redis.sentinel_password",
                "replication.password",
                "admin.token",
                "shop.token",
                "auth.session_secret",
                "webhooks"
            ]
        );
    }
}
