//! The keys of the replicated log. What is not given of a Postgres is that of the database.

use super::keys::{self, Key};
use super::validate::Check;
use super::{
    DatabaseConfig, EtcdConfig, EtcdTls, LogEngine, LogKeeper, ReplicationConfig, TlsFiles,
};
use crate::env::Secret;
use crate::types::ServerAddress;

/// The keys that have no meaning for a Postgres.
const ETCD_KEYS: &[Key] = &[
    keys::REPLICATION_TLS.key,
    keys::REPLICATION_SSLROOTCERT.key,
    keys::REPLICATION_SSLCERT.key,
    keys::REPLICATION_SSLKEY.key,
];

/// The values of the keys that both engines have.
struct CommonValues {
    hosts: Vec<ServerAddress>,
    user: Option<String>,
    password: Option<Secret>,
    dbname: Option<String>,
}

/// Checks the settings of the replicated log, where `database` is that of the sink, whether or not it is on; returns `None` when it is off.
pub(super) fn replication(
    check: &mut Check,
    database: DatabaseConfig,
) -> Option<ReplicationConfig> {
    let engine = check.read(keys::REPLICATION_ENGINE);
    let log = check.read(keys::REPLICATION_LOG);
    let takeover_ms = check.read(keys::REPLICATION_TAKEOVER_MS);
    let given = CommonValues {
        hosts: check.read(keys::REPLICATION_HOSTS),
        user: check.optional_text(keys::REPLICATION_USER),
        password: check.secret(keys::REPLICATION_PASSWORD),
        dbname: check.optional_text(keys::REPLICATION_DBNAME),
    };
    let tls = tls(check);
    // Only now, so that the values of a log that is off are checked too.
    let keeper = match engine {
        LogEngine::Off => {
            check.effective.switch_off("replication");
            None
        }
        LogEngine::Postgres => postgres(check, given, tls.is_some(), database),
        LogEngine::Etcd => etcd(check, given, tls),
    };
    keeper.map(|keeper| ReplicationConfig {
        log,
        takeover_ms,
        keeper,
    })
}

fn postgres(
    check: &mut Check,
    given: CommonValues,
    is_tls_given: bool,
    database: DatabaseConfig,
) -> Option<LogKeeper> {
    if is_tls_given {
        let allowed = "false with replication.engine = postgres, whose encryption is that of database.sslmode";
        check.refuse(keys::REPLICATION_TLS.key, allowed.to_owned());
    }
    check.effective.leave_out(ETCD_KEYS);
    let own = ServerAddress {
        host: database.host.clone(),
        port: database.port,
    };
    let mut hosts = match given.hosts.is_empty() {
        true => vec![own],
        false => given.hosts,
    };
    let first = hosts.remove(0);
    if first.host.is_empty() {
        check.lacks(keys::REPLICATION_ENGINE.key, keys::REPLICATION_HOSTS.key);
        return None;
    }
    Some(LogKeeper::Postgres {
        database: DatabaseConfig {
            host: first.host,
            port: first.port,
            user: given.user.unwrap_or(database.user),
            password: given.password.or(database.password),
            dbname: given.dbname.unwrap_or(database.dbname),
            ..database
        },
        other_hosts: hosts,
    })
}

fn etcd(check: &mut Check, given: CommonValues, tls: Option<EtcdTls>) -> Option<LogKeeper> {
    if given.dbname.is_some() {
        let allowed = "empty with replication.engine = etcd, which has no databases";
        check.refuse(keys::REPLICATION_DBNAME.key, allowed.to_owned());
    }
    check.effective.leave_out(&[keys::REPLICATION_DBNAME.key]);
    let (user, password) = (keys::REPLICATION_USER.key, keys::REPLICATION_PASSWORD.key);
    match (&given.user, &given.password) {
        (Some(_), None) => check.lacks(user, password),
        (None, Some(_)) => check.lacks(password, user),
        _ => {}
    }
    if given.hosts.is_empty() {
        check.lacks(keys::REPLICATION_ENGINE.key, keys::REPLICATION_HOSTS.key);
        return None;
    }
    Some(LogKeeper::Etcd(EtcdConfig {
        members: given.hosts,
        user: given.user,
        password: given.password,
        tls,
    }))
}

