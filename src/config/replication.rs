//! The keys of the replicated log. What is not given is that of the database.

use super::keys;
use super::validate::Check;
use super::{DatabaseConfig, LogEngine, ReplicationConfig};
use crate::types::ServerAddress;

/// Checks the settings of the replicated log, where `database` is that of the sink, whether or not it is on; returns `None` when it is off.
pub(super) fn replication(
    check: &mut Check,
    database: DatabaseConfig,
) -> Option<ReplicationConfig> {
    let engine = check.read(keys::REPLICATION_ENGINE);
    let log = check.read(keys::REPLICATION_LOG);
    let takeover_ms = check.read(keys::REPLICATION_TAKEOVER_MS);
    let hosts = check.read(keys::REPLICATION_HOSTS);
    let user = check.optional_text(keys::REPLICATION_USER);
    let password = check.secret(keys::REPLICATION_PASSWORD);
    let dbname = check.optional_text(keys::REPLICATION_DBNAME);
    if engine == LogEngine::Off {
        check.effective.switch_off("replication");
        return None;
    }
    let own = ServerAddress {
        host: database.host.clone(),
        port: database.port,
    };
    let mut hosts = match hosts.is_empty() {
        true => vec![own],
        false => hosts,
    };
    let first = hosts.remove(0);
    if first.host.is_empty() {
        check.lacks(keys::REPLICATION_ENGINE.key, keys::REPLICATION_HOSTS.key);
        return None;
    }
    Some(ReplicationConfig {
        log,
        takeover_ms,
        database: DatabaseConfig {
            host: first.host,
            port: first.port,
            user: user.unwrap_or(database.user),
            password: password.or(database.password),
            dbname: dbname.unwrap_or(database.dbname),
            ..database
        },
        other_hosts: hosts,
    })
}
