//! The names of the environment.

use super::*;

#[test]
fn every_variable_sets_its_key() {
    let environment = [
        ("SERVER_HOST", "localhost"),
        ("SERVER_PORT", "0"),
        ("SERVER_WORKERS", "3"),
        ("SERVER_TLS_CERT", "t"),
        ("SERVER_TLS_KEY", "k"),
        ("SERVER_CONNECTIONS_PER_PEER", "11"),
        ("SERVER_CLIENT_ADDRESS", "forwarded"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("SERVER_IDLE_SECONDS", "12"),
        ("SERVER_CORS_ORIGINS", "https://a.example, http://b:3000"),
        ("SERVER_ADVERTISE", "shop:1"),
        ("DB_HOST", "db"),
        ("DB_PORT", "1"),
        ("DB_USER", "u"),
        ("DB_PASSWORD", "p"),
        ("DB_NAME", "n"),
        ("DB_SCHEMA", "x"),
        ("DB_SSLMODE", "verify-full"),
        ("DB_SSLROOTCERT", "c"),
        ("DB_MIGRATIONS_PATH", "m"),
        ("REDIS_HOST", "r"),
        ("REDIS_PORT", "2"),
        ("REDIS_USER", "v"),
        ("REDIS_PASSWORD", "q"),
        ("REDIS_DB", "65535"),
        ("REDIS_TLS", "true"),
        ("REDIS_SSLROOTCERT", "s"),
        // Not with a host: `config/redis.rs` has them.
        ("REDIS_SENTINELS", ""),
        ("REDIS_SENTINEL_MASTER", ""),
        ("REDIS_SENTINEL_USER", ""),
        ("REDIS_SENTINEL_PASSWORD", ""),
        ("REDIS_CLUSTER_NODES", ""),
        ("JOURNAL_DIR", "j"),
        ("JOURNAL_DURABILITY", "os"),
        ("JOURNAL_RETAIN_HOURS", "5"),
        ("JOURNAL_WEBHOOK_HOURS", "6"),
        ("JOURNAL_REFUSED_ATTEMPTS", "true"),
        ("JOURNAL_SEGMENT_MEBIBYTES", "4"),
        ("JOURNAL_STALL_SECONDS", "12"),
        ("REPLICATION_ENGINE", "postgres"),
        ("REPLICATION_LOG", "one"),
        ("REPLICATION_TAKEOVER_MS", "4000"),
        ("REPLICATION_HOSTS", "p1:5432,p2:5433"),
        ("REPLICATION_USER", "w"),
        ("REPLICATION_PASSWORD", "l"),
        ("REPLICATION_DBNAME", "d"),
        ("REPLICATION_TLS", "false"),
        ("REPLICATION_SSLROOTCERT", ""),
        ("REPLICATION_SSLCERT", ""),
        ("REPLICATION_SSLKEY", ""),
        ("SALE_TOTAL_ITEMS", "6"),
        ("SALE_INTERVAL_SECONDS", "7"),
        ("SALE_MAX_ITEMS_PER_USER", "8"),
        ("SALE_HOLD_SECONDS", "9"),
        ("SALE_PAYMENT_SECONDS", "13"),
        ("SALE_PURCHASE_BY", "shop"),
        ("SALE_PAYMENT_PAGE", "https://shop.example/pay?lang=en"),
        ("SALE_KEEP_ENDED_SECONDS", "10"),
        ("SALE_SEED", "18446744073709551615"),
        ("LIMITS_ADDRESS", r#"{"per_second": 5, "burst": 20}"#),
        ("LIMITS_USER", r#"{"burst": 3, "per_second": 1}"#),
        ("ADMIN_TOKEN", "0123456789abcdef"),
        ("SHOP_TOKEN", "fedcba9876543210"),
        ("AUTH_KEYS", "a.json"),
        ("AUTH_ISSUER", "https://shop"),
        ("AUTH_AUDIENCE", "b"),
        ("AUTH_REQUIRED", "false"),
        ("AUTH_LEEWAY_SECONDS", "14"),
        ("AUTH_SESSION_SECRET", "0123456789abcdef0123456789abcdef"),
        ("AUTH_SESSION_SECONDS", "61"),
        ("WEBHOOKS", "[]"),
        ("LOG_LEVEL", "flashsale=debug,info"),
        ("LOG_FORMAT", "json"),
    ];
    assert_eq!(
        environment.map(|(name, _)| name)[..],
        keys::ALL.iter().map(|key| key.variable).collect::<Vec<_>>()
    );
    let config = load("{}", &environment, Overrides::default()).unwrap();
    assert_eq!(
        config.describe(),
        "server.host=127.0.0.1 server.port=0 server.workers=3 server.tls_cert=t server.tls_key=k \
         server.connections_per_peer=11 server.client_address=forwarded \
         server.trusted_proxies=10.0.0.0/8,::1/128 server.idle_seconds=12 \
         server.cors_origins=https://a.example,http://b:3000 server.advertise=shop:1 database.host=db database.port=1 \
         database.user=u database.password=set database.dbname=n database.schema=x database.sslmode=verify-full \
         database.sslrootcert=c database.migrations_path=m redis.host=r redis.port=2 redis.user=v \
         redis.password=set redis.db=65535 redis.tls=true redis.sslrootcert=s \
         journal.dir=j journal.durability=os journal.retain_hours=5 journal.webhook_hours=6 journal.refused_attempts=true \
         journal.segment_mebibytes=4 journal.stall_seconds=12 replication.engine=postgres replication.log=one \
         replication.takeover_ms=4000 replication.hosts=p1:5432,p2:5433 replication.user=w replication.password=set \
         replication.dbname=d sale.total_items=6 sale.interval_seconds=7 \
         sale.max_items_per_user=8 sale.hold_seconds=9 sale.payment_seconds=13 sale.purchase_by=shop \
         sale.payment_page=https://shop.example/pay?lang=en sale.keep_ended_seconds=10 sale.seed=18446744073709551615 \
         limits.address={\"per_second\":5,\"burst\":20} limits.user={\"per_second\":1,\"burst\":3} \
         admin.token=set shop.token=set auth.keys=a.json auth.issuer=https://shop auth.audience=b \
         auth.required=false auth.leeway_seconds=14 auth.session_secret=set auth.session_seconds=61 webhooks=none log.level=flashsale=debug,info log.format=json"
    );
    assert_eq!(
        config
            .database
            .unwrap()
            .password
            .unwrap()
            .get()
            .expose_secret(),
        "p"
    );
    assert_eq!(
        config
            .redis
            .unwrap()
            .password
            .unwrap()
            .get()
            .expose_secret(),
        "q"
    );
    assert_eq!(
        config.admin.token.unwrap().get().expose_secret(),
        "0123456789abcdef"
    );
}

#[test]
fn the_token_of_the_shop_must_not_open_administration() {
    let same = r#"{"admin": {"token": "0123456789abcdef"}, "shop": {"token": "0123456789abcdef"}}"#;
    let error = load(same, &[], Overrides::default()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("shop.token = (hidden)") && error.contains("admin.token"),
        "{error}"
    );
    let both_empty = r#"{"admin": {"token": ""}, "shop": {"token": ""}}"#;
    assert!(load(both_empty, &[], Overrides::default()).is_ok());
    let other = [("SHOP_TOKEN", "fedcba9876543210")];
    assert!(load(same, &other, Overrides::default()).is_ok());
}