/// The encryption of an etcd; `None` where there is none.
fn tls(check: &mut Check) -> Option<EtcdTls> {
    let is_on = check.read(keys::REPLICATION_TLS);
    let sslrootcert = check.optional_path(keys::REPLICATION_SSLROOTCERT);
    let cert = check.optional_path(keys::REPLICATION_SSLCERT);
    let key = check.optional_path(keys::REPLICATION_SSLKEY);
    let files = [
        (keys::REPLICATION_SSLROOTCERT.key, sslrootcert.is_some()),
        (keys::REPLICATION_SSLCERT.key, cert.is_some()),
        (keys::REPLICATION_SSLKEY.key, key.is_some()),
    ];
    for (file, _) in files.iter().filter(|(_, is_given)| *is_given && !is_on) {
        check.lacks(*file, keys::REPLICATION_TLS.key);
    }
    let [_, (cert_key, _), (key_key, _)] = files;
    let client = match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            check.lacks(cert_key, key_key);
            None
        }
        (None, Some(_)) => {
            check.lacks(key_key, cert_key);
            None
        }
    };
    is_on.then_some(EtcdTls {
        sslrootcert,
        client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_variables as load;

    const ETCD: (&str, &str) = ("REPLICATION_ENGINE", "etcd");
    const POSTGRES: (&str, &str) = ("REPLICATION_ENGINE", "postgres");
    const HOSTS: (&str, &str) = ("REPLICATION_HOSTS", "e1:2379,e2:2379");
    const TLS: (&str, &str) = ("REPLICATION_TLS", "true");

    #[test]
    fn an_etcd_is_told_by_its_members() {
        let config = load(&[
            ETCD,
            HOSTS,
            TLS,
            ("REPLICATION_USER", "shop"),
            ("REPLICATION_PASSWORD", "hidden-word"),
            ("REPLICATION_SSLROOTCERT", "ca.pem"),
            ("REPLICATION_SSLCERT", "shop.pem"),
            ("REPLICATION_SSLKEY", "shop.key"),
            // Nothing of it is the etcd's.
            ("DB_HOST", "db"),
            ("DB_PASSWORD", "another-word"),
        ]);
        let config = config.expect("allowed");
        let described = config.describe();
        assert!(
            described.contains("replication.engine=etcd replication.log=flashsale"),
            "{described}"
        );
        assert!(
            described.contains("replication.password=set"),
            "{described}"
        );
        assert!(!described.contains("hidden-word") && !described.contains("replication.dbname"));
        let settings = config.replication.expect("on");
        assert_eq!(settings.hosts_text(), "e1:2379,e2:2379");
        let LogKeeper::Etcd(etcd) = settings.keeper else {
            panic!("etcd");
        };
        assert_eq!(etcd.user.as_deref(), Some("shop"));
        assert!(!format!("{etcd:?}").contains("hidden-word"));
        let tls = etcd.tls.expect("on");
        assert_eq!(tls.sslrootcert, Some("ca.pem".into()));
        assert_eq!(tls.client.map(|it| it.key), Some("shop.key".into()));
    }

    #[test]
    fn what_an_engine_does_not_know_is_refused() {
        for (given, said) in [
            (
                &[ETCD][..],
                "replication.engine = \"etcd\" is not allowed: must be empty, or given together with replication.hosts",
            ),
            (
                &[ETCD, HOSTS, ("REPLICATION_DBNAME", "d")],
                "replication.dbname = \"d\" is not allowed: must be empty with replication.engine = etcd",
            ),
            (
                &[ETCD, HOSTS, ("REPLICATION_USER", "u")],
                "must be empty, or given together with replication.password",
            ),
            (
                &[ETCD, HOSTS, ("REPLICATION_PASSWORD", "p")],
                "must be empty, or given together with replication.user",
            ),
            (
                &[ETCD, HOSTS, ("REPLICATION_SSLROOTCERT", "c")],
                "must be empty, or given together with replication.tls",
            ),
            (
                &[ETCD, HOSTS, TLS, ("REPLICATION_SSLCERT", "c")],
                "must be empty, or given together with replication.sslkey",
            ),
            (
                &[POSTGRES, HOSTS, TLS],
                "replication.tls = \"true\" is not allowed: must be false with replication.engine = postgres, whose encryption is that of \
                 database.sslmode",
            ),
        ] {
            let error = load(given).expect_err(said);
            assert!(error.contains(said), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
