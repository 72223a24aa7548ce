//! Postgres and Redis: there, not there, and not as they should be.

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use crate::preflight::report::preflight;
use crate::redis_server::RedisServer;
use crate::server::{Place, Server, wait_for};

fn with_postgres(postgres: &Postgres) -> Place {
    let port = postgres.port().to_string();
    Place::new(&[
        ("DB_HOST", postgres.host()),
        ("DB_PORT", &port),
        ("DB_USER", USER),
        ("DB_PASSWORD", PASSWORD),
        ("DB_NAME", DATABASE),
        (
            "DB_MIGRATIONS_PATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"),
        ),
    ])
}

#[test]
fn postgres_is_described() {
    let mut postgres = Postgres::start_with(&["fsync=off"]);
    let mut place = with_postgres(&postgres);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has("ok", "postgres", "version ");
    report.has("warn", "postgres", "superuser");
    report.has("warn", "postgres", "migrations are pending");
    place.report(&["migrate", "up"]);
    let report = preflight(&place, &[]);
    report.has("ok", "postgres", "migrations are applied");
    report.has("ok", "postgres", "it has record 0, 0 behind");
    assert!(!report.text.contains(PASSWORD), "{}", report.text);

    postgres.query(
        DATABASE,
        "CREATE ROLE reader LOGIN PASSWORD 'reader-and-no-more'",
    );
    place.set("DB_USER", "reader");
    place.set("DB_PASSWORD", "reader-and-no-more");
    let report = preflight(&place, &[]);
    report.has("fail", "postgres", "may not add to cancellations, ");
    report.has("fail", "postgres", "docker/postgres/roles.sql");
    assert!(
        !report.text.contains("reader-and-no-more"),
        "{}",
        report.text
    );
    place.set("DB_PASSWORD", "not-the-right-one");
    let report = preflight(&place, &[]);
    report.fails_only_in("postgres");
    assert!(
        !report.text.contains("not-the-right-one"),
        "{}",
        report.text
    );
    postgres.stop();
    preflight(&place, &[]).fails_only_in("postgres");
}

#[test]
fn another_server_at_the_port_of_a_sink_is_told_from_one_that_is_down() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let server = Server::start(&[]);
    let http = server.addr().port();
    let mut place = with_postgres(&postgres);
    place.set("DB_HOST", "127.0.0.1");
    place.set("REDIS_HOST", "127.0.0.1");
    for (database, password, cache) in [
        (redis.port(), "", postgres.port()),
        (http, "", http),
        (http, "some-pa55word", postgres.port()),
    ] {
        place.set("DB_PORT", &database.to_string());
        place.set("REDIS_PORT", &cache.to_string());
        place.set("REDIS_PASSWORD", password);
        let report = preflight(&place, &[]);
        report.has("fail", "postgres", "with the PostgreSQL protocol");
        report.has("fail", "redis", "with the Redis protocol");
        if database == http {
            report.has("fail", "postgres", "it answers, but not");
        }
        if cache == http {
            report.has("fail", "redis", "it answers, but not");
        }
    }
}

