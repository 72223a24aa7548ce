//! The keys of Redis, which is one server, a master that sentinels know, or a cluster.

use super::keys::{self, Key};
use super::validate::Check;
use super::{RedisConfig, RedisPlace};
use crate::types::ServerAddress;

/// The keys of a single server.
const SERVER_KEYS: &[Key] = &[keys::REDIS_HOST.key, keys::REDIS_PORT.key];
/// The keys of sentinels.
const SENTINEL_KEYS: &[Key] = &[
    keys::REDIS_SENTINELS.key,
    keys::REDIS_SENTINEL_MASTER.key,
    keys::REDIS_SENTINEL_USER.key,
    keys::REDIS_SENTINEL_PASSWORD.key,
];
/// The key of a cluster.
const CLUSTER_KEYS: &[Key] = &[keys::REDIS_CLUSTER_NODES.key];

/// Checks the settings of Redis; returns `None` when it is off.
pub(super) fn redis(check: &mut Check) -> Option<RedisConfig> {
    let (scheme_is_tls, host) = check.read(keys::REDIS_HOST);
    let port = check.read(keys::REDIS_PORT);
    let sentinels = sentinels(check);
    let nodes = check.read(keys::REDIS_CLUSTER_NODES);
    let user = check.optional_text(keys::REDIS_USER);
    let password = check.secret(keys::REDIS_PASSWORD);
    let db = check.read(keys::REDIS_DB);
    let tls = check.read(keys::REDIS_TLS) || scheme_is_tls;
    let sslrootcert = check.optional_path(keys::REDIS_SSLROOTCERT);
    let server = (!host.is_empty()).then(|| RedisPlace::Server(ServerAddress { host, port }));
    let cluster = (!nodes.is_empty()).then_some(RedisPlace::Cluster(nodes));
    if cluster.is_some() && db != 0 {
        let allowed = format!(
            "0 with {}: a cluster has no other database",
            keys::REDIS_CLUSTER_NODES.key.path
        );
        check.refuse(keys::REDIS_DB.key, allowed);
    }
    let places = [
        (keys::REDIS_HOST.key, server),
        (keys::REDIS_SENTINELS.key, sentinels),
        (keys::REDIS_CLUSTER_NODES.key, cluster),
    ];
    // Only now, so that the values of a sink that is off are checked too.
    let Some(place) = only_one(check, places) else {
        check.effective.switch_off("redis");
        return None;
    };
    let unused = match place {
        RedisPlace::Server(_) => [SENTINEL_KEYS, CLUSTER_KEYS],
        RedisPlace::Sentinels { .. } => [SERVER_KEYS, CLUSTER_KEYS],
        RedisPlace::Cluster(_) => [SERVER_KEYS, SENTINEL_KEYS],
    };
    for keys in unused {
        check.effective.leave_out(keys);
    }
    check.effective.set(keys::REDIS_TLS.key, tls.to_string());
    Some(RedisConfig {
        place,
        user,
        password,
        db,
        tls,
        sslrootcert,
    })
}

/// The one place that is configured. Complains of a second one.
fn only_one(check: &mut Check, places: [(Key, Option<RedisPlace>); 3]) -> Option<RedisPlace> {
    let mut chosen = None;
    for (key, place) in places {
        let Some(place) = place else { continue };
        match &chosen {
            None => chosen = Some((key, place)),
            Some((first, _)) => {
                let allowed = format!(
                    "empty, or given without {}: a Redis is one server, a master that sentinels know, or a \
                     cluster",
                    first.path
                );
                check.refuse(key, allowed);
            }
        }
    }
    chosen.map(|(_, place)| place)
}

