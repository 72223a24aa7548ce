//! The Postgres and the Redis that a server projects into.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::databases::{OwnPostgres, OwnRedis};
use super::running::Running;

/// How long the sinks may take to come up, or to apply what a turn has left.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Both, running.
pub struct Sinks {
    postgres: OwnPostgres,
    redis: OwnRedis,
}

impl Sinks {
    /// Starts both, empty.
    #[must_use]
    pub fn start() -> Self {
        Self {
            postgres: OwnPostgres::start(),
            redis: OwnRedis::start("everysec"),
        }
    }

    /// The environment of a server that both follow.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        [self.postgres.settings(), self.redis.settings()].concat()
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
