//! Settings that are possible, and yet may not be meant.

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::finding::Findings;
use crate::app::authority::read_keys;
use crate::app::listener_options::listener_options;
use crate::config::{Config, DatabaseConfig, LogFormat, RedisConfig, RedisPlace, SslMode};
use crate::env::Secret;
use crate::runtime::ListenerOptions;
use crate::types::{AddressSource, ClientAddress, Durability};

/// Passwords that are tried first, by everybody.
const WEAK: &[&str] = &[
    "postgres",
    "password",
    "passwd",
    "flashsale",
    "admin",
    "root",
    "redis",
    "secret",
    "changeme",
    "change-me",
    "test",
    "example",
    "guest",
    "default",
    "123456",
    "12345678",
    "qwerty",
];
/// The shortest password that is not told, in bytes.
const PASSWORD_BYTES_MIN: usize = 12;
/// The shortest token that is not told, in bytes: 128 random bits as hex digits.
const TOKEN_BYTES_MIN: usize = 32;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let fingerprint = config.fingerprint();
    findings.ok("configuration", format!("valid, fingerprint {fingerprint}"));
    durability(config, findings);
    admin(config, findings);
    certificate(config, findings);
    client_address(config, findings);
    user_tokens(config, findings);
    if let Some(database) = &config.database {
        check_database(database, findings);
    }
    if let Some(redis) = &config.redis {
        check_redis(redis, findings);
    }
    log(config, findings);
}

fn client_address(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "clients";
    let ClientAddress { source, trusted } = &config.server.client_address;
    let name = source.name();
    if *source == AddressSource::Peer {
        let found = "known by the address of their connection (server.client_address=peer)";
        return findings.ok(CHECK, found);
    }
    if let Some(everybody) = trusted.iter().find(|block| block.is_everybody()) {
        let advice = "list the networks of your proxies alone";
        let found = format!(
            "{everybody} in server.trusted_proxies: everybody can choose the address they are known by"
        );
        return findings.fail(CHECK, found, advice);
    }
    let local = config.server.local_address().ip();
    if *source == AddressSource::ProxyV2 && !config.server.client_address.trusts(local) {
        let advice = format!("add {local} to server.trusted_proxies");
        let found = format!(
            "flashsale healthcheck and verify come from {local}, which is no trusted proxy: they will be refused"
        );
        return findings.warn(CHECK, found, advice);
    }
    let found = format!("known by what trusted proxies say (server.client_address={name})");
    findings.ok(CHECK, found);
}

fn certificate(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "certificate";
    match listener_options(config) {
        Ok(ListenerOptions { tls: Some(tls), .. }) => match tls.check_dates() {
            Ok(()) => findings.ok(CHECK, "it fits its key, and is valid now"),
            Err(error) => findings.fail(
                CHECK,
                error.to_string(),
                "clients would not trust the server",
            ),
        },
        Ok(_) => findings.ok(
            CHECK,
            "none: for TLS set server.tls_cert and server.tls_key, or put a proxy in front",
        ),
        Err(error) => findings.fail(
            CHECK,
            error.to_string(),
            "the server would not start with it",
        ),
    }
}

fn user_tokens(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "user tokens";
    let Some(auth) = &config.auth else {
        findings.ok(
            CHECK,
            "off: a user is who the request says (auth.keys is for tokens)",
        );
        return;
    };
    let keys = match read_keys(&auth.keys) {
        Ok(keys) => keys.describe(),
        Err(error) => {
            findings.fail(
                CHECK,
                error.to_string(),
                "the server would not start with it",
            );
            return;
        }
    };
    if !auth.is_required {
        findings.warn(
            CHECK,
            "auth.required is false: without a token a user is still who the request says",
            "set auth.required to true once all buyers have tokens",
        );
    } else if auth.issuer.is_none() || auth.audience.is_none() {
        findings.warn(
            CHECK,
            format!("keys of {keys}; auth.issuer or auth.audience is empty: what the issuer signs for others may be taken here"),
            "set auth.issuer and auth.audience to what the tokens of the shop have",
        );
    } else {
        findings.ok(CHECK, format!("required; keys of {keys}"));
    }
}

fn durability(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "durability";
    match config.journal.durability {
        Durability::Fsync => findings.ok(CHECK, "fsync: what is answered is on the disk"),
        Durability::Os => findings.warn(
            CHECK,
            "os: a power cut loses what was answered in the last seconds",
            "set journal.durability to fsync",
        ),
    }
}

fn admin(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "admin token";
    const ADVICE: &str = "set ADMIN_TOKEN to what `openssl rand -hex 32` prints";
    match &config.admin.token {
        None => findings.ok(
            CHECK,
            "none is configured: the one in admin.token counts, in the journal's directory",
        ),
        Some(token) if token.get().expose_secret().len() < TOKEN_BYTES_MIN => {
            findings.warn(CHECK, "set, but short", ADVICE);
        }
        Some(_) => findings.ok(CHECK, "set"),
    }
}

