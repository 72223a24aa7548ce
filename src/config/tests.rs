//! The configuration as a whole: defaults, order of the sources, refusals, secrets.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

mod documents;
mod origins;
mod pages;
mod proxies;
mod rates;
mod variables;

const SECRETS: [&str; 3] = [
    "s3cret-of-the-database",
    "s3cret-of-redis",
    "s3cret-of-the-operator",
];

/// Loads the configuration of these variables alone.
pub(super) fn load_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name)?;
        Some(found.1.to_owned())
    };
    let sources = ConfigSources {
        file: ConfigFile::IfPresent("no-such-file.json".into()),
        environment: &environment,
        overrides: Overrides::default(),
        secrets: SecretsNeeded::All,
    };
    Config::load(&sources).map_err(|error| error.to_string())
}

/// Loads a file's text with an environment and flags.
fn load(
    text: &str,
    environment: &[(&str, &str)],
    overrides: Overrides,
) -> Result<Config, ConfigError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("c.json");
    std::fs::write(&path, text).unwrap();
    let variables: HashMap<&str, &str> = environment.iter().copied().collect();
    let environment = |name: &str| variables.get(name).map(|&value| value.to_owned());
    Config::load(&ConfigSources {
        file: ConfigFile::Required(path),
        environment: &environment,
        overrides,
        secrets: SecretsNeeded::All,
    })
}

fn defaults() -> Config {
    load("{}", &[], Overrides::default()).unwrap()
}

fn from_environment(variable: &str, value: &str) -> Result<Config, ConfigError> {
    load("{}", &[(variable, value)], Overrides::default())
}

/// Puts one value at its key in an otherwise empty file.
fn from_file(key: &str, value: &Value) -> Result<Config, ConfigError> {
    let file = match key.split_once('.') {
        Some((section, name)) => json!({section: {name: value}}),
        None => json!({key: value}),
    };
    load(&file.to_string(), &[], Overrides::default())
}

#[test]
fn a_byte_order_mark_in_front_of_the_file_is_skipped() {
    let text = "\u{feff}{\"sale\": {\"total_items\": 7}}";
    let config = load(text, &[], Overrides::default()).unwrap();
    assert_eq!(config.sale.total_items, 7);
}

fn with_secrets() -> Config {
    let [database, redis, admin] = SECRETS;
    let file = json!({
        "database": {"host": "db", "password": database},
        "redis": {"host": "cache", "password": redis},
        "admin": {"token": admin},
    });
    load(&file.to_string(), &[], Overrides::default()).unwrap()
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let config = defaults();
    assert_eq!(config.server.address().to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.workers, None);
    assert_eq!(config.server.idle_seconds, 90);
    assert_eq!(config.server.cors_origins, ["*"]);
    assert!(config.database.is_none() && config.redis.is_none());
    assert_eq!(config.journal.dir, PathBuf::from("data/journal"));
    assert_eq!(config.journal.durability, Durability::Fsync);
    assert_eq!(config.journal.retain, None);
    assert!(!config.journal.refused_attempts);
    assert_eq!(config.journal.segment_bytes, 64 * 1024 * 1024);
    assert_eq!(config.sale.total_items, 10_000);
    assert_eq!(config.sale.interval, Duration::from_secs(3600));
    assert_eq!(config.sale.max_items_per_user, 10);
    assert_eq!((config.sale.hold, config.sale.seed), (None, 0));
    assert_eq!(config.sale.keep_ended, Duration::from_secs(600));
    assert!(config.admin.token.is_none());
    assert_eq!(
        (config.log.level.as_str(), config.log.format),
        ("info", LogFormat::Human)
    );
}

#[test]
fn the_shipped_file_has_every_key_with_its_default() {
    let text = include_str!("../../config.json");
    let config = load(text, &[], Overrides::default()).unwrap();
    let file: Value = serde_json::from_str(text).unwrap();
    for (key, default, _) in keys::documented() {
        let value = match key.path.split_once('.') {
            Some((section, name)) => file[section].get(name),
            None => file.get(key.path),
        };
        assert!(value.is_some(), "{} is missing", key.path);
        assert_eq!(config.effective.get(key), Some(&*default), "{}", key.path);
    }
}

