//! A Postgres and a Redis of this run's own, on free ports and in the temporary directory (`TMPDIR`).

use std::path::PathBuf;

use super::process::find_program;
use postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use redis_server::RedisServer;

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/redis.rs"]
mod redis_server;

/// As for a machine that does this and nothing else: room for what a turn writes, without a checkpoint in every one,
/// and for all connections of a contestant. What is durable stays as it is by default: `fsync`, `full_page_writes` and
/// `synchronous_commit` are on.
const POSTGRES_SETTINGS: [&str; 6] = [
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=30min",
    "wal_buffers=16MB",
    "max_connections=200",
    // A user over the limit is no failure of the server.
    "log_min_messages=fatal",
];
/// The log is not rewritten within a turn.
const REDIS_SETTINGS: [&str; 4] = [
    "appendonly yes",
    "auto-aof-rewrite-min-size 4gb",
    "maxclients 1000",
    "unixsocket socket",
];

/// A fresh Postgres.
pub struct OwnPostgres(Postgres);

/// A fresh Redis with a log.
pub struct OwnRedis(RedisServer);

impl OwnPostgres {
    /// Starts it, empty.
    #[must_use]
    pub fn start() -> Self {
        Self(Postgres::start_with(&POSTGRES_SETTINGS))
    }

    /// Returns the environment of a server that it follows.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DB_HOST", self.0.host().to_owned()),
            ("DB_PORT", self.0.port().to_string()),
            ("DB_USER", USER.to_owned()),
            ("DB_PASSWORD", PASSWORD.to_owned()),
            ("DB_NAME", DATABASE.to_owned()),
        ]
    }

    /// Returns how it is reached by its Unix socket, which costs both sides less than TCP.
    #[must_use]
    pub fn parameters(&self) -> String {
        let (dir, port) = (self.0.socket_dir().display(), self.0.port());
        format!("host={dir} port={port} user={USER} dbname={DATABASE}")
    }

    /// Returns its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl OwnRedis {
    /// Starts it, empty, with `appendfsync` as `fsync` says.
    #[must_use]
    pub fn start(fsync: &str) -> Self {
        let fsync = format!("appendfsync {fsync}");
        let settings = [&REDIS_SETTINGS[..], &[&fsync]].concat();
        Self(RedisServer::start_with(&settings))
    }

    /// Returns the environment of a server that it follows.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REDIS_HOST", "127.0.0.1".to_owned()),
            ("REDIS_PORT", self.0.port().to_string()),
        ]
    }

    /// Returns how it is reached by its Unix socket, which costs both sides less than TCP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.0.dir().join("socket").display())
    }

    /// Returns its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

/// Returns whether a Postgres can be started on this machine.
#[must_use]
pub fn has_postgres() -> bool {
    // Debian keeps the server's programs outside of PATH.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let places: Vec<PathBuf> = versions.flatten().map(|it| it.path().join("bin")).collect();
    find_program("initdb", &places).is_some()
}

/// Returns whether a Redis can be started on this machine.
#[must_use]
pub fn has_redis() -> bool {
    find_program("redis-server", &[]).is_some()
}
