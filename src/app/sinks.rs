//! What the configuration says about the sinks, in the sinks' own terms.

use crate::config::{DatabaseConfig, RedisConfig, SslMode};
use crate::reconcile::postgres::{Encryption, PostgresOptions};
use crate::reconcile::redis::RedisOptions;

/// The Postgres sink that is configured.
#[must_use]
pub fn postgres_options(config: &DatabaseConfig) -> PostgresOptions {
    PostgresOptions {
        host: config.host.clone(),
        port: config.port,
        user: config.user.clone(),
        password: config.password.clone(),
        dbname: config.dbname.clone(),
        schema: config.schema.clone(),
        encryption: match config.sslmode {
            SslMode::Disable => Encryption::Off,
            SslMode::Require => Encryption::Unverified,
            SslMode::VerifyCa => Encryption::Authority,
            SslMode::VerifyFull => Encryption::Host,
        },
        authorities: config.sslrootcert.clone(),
        migrations: config.migrations_path.clone(),
    }
}

/// The Redis sink that is configured.
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
