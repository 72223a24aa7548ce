//! What the configuration says about the sinks, in the sinks' own terms.

use crate::config::{DatabaseConfig, SslMode};
use crate::reconcile::postgres::{Encryption, PostgresOptions};

/// The Postgres sink that is configured.
#[must_use]
pub fn postgres_options(config: &DatabaseConfig) -> PostgresOptions {
    PostgresOptions {
        host: config.host.clone(),
        port: config.port,
        user: config.user.clone(),
        password: config.password.clone(),
        dbname: config.dbname.clone(),
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