/// The sentinels with what belongs to them; `None` where there are none.
fn sentinels(check: &mut Check) -> Option<RedisPlace> {
    let sentinels = check.read(keys::REDIS_SENTINELS);
    let master = check.optional_text(keys::REDIS_SENTINEL_MASTER);
    let user = check.optional_text(keys::REDIS_SENTINEL_USER);
    let password = check.secret(keys::REDIS_SENTINEL_PASSWORD);
    if sentinels.is_empty() {
        for (key, is_given) in [
            (keys::REDIS_SENTINEL_MASTER.key, master.is_some()),
            (keys::REDIS_SENTINEL_USER.key, user.is_some()),
            (keys::REDIS_SENTINEL_PASSWORD.key, password.is_some()),
        ] {
            if is_given {
                check.lacks(key, keys::REDIS_SENTINELS.key);
            }
        }
        return None;
    }
    if master.is_none() {
        check.lacks(keys::REDIS_SENTINELS.key, keys::REDIS_SENTINEL_MASTER.key);
    }
    Some(RedisPlace::Sentinels {
        sentinels,
        master: master.unwrap_or_default(),
        user,
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_variables as load;

    fn place(variables: &[(&str, &str)]) -> RedisPlace {
        load(variables).expect("allowed").redis.expect("on").place
    }

    #[test]
    fn sentinels_and_nodes_are_lists_of_hosts_with_ports() {
        let sentinels = "s1:26379, 10.0.0.2:26380,[::1]:7";
        let given = place(&[
            ("REDIS_SENTINELS", sentinels),
            ("REDIS_SENTINEL_MASTER", "mymaster"),
            ("REDIS_SENTINEL_USER", "shop"),
            ("REDIS_SENTINEL_PASSWORD", "hidden-word"),
        ]);
        assert!(!format!("{given:?}").contains("hidden-word"), "{given:?}");
        let shown: Vec<_> = given.servers().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["s1:26379", "10.0.0.2:26380", "[::1]:7"]);
        let RedisPlace::Sentinels { master, user, .. } = given else {
            panic!("sentinels");
        };
        assert_eq!((&*master, user.as_deref()), ("mymaster", Some("shop")));
        let given = place(&[("REDIS_CLUSTER_NODES", "n1:1,n2:2"), ("REDIS_TLS", "true")]);
        assert!(matches!(given, RedisPlace::Cluster(nodes) if nodes.len() == 2));
        for wrong in [
            "s1",
            "s1:",
            "s1:0",
            "s1:65536",
            ":1",
            "::1:7",
            "[s1]:7",
            "s1:1,",
            "redis://s1:1",
            &["s:1"; 33].join(","),
        ] {
            let said = load(&[("REDIS_CLUSTER_NODES", wrong)]).expect_err(wrong);
            assert!(said.contains("redis.cluster_nodes = "), "{said}");
            assert!(said.contains("a list of up to 32 of host:port"), "{said}");
        }
    }

    #[test]
    fn a_redis_is_in_one_place() {
        let host = ("REDIS_HOST", "cache");
        let sentinels = ("REDIS_SENTINELS", "s1:1");
        let master = ("REDIS_SENTINEL_MASTER", "mymaster");
        let cluster = ("REDIS_CLUSTER_NODES", "n1:1");
        for (given, said) in [
            (
                &[host, cluster][..],
                "redis.cluster_nodes = \"n1:1\" is not allowed: must be empty, or given without redis.host",
            ),
            (
                &[host, sentinels, master],
                "redis.sentinels = \"s1:1\" is not allowed: must be empty, or given without redis.host",
            ),
            (
                &[sentinels, master, cluster],
                "must be empty, or given without redis.sentinels",
            ),
            (
                &[sentinels],
                "must be empty, or given together with redis.sentinel_master",
            ),
            (
                &[host, master],
                "redis.sentinel_master = \"mymaster\" is not allowed: must be empty, or given together with \
                 redis.sentinels",
            ),
            (
                &[cluster, ("REDIS_SENTINEL_PASSWORD", "x")],
                "redis.sentinel_password = (hidden) is not allowed: must be empty, or given together with",
            ),
            (
                &[cluster, ("REDIS_DB", "1")],
                "redis.db = \"1\" is not allowed: must be 0 with redis.cluster_nodes",
            ),
        ] {
            let error = load(given).expect_err(said);
            assert!(error.contains(said), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(load(&[sentinels, master, ("REDIS_DB", "1")]).is_ok());
    }

    #[test]
    fn what_is_configured_is_described_without_secrets() {
        let config = load(&[
            ("REDIS_SENTINELS", "s1:1,s2:2"),
            ("REDIS_SENTINEL_MASTER", "mymaster"),
            ("REDIS_SENTINEL_PASSWORD", "hidden-word"),
        ]);
        let described = config.expect("allowed").describe();
        assert!(described.contains("redis.sentinels=s1:1,s2:2 redis.sentinel_master=mymaster"));
        assert!(described.contains("redis.sentinel_password=set"));
        assert!(!described.contains("hidden-word") && !described.contains("redis.host"));
    }
}
