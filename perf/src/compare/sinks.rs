//! A Postgres and a Redis of this run's own, on free ports and in temporary directories.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::contestant::Running;
use super::process::find_program;
use postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use redis_server::RedisServer;

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/redis.rs"]
mod redis_server;

/// Room for what a turn writes, without a checkpoint in every one.
const POSTGRES_SETTINGS: [&str; 2] = ["shared_buffers=256MB", "max_wal_size=4GB"];
const REDIS_SETTINGS: [&str; 1] = ["appendonly yes"];
/// How long the sinks may take to come up, or to apply what a turn has left.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Both, running.
pub struct Sinks {
    postgres: Postgres,
    redis: RedisServer,
}

/// Returns the program that is missing on this machine, if any.
#[must_use]
pub fn missing() -> Option<&'static str> {
    // Debian keeps the server's programs outside of PATH.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let places: Vec<_> = versions.flatten().map(|it| it.path().join("bin")).collect();
    if find_program("initdb", &places).is_none() {
        Some("postgresql")
    } else if find_program("redis-server", &[]).is_none() {
        Some("redis-server")
    } else {
        None
    }
}

impl Sinks {
    /// Starts both, empty.
    #[must_use]
    pub fn start() -> Self {
        Self {
            postgres: Postgres::start_with(&POSTGRES_SETTINGS),
            redis: RedisServer::start_with(&REDIS_SETTINGS),
        }
    }

    /// The environment of a server that both follow.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DB_HOST", self.postgres.host().to_owned()),
            ("DB_PORT", self.postgres.port().to_string()),
            ("DB_USER", USER.to_owned()),
            ("DB_PASSWORD", PASSWORD.to_owned()),
            ("DB_NAME", DATABASE.to_owned()),
            ("REDIS_HOST", "127.0.0.1".to_owned()),
            ("REDIS_PORT", self.redis.port().to_string()),
        ]
    }
}

/// Blocks until both have every record that is durable.
///
/// # Errors
/// They take too long.
pub fn wait_until_applied(server: &Running) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reconcile = server.health()?["reconcile"].take();
        if [&reconcile["database"], &reconcile["redis"]]
            .into_iter()
            .all(has_everything)
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the sinks do not keep up: {reconcile}");
        }
        sleep(LOOK_EVERY);
    }
}

fn has_everything(sink: &Value) -> bool {
    sink["status"] == "UP" && sink["lag_records"] == 0
}

/// Records that both have.
///
/// # Errors
/// The server does not say.
pub fn applied(server: &Running) -> Result<u64> {
    let reconcile = server.health()?["reconcile"].take();
    let of = |name: &str| reconcile[name]["applied_lsn"].as_u64();
    match (of("database"), of("redis")) {
        (Some(database), Some(redis)) => Ok(database.min(redis)),
        _ => bail!("the sinks have applied nothing yet: {reconcile}"),
    }
}