#[test]
fn a_user_that_may_what_a_server_must_is_fit() {
    const PASSWORDS: [(&str, &str); 3] = [
        ("DB_OWNER_PASSWORD", "owner-pa55word"),
        ("DB_PASSWORD", "server-pa55word"),
        ("DB_READER_PASSWORD", "reader-pa55word"),
    ];
    let postgres = Postgres::start_with(&["fsync=off"]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/postgres/roles.sql");
    let made = postgres.run_file(DATABASE, file.as_ref(), &PASSWORDS);
    made.expect("a new database");
    let mut place = with_postgres(&postgres);
    place.set("DB_USER", "flashsale_owner");
    place.set("DB_PASSWORD", PASSWORDS[0].1);
    place.report(&["migrate", "up"]);
    place.set("DB_USER", "flashsale_server");
    place.set("DB_PASSWORD", PASSWORDS[1].1);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has("ok", "postgres", "migrations are applied");

    // One that was given the tables, but is no member of that role, cannot call what does the rest.
    postgres.query(
        DATABASE,
        "CREATE ROLE shop LOGIN PASSWORD 'shop-and-no-more';
         GRANT CONNECT ON DATABASE flashsale TO shop;
         GRANT USAGE ON SCHEMA public TO shop;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop",
    );
    place.set("DB_USER", "shop");
    place.set("DB_PASSWORD", "shop-and-no-more");
    let report = preflight(&place, &[]);
    let what = "may not call abandon_sale, call ensure_partitions /";
    report.has("fail", "postgres", what);
    report.fails_only_in("postgres");
    postgres.query(DATABASE, "GRANT flashsale_server TO shop");
    assert_eq!(preflight(&place, &[]).code, 0);
    Server::start_in(place).stop();
}

#[test]
fn redis_is_described() {
    let mut redis = RedisServer::start_with(&[
        "requirepass a-long-enough-word",
        "maxmemory-policy allkeys-lru",
    ]);
    let port = redis.port().to_string();
    let mut place = Place::new(&[
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_PASSWORD", "a-long-enough-word"),
    ]);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has("ok", "redis", "version ");
    report.has("warn", "redis", "allkeys-lru");
    report.has("warn", "redis", "appendonly");
    report.has("ok", "redis", "it has record 0");
    assert!(
        !report.text.contains("a-long-enough-word"),
        "{}",
        report.text
    );
    place.set("REDIS_PASSWORD", "another-long-word");
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "the password was rejected");
    report.fails_only_in("redis");
    redis.kill_9();
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "connection refused");
}

#[test]
fn a_redis_that_says_nothing_of_itself_is_not_called_fit() {
    let redis = RedisServer::start_with(&["user shop on >a-long-enough-word ~* &* +@all -info"]);
    let port = redis.port().to_string();
    let place = Place::new(&[
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_USER", "shop"),
        ("REDIS_PASSWORD", "a-long-enough-word"),
    ]);
    let report = preflight(&place, &[]);
    report.has("warn", "redis", "does not say which version it is");
    assert!(!report.text.contains("version ,"), "{}", report.text);
}

#[test]
fn the_node_that_sentinels_name_is_described() {
    let mut master =
        RedisServer::start_with(&["user shop on >a-long-enough-word ~* &* +@all -role"]);
    let monitor = format!("sentinel monitor shop 127.0.0.1 {} 1", master.port());
    let sentinel = RedisServer::start_sentinel(&[monitor]);
    let sentinels = format!("127.0.0.1:{}", sentinel.port());
    let mut place = Place::new(&[
        ("REDIS_SENTINELS", &*sentinels),
        ("REDIS_SENTINEL_MASTER", "shop"),
    ]);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    let node = format!("127.0.0.1:{}", master.port());
    let found = format!("the keys are at {node}, of shop of the sentinels {sentinels}");
    report.has("ok", "redis", &found);
    report.has("warn", "redis", "has no replica");
    place.set("REDIS_USER", "shop");
    place.set("REDIS_PASSWORD", "a-long-enough-word");
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "the user may not use ROLE");
    report.fails_only_in("redis");
    master.kill_9();
    let report = preflight(&place, &[]);
    report.has(
        "fail",
        "redis",
        &format!("master {node}: connection refused"),
    );
    place.set("REDIS_SENTINEL_MASTER", "another");
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "it knows no master named another");
}

#[test]
fn the_node_of_a_cluster_that_has_the_keys_is_described() {
    let node = RedisServer::start_with(&[
        "cluster-enabled yes",
        "user shop on >a-long-enough-word ~* &* +@all -cluster|slots",
    ]);
    let nodes = format!("127.0.0.1:{}", node.port());
    let mut place = Place::new(&[("REDIS_CLUSTER_NODES", &*nodes)]);
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "it knows no node that has the keys");
    let answer = node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    assert!(!answer.is_error(), "{answer:?}");
    wait_for("the cluster", || {
        let about = node.command(&["CLUSTER", "INFO"]).text();
        about.contains("cluster_state:ok").then_some(())
    });
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has(
        "ok",
        "redis",
        &format!("the keys are at {nodes}, of the cluster {nodes}"),
    );
    place.set("REDIS_USER", "shop");
    place.set("REDIS_PASSWORD", "a-long-enough-word");
    let report = preflight(&place, &[]);
    report.has("fail", "redis", "the user may not use CLUSTER SLOTS");
}
