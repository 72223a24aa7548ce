//! `flashsale rebuild redis`: empties Redis' part, for the server to fill again.

use std::io::{self, Write};

use crate::app::sinks::redis_options;
use crate::config::Config;
use crate::reconcile::SinkError;
use crate::reconcile::redis::reset;

/// Why nothing was emptied.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is nothing to empty.
    #[error(
        "no Redis is configured: set redis.host, redis.sentinels or redis.cluster_nodes, or REDIS_HOST, \
         REDIS_SENTINELS or REDIS_CLUSTER_NODES"
    )]
    NotConfigured,
    /// Nobody has said that the keys may go.
    #[error(
        "this would remove from the configured Redis what it shows of all sales, whichever server filled \
         it, and the events that nobody has consumed yet; add --yes to do it"
    )]
    NotConfirmed,
    /// Redis.
    #[error("Redis at {address}: {source}")]
    Redis {
        /// The address of Redis.
        address: String,
        /// The error.
        source: SinkError,
    },
    /// No runtime, or the output is gone.
    #[error("cannot write the report: {0}")]
    Io(#[from] io::Error),
}

impl RebuildError {
    /// Returns whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Empties the projection in the configured Redis, if `confirmed`.
///
/// # Errors
/// See [`RebuildError`].
pub fn rebuild_redis(
    config: &Config,
    confirmed: bool,
    out: &mut dyn Write,
) -> Result<(), RebuildError> {
    let redis = config.redis.as_ref().ok_or(RebuildError::NotConfigured)?;
    if !confirmed {
        return Err(RebuildError::NotConfirmed);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let options = redis_options(redis);
    let emptied = runtime.block_on(reset(&options));
    emptied.map_err(|source| RebuildError::Redis {
        address: options.address(),
        source,
    })?;
    writeln!(
        out,
        "Redis: emptied; the server fills it again from its journal, at once when it runs"
    )?;
    Ok(())
}
