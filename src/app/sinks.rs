//! The options of the sinks, from the configuration.

use crate::config::{DatabaseConfig, RedisConfig, RedisPlace, SslMode};
use crate::reconcile::postgres::{Encryption, PostgresOptions};
use crate::reconcile::redis::{RedisOptions, RedisServers, SentinelOptions};

/// The Postgres sink that is configured.
#[must_use]
pub fn postgres_options(config: &DatabaseConfig) -> PostgresOptions {
    PostgresOptions {
        host: config.host.clone(),
        port: config.port,
        others: Vec::new(),
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
        servers: match &config.place {
            RedisPlace::Server(server) => RedisServers::Single(server.clone()),
            RedisPlace::Sentinels {
                sentinels,
                master,
                user,
                password,
            } => RedisServers::Sentinel(SentinelOptions {
                sentinels: sentinels.clone(),
                master: master.clone(),
                user: user.clone(),
                password: password.clone(),
            }),
            RedisPlace::Cluster(nodes) => RedisServers::Cluster(nodes.clone()),
        },
        user: config.user.clone(),
        password: config.password.clone(),
        db: config.db,
        tls: config.tls,
        authorities: config.sslrootcert.clone(),
    }
}