#[test]
fn every_key_is_read() {
    let config = defaults();
    for &key in keys::ALL {
        assert!(config.effective.get(key).is_some(), "{}", key.path);
    }
}

#[test]
fn the_environment_beats_the_file_and_a_flag_beats_both() {
    let file = r#"{"server": {"port": 1, "host": "10.0.0.1"}, "sale": {"total_items": 1}}"#;
    let environment = [("SERVER_PORT", "2"), ("SALE_TOTAL_ITEMS", "2")];
    let overrides = Overrides {
        port: Some(3),
        ..Overrides::default()
    };
    let config = load(file, &environment, overrides).unwrap();
    assert_eq!(config.server.address().to_string(), "10.0.0.1:3");
    assert_eq!(config.sale.total_items, 2);
}

#[test]
fn the_host_of_redis_may_carry_a_scheme_and_nothing_else() {
    let redis = |host: &str| from_environment("REDIS_HOST", host).unwrap().redis;
    let host =
        |host: &str| redis(host).map(|redis| (redis.place.servers()[0].host.clone(), redis.tls));
    assert_eq!(host(""), None);
    for (given, expected, tls) in [
        ("cache", "cache", false),
        ("redis://cache", "cache", false),
        ("rediss://cache.example", "cache.example", true),
        ("rediss://::1", "::1", true),
    ] {
        assert_eq!(host(given), Some((expected.to_owned(), tls)));
    }
    for wrong in [
        "rediss://",
        "redis://h:1",
        "redis://u@h",
        "http://h",
        "h/1",
        "h:1",
    ] {
        assert!(from_environment("REDIS_HOST", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_empty_variable_leaves_what_the_file_says() {
    let file = r#"{"server": {"port": 7}, "database": {"host": "db"}}"#;
    let variables: Vec<_> = keys::ALL.iter().map(|key| (key.variable, "")).collect();
    let config = load(file, &variables, Overrides::default()).unwrap();
    let without = load(file, &[], Overrides::default()).unwrap();
    assert_eq!(config.describe(), without.describe());
}

#[test]
fn the_variables_of_services_stop_nothing_and_set_nothing() {
    let variables = [
        ("SERVER_PORT", "tcp://10.43.1.3:8080"),
        ("DB_PORT", "tcp://10.43.1.1:5432"),
        ("REDIS_PORT", "tcp://10.43.1.2:6379"),
        ("REDIS_PORT_6379_TCP", "tcp://10.43.1.2:6379"),
        ("REDIS_SERVICE_HOST", "10.43.1.2"),
        ("REDIS_SERVICE_PORT", "6379"),
    ];
    let config = load("{}", &variables, Overrides::default()).unwrap();
    assert_eq!(config.fingerprint(), defaults().fingerprint());
    assert_eq!(config.ignored.len(), 3);
    // The port comes from the file, where there is one.
    let file = r#"{"redis": {"host": "redis", "port": 7}}"#;
    let config = load(file, &variables, Overrides::default()).unwrap();
    assert_eq!(config.redis.unwrap().place.servers()[0].port, 7);
    // A file is nobody else's.
    assert!(from_file("redis.port", &json!("tcp://10.43.1.2:6379")).is_err());
}

#[test]
fn every_bound_holds_on_both_sides() {
    let bounds = [
        ("server.port", 0, 65_535_u64),
        ("server.workers", 0, 256),
        ("server.connections_per_peer", 0, 1_000_000),
        ("server.idle_seconds", 1, 86_400),
        ("database.port", 1, 65_535),
        ("redis.port", 1, 65_535),
        ("redis.db", 0, 65_535),
        ("journal.retain_hours", 0, 87_840),
        ("journal.segment_mebibytes", 4, 1024),
        ("journal.stall_seconds", 1, 3600),
        ("sale.total_items", 1, 1_000_000),
        ("sale.interval_seconds", 1, 31_536_000),
        ("sale.max_items_per_user", 1, 1000),
        ("sale.hold_seconds", 0, 86_400),
        ("sale.payment_seconds", 0, 86_400),
        ("sale.keep_ended_seconds", 0, 31_536_000),
    ];
    for (key, min, max) in bounds {
        for allowed in [min, max] {
            assert!(from_file(key, &json!(allowed)).is_ok(), "{key} = {allowed}");
        }
        for refused in [
            json!(max + 1),
            json!(min as i64 - 1),
            json!(min.to_string()),
            json!(1.5),
        ] {
            let error = from_file(key, &refused).unwrap_err().to_string();
            let said =
                format!("{key} = {refused} is not allowed: must be an integer from {min} to {max}");
            assert!(error.ends_with(&said), "{error}");
        }
    }
}

#[test]
fn texts_and_names_are_checked() {
    let refused = [
        ("server.host", json!("example.com")),
        ("server.host", json!("")),
        ("database.host", json!("a b")),
        ("database.user", json!("")),
        ("database.user", json!("x".repeat(64))),
        ("database.schema", json!("")),
        ("database.schema", json!("x".repeat(59))),
        ("database.schema", json!("1st")),
        ("database.schema", json!("a\"b")),
        ("database.schema", json!("a.b")),
        ("database.schema", json!("pg_temp")),
        ("database.schema", json!("information_schema")),
        ("database.schema", json!("seed")),
        ("database.sslmode", json!("prefer")),
        ("database.migrations_path", json!("a\nb")),
        ("redis.host", json!(null)),
        ("redis.host", json!("x".repeat(256))),
        ("journal.dir", json!("")),
        ("journal.durability", json!("FSYNC")),
        ("journal.refused_attempts", json!("true")),
        ("sale.seed", json!(-1)),
        ("log.level", json!("")),
        ("log.level", json!("x".repeat(257))),
        ("log.format", json!("xml")),
    ];
    for (key, value) in refused {
        let error = from_file(key, &value).expect_err(key);
        assert_eq!(error.problems().len(), 1);
        assert!(error.to_string().contains(&format!("{key} = ")), "{error}");
        assert!(error.to_string().contains("must be "), "{error}");
    }
    assert_eq!(
        from_environment("SERVER_HOST", "::1")
            .unwrap()
            .server
            .host
            .to_string(),
        "::1"
    );
    assert!(from_environment("LOG_LEVEL", "bytes that were not UTF-8: \u{fffd}").is_err());
}

#[test]
fn a_token_is_empty_or_long_enough() {
    assert!(
        from_environment("ADMIN_TOKEN", "")
            .unwrap()
            .admin
            .token
            .is_none()
    );
    for length in [16, 256] {
        let token = "x".repeat(length);
        assert!(
            from_environment("ADMIN_TOKEN", &token)
                .unwrap()
                .admin
                .token
                .is_some()
        );
    }
    for token in [
        "x".repeat(15),
        "x".repeat(257),
        "x x".repeat(10),
        "é".repeat(10),
    ] {
        let error = from_environment("ADMIN_TOKEN", &token)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("admin.token = (hidden) is not allowed"),
            "{error}"
        );
    }
}

#[test]
fn all_problems_come_in_one_error_one_on_each_line() {
    let file = r#"{"srv": 1, "server": {"port": -1, "prt": 1}, "redis": {"db": 1, "db": 2}}"#;
    let environment = [("SERVER_PORT", "x"), ("DB_SSLMODE", "no")];
    let overrides = Overrides {
        total_items: Some(0),
        ..Overrides::default()
    };
    let error = load(file, &environment, overrides).unwrap_err();
    let text = error.to_string();
    let expected = [
        "c.json: srv is not a known key",
        "c.json: server.prt is not a known key",
        "c.json: redis.db = 2 is given again",
        "c.json: server.port = -1 is not allowed",
        "environment variable SERVER_PORT: server.port = \"x\" is not allowed",
        "environment variable DB_SSLMODE: database.sslmode = \"no\" is not allowed",
        "flag --total-items: sale.total_items = \"0\" is not allowed",
    ];
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    for (line, part) in text.lines().zip(expected) {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn no_secret_is_shown_by_a_good_configuration() {
    let config = with_secrets();
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        config.describe(),
    ] {
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert!(config.describe().contains("redis.password=set"));
}

#[test]
fn no_secret_is_shown_by_a_refusal() {
    let secret = "s3cret with\ncontrol";
    for key in [
        "database.password",
        "redis.password",
        "redis.sentinel_password",
        "admin.token",
        "shop.token",
    ] {
        let wrong = [
            json!(secret),
            json!([secret]),
            json!({"a": secret}),
            json!({secret: 1}),
        ];
        for value in wrong {
            let error = from_file(key, &value).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
    let url = "postgres://user:s3cret@db/flashsale";
    for variable in ["DB_HOST", "DB_PORT", "DB_SSLMODE", "REDIS_HOST"] {
        let error = from_environment(variable, url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn the_fingerprint_follows_the_settings_but_not_the_secrets() {
    let fingerprint = defaults().fingerprint();
    assert_eq!(fingerprint.len(), 12);
    assert!(fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let with = |name, value| from_environment(name, value).unwrap().fingerprint();
    assert_ne!(fingerprint, with("SALE_SEED", "1"));
    let token = |text| with("ADMIN_TOKEN", text);
    assert_eq!(token("0123456789abcdef"), token("fedcba9876543210"));
    // That there is one is a setting.
    assert_ne!(token("0123456789abcdef"), fingerprint);
}

#[test]
fn the_fingerprint_does_not_depend_on_where_a_value_came_from() {
    let flag = Overrides {
        port: Some(7),
        ..Overrides::default()
    };
    let by_file = load(r#"{"server": {"port": 7}}"#, &[], Overrides::default());
    let by_variable = load("{}", &[("SERVER_PORT", "7")], Overrides::default());
    let by_flag = load(r#"{"server": {"port": 9}}"#, &[("SERVER_PORT", "8")], flag);
    let [file, variable, flag] =
        [by_file, by_variable, by_flag].map(|it| it.unwrap().fingerprint());
    assert_eq!((&file, &file), (&variable, &flag));
    assert_ne!(file, defaults().fingerprint());
}

/// A name that is often one of ours.
fn any_name(ours: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(ours).prop_map(str::to_owned),
        any::<String>()
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let sections = keys::ALL.iter().map(|key| key.section());
    let names = keys::ALL
        .iter()
        .filter_map(|key| Some(key.path.split_once('.')?.1));
    let ours: Vec<_> = sections.chain(names).collect();
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any_name(ours.clone()), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Good, or refused with at least one line, each of them readable.
fn assert_answered(result: Result<Config, ConfigError>) {
    match result {
        Ok(config) => assert!(!config.describe().contains('\n')),
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert_eq!(error.to_string().lines().count(), error.problems().len());
        }
    }
}

proptest! {
    #[test]
    fn any_json_is_answered(value in any_json()) {
        assert_answered(load(&value.to_string(), &[], Overrides::default()));
    }

    #[test]
    fn any_text_is_answered(text in any::<String>(), value in any::<String>()) {
        assert_answered(load(&text, &[], Overrides::default()));
        for key in keys::ALL {
            assert_answered(from_environment(key.variable, &value));
        }
    }

    #[test]
    fn no_value_of_a_secret_key_is_ever_shown(secret in "s3cret-\\PC{0,40}", broken: bool) {
        let text = if broken { format!("{secret}\n") } else { secret.clone() };
        for key in keys::ALL.iter().filter(|key| key.secret) {
            let shown = match from_file(key.path, &json!(text)) {
                Ok(config) => format!("{config:?} {}", config.describe()),
                Err(error) => format!("{error:?} {error}"),
            };
            prop_assert!(!shown.contains("s3cret-"));
        }
    }
}
