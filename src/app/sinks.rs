//! The configuration of the sinks, as the parts that feed them want it.

use crate::config::RedisConfig;
use crate::reconcile::redis::RedisOptions;

/// Where Redis is.
#[must_use]
pub fn redis_options(config: &RedisConfig) -> RedisOptions {
    RedisOptions {
        host: config.host.clone(),
        port: config.port,
        user: config.user.clone(),
        password: config.password.clone(),
        db: config.db,
        tls: config.tls,
        authorities: config.sslrootcert.clone(),
    }
}
