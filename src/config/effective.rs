//! The configuration in effect, as text that may be shown.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{self, Key};
use super::{
    Config, DatabaseConfig, JournalConfig, LogFormat, RedisConfig, RedisPlace, SaleConfig,
    ServerConfig, SslMode,
};
use crate::env::Secret;
use crate::types::{Durability, ServerAddress};

/// `key=value` for every key that has an effect, in the order of the shipped file.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let mut lines = Vec::from(server_lines(&config.server));
    match &config.database {
        Some(database) => lines.extend(database_lines(database)),
        None => lines.push("database=off".to_owned()),
    }
    match &config.redis {
        Some(redis) => lines.extend(redis_lines(redis)),
        None => lines.push("redis=off".to_owned()),
    }
    lines.extend(journal_lines(&config.journal));
    lines.extend(sale_lines(&config.sale));
    lines.extend([
        line(keys::ADMIN_TOKEN, presence(config.admin.token.as_ref())),
        line(keys::LOG_LEVEL, &config.log.level),
        line(keys::LOG_FORMAT, name(&LogFormat::NAMES, config.log.format)),
    ]);
    lines
}

fn server_lines(server: &ServerConfig) -> [String; 8] {
    let tls = server.tls.as_ref();
    [
        line(keys::SERVER_HOST, server.host),
        line(keys::SERVER_PORT, server.port),
        line(keys::SERVER_WORKERS, server.workers.map_or(0, usize::from)),
        line(keys::SERVER_TLS_CERT, path(tls.map(|tls| &tls.cert))),
        line(keys::SERVER_TLS_KEY, path(tls.map(|tls| &tls.key))),
        line(
            keys::SERVER_CONNECTIONS_PER_PEER,
            server.connections_per_peer.map_or(0, NonZeroU32::get),
        ),
        line(keys::SERVER_IDLE_SECONDS, server.idle_seconds),
        line(keys::SERVER_CORS_ORIGINS, server.cors_origins.join(",")),
    ]
}

fn database_lines(database: &DatabaseConfig) -> [String; 9] {
    [
        line(keys::DATABASE_HOST, &database.host),
        line(keys::DATABASE_PORT, database.port),
        line(keys::DATABASE_USER, &database.user),
        line(
            keys::DATABASE_PASSWORD,
            presence(database.password.as_ref()),
        ),
        line(keys::DATABASE_DBNAME, &database.dbname),
        line(keys::DATABASE_SCHEMA, &database.schema),
        line(
            keys::DATABASE_SSLMODE,
            name(&SslMode::NAMES, database.sslmode),
        ),
        line(
            keys::DATABASE_SSLROOTCERT,
            path(database.sslrootcert.as_ref()),
        ),
        line(
            keys::DATABASE_MIGRATIONS_PATH,
            database.migrations_path.display(),
        ),
    ]
}

fn redis_lines(redis: &RedisConfig) -> Vec<String> {
    let mut lines = match &redis.place {
        RedisPlace::Server(server) => vec![
            line(keys::REDIS_HOST, &server.host),
            line(keys::REDIS_PORT, server.port),
        ],
        RedisPlace::Sentinels {
            sentinels,
            master,
            user,
            password,
        } => vec![
            line(keys::REDIS_SENTINELS, list(sentinels)),
            line(keys::REDIS_SENTINEL_MASTER, master),
            line(
                keys::REDIS_SENTINEL_USER,
                user.as_deref().unwrap_or_default(),
            ),
            line(keys::REDIS_SENTINEL_PASSWORD, presence(password.as_ref())),
        ],
        RedisPlace::Cluster(nodes) => vec![line(keys::REDIS_CLUSTER_NODES, list(nodes))],
    };
    lines.extend([
        line(keys::REDIS_USER, redis.user.as_deref().unwrap_or_default()),
        line(keys::REDIS_PASSWORD, presence(redis.password.as_ref())),
        line(keys::REDIS_DB, redis.db),
        line(keys::REDIS_TLS, redis.tls),
        line(keys::REDIS_SSLROOTCERT, path(redis.sslrootcert.as_ref())),
    ]);
    lines
}

fn list(servers: &[ServerAddress]) -> String {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    servers.join(",")
}

fn journal_lines(journal: &JournalConfig) -> [String; 6] {
    [
        line(keys::JOURNAL_DIR, journal.dir.display()),
        line(
            keys::JOURNAL_DURABILITY,
            name(&Durability::NAMES, journal.durability),
        ),
        line(keys::JOURNAL_RETAIN_HOURS, seconds(journal.retain) / 3600),
        line(keys::JOURNAL_REFUSED_ATTEMPTS, journal.refused_attempts),
        line(keys::JOURNAL_SEGMENT_MEBIBYTES, journal.segment_bytes >> 20),
        line(keys::JOURNAL_STALL_SECONDS, journal.stall.as_secs()),
    ]
}

fn sale_lines(sale: &SaleConfig) -> [String; 6] {
    [
        line(keys::SALE_TOTAL_ITEMS, sale.total_items),
        line(keys::SALE_INTERVAL_SECONDS, sale.interval.as_secs()),
        line(keys::SALE_MAX_ITEMS_PER_USER, sale.max_items_per_user),
        line(keys::SALE_HOLD_SECONDS, seconds(sale.hold)),
        line(keys::SALE_KEEP_ENDED_SECONDS, sale.keep_ended.as_secs()),
        line(keys::SALE_SEED, sale.seed),
    ]
}

fn line(key: Key, value: impl Display) -> String {
    format!("{}={value}", key.path)
}

/// Only whether there is a secret: even its length would help to guess it.
fn presence(secret: Option<&Secret>) -> &'static str {
    if secret.is_some() { "set" } else { "none" }
}

/// Empty when the default is in effect.
fn path(path: Option<&PathBuf>) -> std::path::Display<'_> {
    path.map_or(Path::new(""), PathBuf::as_path).display()
}

fn seconds(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| duration.as_secs())
}

/// The name under which a choice is configured.
fn name<T: Copy + PartialEq>(choices: &[(&'static str, T)], chosen: T) -> &'static str {
    choices
        .iter()
        .find(|&&(_, choice)| choice == chosen)
        .map_or("", |&(name, _)| name)
}