fn check_database(database: &DatabaseConfig, findings: &mut Findings) {
    const CHECK: &str = "db settings";
    let is_local = is_local(&database.host);
    let before = findings.count(super::Level::Warn);
    if let Some(why) = weakness(database.password.as_ref(), &database.user, is_local) {
        findings.warn(
            CHECK,
            format!("database.password {why}"),
            "set DB_PASSWORD to what `openssl rand -hex 24` prints, and the role's password with it",
        );
    }
    match database.sslmode {
        SslMode::Disable if !is_local => findings.warn(
            CHECK,
            format!(
                "database.sslmode is disable, and {} is another machine: names and codes of buyers cross \
                 the network in the clear",
                database.host
            ),
            "set database.sslmode to verify-full",
        ),
        SslMode::Require if !is_local => findings.warn(
            CHECK,
            "database.sslmode is require: encrypted, to whoever answers",
            "set database.sslmode to verify-full, and database.sslrootcert where the authority is your own",
        ),
        _ => {}
    }
    if before == findings.count(super::Level::Warn) {
        findings.ok(CHECK, "password and encryption are as they should be");
    }
}

fn check_redis(redis: &RedisConfig, findings: &mut Findings) {
    const CHECK: &str = "redis settings";
    let elsewhere = redis.place.servers().iter();
    let elsewhere = elsewhere
        .map(|server| &server.host)
        .find(|host| !is_local(host));
    let before = findings.count(super::Level::Warn);
    let user = redis.user.as_deref().unwrap_or("default");
    if let Some(why) = weakness(redis.password.as_ref(), user, elsewhere.is_none()) {
        findings.warn(
            CHECK,
            format!("redis.password {why}"),
            "set REDIS_PASSWORD to what `openssl rand -hex 24` prints, and requirepass or the user's ACL \
             with it",
        );
    }
    // Sentinels without a password are usual; one that is set should be worth it.
    if let RedisPlace::Sentinels {
        user,
        password: password @ Some(_),
        ..
    } = &redis.place
        && let Some(why) = weakness(
            password.as_ref(),
            user.as_deref().unwrap_or("default"),
            true,
        )
    {
        findings.warn(
            CHECK,
            format!("redis.sentinel_password {why}"),
            "set REDIS_SENTINEL_PASSWORD to what `openssl rand -hex 24` prints, and the sentinels' requirepass \
             or ACL with it",
        );
    }
    if let Some(host) = elsewhere.filter(|_| !redis.tls) {
        findings.warn(
            CHECK,
            format!("{host} is another machine, and TLS is off"),
            "set redis.tls, or write rediss:// before redis.host",
        );
    }
    if before == findings.count(super::Level::Warn) {
        findings.ok(CHECK, "password and encryption are as they should be");
    }
}

/// Returns the weakness of a password, without a word of it.
fn weakness(password: Option<&Secret>, user: &str, is_local: bool) -> Option<&'static str> {
    let password = password.map(Secret::get);
    let Some(password) = password.as_ref().map(ExposeSecret::expose_secret) else {
        return (!is_local).then_some("is empty, and the server is another machine");
    };
    let lower = password.to_lowercase();
    if WEAK.contains(&lower.as_str()) || lower == user.to_lowercase() {
        Some("is one of those that are tried first")
    } else if password.len() < PASSWORD_BYTES_MIN {
        Some("is short")
    } else {
        None
    }
}

/// Returns whether a host is this machine, or a socket on it.
fn is_local(host: &str) -> bool {
    let is_loopback = |ip: IpAddr| ip.is_loopback();
    host == "localhost" || host.starts_with('/') || host.parse().is_ok_and(is_loopback)
}

fn log(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "log";
    let level = &config.log.level;
    match config.log.format {
        LogFormat::Json => findings.ok(CHECK, format!("json, {level}")),
        LogFormat::Human => findings.warn(
            CHECK,
            format!("human, {level}: lines for people, that programs have to guess at"),
            "set LOG_FORMAT=json where logs are collected",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_told() {
        let weakness = |password: &str, is_local| {
            let secret = Secret::from(password);
            weakness((!password.is_empty()).then_some(&secret), "shop", is_local)
        };
        assert_eq!(weakness("correct-horse-battery", false), None);
        assert_eq!(weakness("", true), None);
        for (password, is_local) in [
            ("", false),
            ("Postgres", true),
            ("shop", true),
            ("x7Gq", true),
        ] {
            let told = weakness(password, is_local).expect("it is weak");
            assert!(password.is_empty() || !told.contains(password), "{told}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "/var/run/postgresql",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["postgres", "10.0.0.1", "2001:db8::1", "localhost.example"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
