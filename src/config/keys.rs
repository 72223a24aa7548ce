//! Every key the server knows: its place in the file and its name in the environment.

/// One key of the configuration.
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
    const fn open(path: &'static str, variable: &'static str, file_variable: &'static str) -> Self {
        Self {
            path,
            variable,
            file_variable,
            secret: false,
        }
    }

    const fn secret(
        path: &'static str,
        variable: &'static str,
        file_variable: &'static str,
    ) -> Self {
        Self {
            path,
            variable,
            file_variable,
            secret: true,
        }
    }

    /// The part of the path before the dot.
    pub(super) fn section(self) -> &'static str {
        self.path
            .split_once('.')
            .map_or(self.path, |(section, _)| section)
    }

    /// The key at `section.name`, if there is one.
    pub(super) fn find(section: &str, name: &str) -> Option<Self> {
        let is_at = |key: &&Key| key.path.split_once('.') == Some((section, name));
        ALL.iter().find(is_at).copied()
    }
}

/// Defines a constant for each key and the list of them all, so that the two cannot differ.
macro_rules! keys {
    ($($name:ident = $kind:ident($path:literal, $variable:literal);)*) => {
        $(pub(super) const $name: Key = Key::$kind($path, $variable, concat!($variable, "_FILE"));)*

        /// All keys, in the order of the shipped file.
        pub(super) const ALL: &[Key] = &[$($name),*];
    };
}

keys! {
    SERVER_HOST = open("server.host", "SERVER_HOST");
    SERVER_PORT = open("server.port", "SERVER_PORT");
    SERVER_WORKERS = open("server.workers", "SERVER_WORKERS");
    SERVER_TLS_CERT = open("server.tls_cert", "SERVER_TLS_CERT");
    SERVER_TLS_KEY = open("server.tls_key", "SERVER_TLS_KEY");
    SERVER_CONNECTIONS_PER_PEER =
        open("server.connections_per_peer", "SERVER_CONNECTIONS_PER_PEER");
    SERVER_IDLE_SECONDS = open("server.idle_seconds", "SERVER_IDLE_SECONDS");
    SERVER_CORS_ORIGINS = open("server.cors_origins", "SERVER_CORS_ORIGINS");
    DATABASE_HOST = open("database.host", "DB_HOST");
    DATABASE_PORT = open("database.port", "DB_PORT");
    DATABASE_USER = open("database.user", "DB_USER");
    DATABASE_PASSWORD = secret("database.password", "DB_PASSWORD");
    DATABASE_DBNAME = open("database.dbname", "DB_NAME");
    DATABASE_SCHEMA = open("database.schema", "DB_SCHEMA");
    DATABASE_SSLMODE = open("database.sslmode", "DB_SSLMODE");
    DATABASE_SSLROOTCERT = open("database.sslrootcert", "DB_SSLROOTCERT");
    DATABASE_MIGRATIONS_PATH = open("database.migrations_path", "DB_MIGRATIONS_PATH");
    REDIS_HOST = open("redis.host", "REDIS_HOST");
    REDIS_PORT = open("redis.port", "REDIS_PORT");
    REDIS_USER = open("redis.user", "REDIS_USER");
    REDIS_PASSWORD = secret("redis.password", "REDIS_PASSWORD");
    REDIS_DB = open("redis.db", "REDIS_DB");
    REDIS_TLS = open("redis.tls", "REDIS_TLS");
    REDIS_SSLROOTCERT = open("redis.sslrootcert", "REDIS_SSLROOTCERT");
    REDIS_SENTINELS = open("redis.sentinels", "REDIS_SENTINELS");
    REDIS_SENTINEL_MASTER = open("redis.sentinel_master", "REDIS_SENTINEL_MASTER");
    REDIS_SENTINEL_USER = open("redis.sentinel_user", "REDIS_SENTINEL_USER");
    REDIS_SENTINEL_PASSWORD = secret("redis.sentinel_password", "REDIS_SENTINEL_PASSWORD");
    REDIS_CLUSTER_NODES = open("redis.cluster_nodes", "REDIS_CLUSTER_NODES");
    JOURNAL_DIR = open("journal.dir", "JOURNAL_DIR");
    JOURNAL_DURABILITY = open("journal.durability", "JOURNAL_DURABILITY");
    JOURNAL_RETAIN_HOURS = open("journal.retain_hours", "JOURNAL_RETAIN_HOURS");
    JOURNAL_REFUSED_ATTEMPTS = open("journal.refused_attempts", "JOURNAL_REFUSED_ATTEMPTS");
    JOURNAL_SEGMENT_MEBIBYTES = open("journal.segment_mebibytes", "JOURNAL_SEGMENT_MEBIBYTES");
    JOURNAL_STALL_SECONDS = open("journal.stall_seconds", "JOURNAL_STALL_SECONDS");
    SALE_TOTAL_ITEMS = open("sale.total_items", "SALE_TOTAL_ITEMS");
    SALE_INTERVAL_SECONDS = open("sale.interval_seconds", "SALE_INTERVAL_SECONDS");
    SALE_MAX_ITEMS_PER_USER = open("sale.max_items_per_user", "SALE_MAX_ITEMS_PER_USER");
    SALE_HOLD_SECONDS = open("sale.hold_seconds", "SALE_HOLD_SECONDS");
    SALE_KEEP_ENDED_SECONDS = open("sale.keep_ended_seconds", "SALE_KEEP_ENDED_SECONDS");
    SALE_SEED = open("sale.seed", "SALE_SEED");
    ADMIN_TOKEN = secret("admin.token", "ADMIN_TOKEN");
    LOG_LEVEL = open("log.level", "LOG_LEVEL");
    LOG_FORMAT = open("log.format", "LOG_FORMAT");
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
        assert_eq!(Key::find("redis", "db"), Some(REDIS_DB));
        assert_eq!(Key::find("redis", "dbname"), None);
        assert_eq!(Key::find("", "redis.db"), None);
        assert_eq!(REDIS_DB.section(), "redis");
    }

    #[test]
    fn the_secrets_are_the_passwords_and_the_token() {
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
                "admin.token"
            ]
        );
    }
}
