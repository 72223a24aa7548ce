//! From what was said to what will be done: every value checked, every problem kept.

use std::fmt::Display;
use std::mem;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key};
use super::raw::{Given, RawConfig};
use super::redis::redis;
use super::{
    AdminConfig, Config, DatabaseConfig, JournalConfig, LogConfig, LogFormat, SaleConfig,
    ServerConfig, SslMode, TlsFiles,
};
use crate::env::{Secret, SecretFile};
use crate::limits;
use crate::types::Durability;

/// The longest text value, in bytes. It is what a path may have on Linux.
const TEXT_BYTES_MAX: usize = 4096;
/// The longest host name, as in the domain name system, in bytes.
const HOST_BYTES_MAX: usize = 255;
pub(super) const HOST_ALLOWED: &str = "a host name or an address, up to 255 visible ASCII characters without \
                            a port, a user or a path";
/// The longest Postgres identifier, in bytes.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 63;
/// The longest schema, in bytes: with `_seed` behind it, which is where its views are, it is an identifier.
const SCHEMA_BYTES_MAX: usize = IDENTIFIER_BYTES_MAX - "_seed".len();
/// The lengths of a segment, in mebibytes.
const SEGMENT_MEBIBYTES: RangeInclusive<u64> =
    limits::SEGMENT_BYTES_MIN >> 20..=limits::SEGMENT_BYTES_MAX >> 20;
/// The longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;
/// The lengths of an admin token, in bytes.
const TOKEN_BYTES: RangeInclusive<usize> = 16..=256;
/// The longest log filter, in bytes.
const LOG_LEVEL_BYTES_MAX: usize = 256;
/// The longest time a journal is kept unless it is kept for ever, in hours: ten years.
const RETAIN_HOURS_MAX: u64 = 10 * 366 * 24;

/// Checks everything. All problems come back in one error.
pub(super) fn validate(raw: RawConfig) -> Result<Config, ConfigError> {
    let mut check = Check {
        raw,
        problems: Vec::new(),
    };
    let config = Config {
        ignored: mem::take(&mut check.raw.ignored),
        server: server(&mut check),
        database: database(&mut check),
        redis: redis(&mut check),
        journal: journal(&mut check),
        sale: sale(&mut check),
        admin: AdminConfig {
            token: token(&mut check),
        },
        log: log(&mut check),
    };
    let Check { mut raw, problems } = check;
    raw.problems.extend(problems);
    if raw.problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::new(raw.problems))
    }
}

fn server(check: &mut Check) -> ServerConfig {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    ServerConfig {
        host: check.value(
            keys::SERVER_HOST,
            any,
            "an IP address or \"localhost\"",
            |given| given.as_text().and_then(address),
        ),
        port: check.integer(keys::SERVER_PORT, 8080, 0..=u16::MAX),
        workers: NonZeroUsize::new(
            check
                .integer(keys::SERVER_WORKERS, 0, 0..=limits::WORKERS_MAX as u16)
                .into(),
        ),
        tls: tls(check),
        connections_per_peer: NonZeroU32::new(check.integer(
            keys::SERVER_CONNECTIONS_PER_PEER,
            limits::CONNECTIONS_PER_PEER_DEFAULT,
            0..=limits::CONNECTIONS_PER_PEER_MAX,
        )),
        idle_seconds: check.integer(
            keys::SERVER_IDLE_SECONDS,
            limits::IDLE_SECONDS_DEFAULT,
            1..=limits::IDLE_SECONDS_MAX,
        ),
        cors_origins: cors_origins(check),
    }
}

fn cors_origins(check: &mut Check) -> Vec<String> {
    let allowed = format!(
        "\"*\" alone, or up to {} origins as browsers send them, such as https://shop.example or \
         http://localhost:3000: in lower case, without a path, a slash at the end or the usual port",
        limits::CORS_ORIGINS_MAX
    );
    let any = vec!["*".to_owned()];
    check.value(keys::SERVER_CORS_ORIGINS, any, &allowed, |given| {
        let origins = given.as_texts()?;
        let are_origins = origins.len() <= limits::CORS_ORIGINS_MAX
            && origins.iter().all(|origin| is_origin(origin));
        (origins == ["*"] || are_origins).then(|| origins.into_iter().map(str::to_owned).collect())
    })
}

/// Both files or neither.
fn tls(check: &mut Check) -> Option<TlsFiles> {
    let cert = check.optional_path(keys::SERVER_TLS_CERT);
    let key = check.optional_path(keys::SERVER_TLS_KEY);
    match (cert, key) {
        (Some(cert), Some(key)) => return Some(TlsFiles { cert, key }),
        (Some(_), None) => check.lacks(keys::SERVER_TLS_CERT, keys::SERVER_TLS_KEY),
        (None, Some(_)) => check.lacks(keys::SERVER_TLS_KEY, keys::SERVER_TLS_CERT),
        (None, None) => {}
    }
    None
}

fn address(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        Some(Ipv4Addr::LOCALHOST.into())
    } else {
        host.parse().ok()
    }
}

fn database(check: &mut Check) -> Option<DatabaseConfig> {
    let config = DatabaseConfig {
        host: check.database_host(),
        port: check.integer(keys::DATABASE_PORT, 5432, 1..=u16::MAX),
        user: check.text(keys::DATABASE_USER, "postgres", IDENTIFIER_BYTES_MAX),
        password: check.password(keys::DATABASE_PASSWORD),
        dbname: check.text(keys::DATABASE_DBNAME, "flashsale", IDENTIFIER_BYTES_MAX),
        schema: check.schema(),
        sslmode: check.choice(keys::DATABASE_SSLMODE, &SslMode::NAMES),
        sslrootcert: check.optional_path(keys::DATABASE_SSLROOTCERT),
        migrations_path: check.path(keys::DATABASE_MIGRATIONS_PATH, "migrations"),
    };
    // Only now, so that the values of a sink that is off are checked too.
    (!config.host.is_empty()).then_some(config)
}

fn journal(check: &mut Check) -> JournalConfig {
    let retain_hours = check.integer(keys::JOURNAL_RETAIN_HOURS, 0, 0..=RETAIN_HOURS_MAX);
    let mebibytes = check.integer(keys::JOURNAL_SEGMENT_MEBIBYTES, 64, SEGMENT_MEBIBYTES);
    let stall_seconds = check.integer(
        keys::JOURNAL_STALL_SECONDS,
        u64::from(limits::STALL_SECONDS_DEFAULT),
        1..=u64::from(limits::STALL_SECONDS_MAX),
    );
    JournalConfig {
        dir: check.path(keys::JOURNAL_DIR, "data/journal"),
        durability: check.choice(keys::JOURNAL_DURABILITY, &Durability::NAMES),
        retain: duration_unless_zero(retain_hours * 3600),
        refused_attempts: check.truth(keys::JOURNAL_REFUSED_ATTEMPTS, false),
        segment_bytes: mebibytes << 20,
        stall: Duration::from_secs(stall_seconds),
    }
}

fn sale(check: &mut Check) -> SaleConfig {
    let interval_seconds = check.integer(
        keys::SALE_INTERVAL_SECONDS,
        3600,
        1..=u64::from(limits::SALE_SECONDS_MAX),
    );
    let hold_seconds = check.integer(
        keys::SALE_HOLD_SECONDS,
        0,
        0..=u64::from(limits::HOLD_SECONDS_MAX),
    );
    let keep_ended_seconds = check.integer(
        keys::SALE_KEEP_ENDED_SECONDS,
        600,
        0..=u64::from(limits::KEEP_ENDED_SECONDS_MAX),
    );
    SaleConfig {
        total_items: check.integer(keys::SALE_TOTAL_ITEMS, 10_000, 1..=limits::SALE_ITEMS_MAX),
        interval: Duration::from_secs(interval_seconds),
        max_items_per_user: check.integer(
            keys::SALE_MAX_ITEMS_PER_USER,
            10,
            1..=limits::ITEMS_PER_USER_MAX,
        ),
        hold: duration_unless_zero(hold_seconds),
        keep_ended: Duration::from_secs(keep_ended_seconds),
        seed: check.integer(keys::SALE_SEED, 0, 0..=u64::MAX),
    }
}

fn log(check: &mut Check) -> LogConfig {
    LogConfig {
        level: check.value(
            keys::LOG_LEVEL,
            "info".to_owned(),
            "off, error, warn, info, debug or trace, or a list such as flashsale=debug,info",
            |given| {
                let is_filter = |text: &&str| {
                    text.len() <= LOG_LEVEL_BYTES_MAX && text.split(',').all(is_directive)
                };
                given.as_text().filter(is_filter).map(str::to_owned)
            },
        ),
        format: check.choice(keys::LOG_FORMAT, &LogFormat::NAMES),
    }
}

fn token(check: &mut Check) -> Option<Secret> {
    let (min, max) = TOKEN_BYTES.into_inner();
    let allowed = format!("empty, or {min} to {max} visible ASCII characters");
    check.secret(keys::ADMIN_TOKEN, &allowed, is_token)
}

/// Whether a token of administration may be `text`, or none when it is empty.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.is_empty() || (TOKEN_BYTES.contains(&text.len()) && is_visible_ascii(text))
}

fn is_password(text: &str) -> bool {
    text.len() <= PASSWORD_BYTES_MAX && is_printable(text)
}

fn duration_unless_zero(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A host name or address, or nothing. A colon is part of an IPv6 address, and of nothing else.
pub(super) fn is_host(text: &str) -> bool {
    let is_address = text.parse::<IpAddr>().is_ok();
    text.len() <= HOST_BYTES_MAX
        && is_visible_ascii(text)
        && (is_address || !text.contains(['@', '/', ':', '[', ']', '?', '#']))
}

/// An origin in the one form in which browsers send it. Any other form would never match.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_ipv6 = |host: &str| {
        let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        address.is_some_and(|it| {
            it.parse::<std::net::Ipv6Addr>()
                .is_ok_and(|ip| ip.to_string() == it)
        })
    };
    let is_name = !host.is_empty()
        && host.len() <= HOST_BYTES_MAX
        && host
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
    let usual_port = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let is_port = |text: &str| {
        text.parse::<u16>()
            .is_ok_and(|port| port.to_string() == text && port > 0 && Some(port) != usual_port)
    };
    is_scheme && (is_name || is_ipv6(host)) && port.is_none_or(is_port)
}

/// The name of a schema that can be ours. Upper case is kept, because it is always quoted.
fn is_schema(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_reserved = matches!(text, "seed" | "information_schema") || text.starts_with("pg_");
    text.len() <= SCHEMA_BYTES_MAX
        && text.bytes().next().is_some_and(is_letter)
        && text
            .bytes()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'-')
        && !is_reserved
}

/// A level, of everything or of a part. A word that is no level would be taken for a part and silence
/// the rest.
fn is_directive(text: &str) -> bool {
    let level = text.rsplit('=').next().unwrap_or_default();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    is_visible_ascii(text) && levels.iter().any(|known| known.eq_ignore_ascii_case(level))
}

/// On one line, and without the mark of bytes that were not UTF-8.
fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|char| char.is_control() || char == char::REPLACEMENT_CHARACTER)
}

/// Reads keys and remembers what was wrong with them.
pub(super) struct Check {
    raw: RawConfig,
    problems: Vec<ConfigProblem>,
}

impl Check {
    /// The strongest value of `key`. Weaker ones are checked as well: a mistake in the file must
    /// not wait for the day on which the variable that covers it goes away.
    pub(super) fn value<T>(
        &mut self,
        key: Key,
        default: T,
        allowed: &str,
        parse: impl Fn(&Given) -> Option<T>,
    ) -> T {
        let mut value = default;
        for setting in self.raw.of(key) {
            match parse(&setting.given) {
                Some(parsed) => value = parsed,
                None => self
                    .problems
                    .push(ConfigProblem::value(setting, allowed.to_owned())),
            }
        }
        value
    }

    /// Complains that `given` is set and `missing`, which belongs to it, is not.
    pub(super) fn lacks(&mut self, given: Key, missing: Key) {
        self.refuse(
            given,
            format!("empty, or given together with {}", missing.path),
        );
    }

    /// Complains of the strongest value of `key`, which does not go with the others.
    pub(super) fn refuse(&mut self, key: Key, allowed: String) {
        let strongest = self.raw.of(key).last();
        self.problems
            .extend(strongest.map(|setting| ConfigProblem::value(setting, allowed)));
    }

    pub(super) fn integer<T>(&mut self, key: Key, default: T, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let allowed = format!("an integer from {} to {}", range.start(), range.end());
        self.value(key, default, &allowed, |given| {
            T::try_from(given.as_integer()?)
                .ok()
                .filter(|integer| range.contains(integer))
        })
    }

    pub(super) fn truth(&mut self, key: Key, default: bool) -> bool {
        self.value(key, default, "true or false", Given::as_bool)
    }

    /// One of a few names; the first is the default.
    fn choice<T: Copy>(&mut self, key: Key, choices: &[(&str, T)]) -> T {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        self.value(key, choices[0].1, &names.join(" or "), |given| {
            let text = given.as_text()?;
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|&(_, choice)| choice)
        })
    }

    fn text(&mut self, key: Key, default: &str, bytes_max: usize) -> String {
        let allowed = format!("text of 1 to {bytes_max} bytes without control characters");
        let is_text = |text: &&str| (1..=bytes_max).contains(&text.len()) && is_printable(text);
        self.value(key, default.to_owned(), &allowed, |given| {
            given.as_text().filter(is_text).map(str::to_owned)
        })
    }

    pub(super) fn optional_text(&mut self, key: Key, bytes_max: usize) -> Option<String> {
        let allowed = format!("text of up to {bytes_max} bytes without control characters");
        let is_text = |text: &&str| text.len() <= bytes_max && is_printable(text);
        let text = self.value(key, String::new(), &allowed, |given| {
            given.as_text().filter(is_text).map(str::to_owned)
        });
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn optional_path(&mut self, key: Key) -> Option<PathBuf> {
        self.optional_text(key, TEXT_BYTES_MAX).map(PathBuf::from)
    }

    fn path(&mut self, key: Key, default: &str) -> PathBuf {
        self.text(key, default, TEXT_BYTES_MAX).into()
    }

    /// The host of Postgres; empty when it is off.
    fn database_host(&mut self) -> String {
        let allowed = format!("empty (off), {HOST_ALLOWED}, or the directory of a Unix socket");
        let is_socket = |text: &str| {
            text.starts_with('/') && text.len() <= HOST_BYTES_MAX && is_visible_ascii(text)
        };
        self.value(keys::DATABASE_HOST, String::new(), &allowed, |given| {
            let host = given
                .as_text()
                .filter(|text| is_host(text) || is_socket(text))?;
            Some(host.to_owned())
        })
    }

    /// The schema of Postgres that the tables are in.
    fn schema(&mut self) -> String {
        let allowed = format!(
            "1 to {SCHEMA_BYTES_MAX} of A-Z, a-z, 0-9, _ and -, the first of them a letter or _; not \"seed\", \
             \"information_schema\" or a name that begins with pg_"
        );
        self.value(
            keys::DATABASE_SCHEMA,
            "public".to_owned(),
            &allowed,
            |given| {
                given
                    .as_text()
                    .filter(|text| is_schema(text))
                    .map(str::to_owned)
            },
        )
    }

    pub(super) fn password(&mut self, key: Key) -> Option<Secret> {
        let allowed =
            format!("text of up to {PASSWORD_BYTES_MAX} bytes without control characters");
        self.secret(key, &allowed, is_password)
    }

    /// A secret; `None` when it is empty. One from a file can be read again.
    fn secret(&mut self, key: Key, allowed: &str, is_allowed: fn(&str) -> bool) -> Option<Secret> {
        let secret = self.value(key, None, allowed, |given| {
            let text = given.as_text().filter(|text| is_allowed(text))?;
            Some((!text.is_empty()).then(|| SecretString::from(text)))
        })?;
        let strongest = self.raw.of(key).last();
        Some(match strongest.and_then(|setting| setting.file.clone()) {
            None => secret.into(),
            Some(path) => {
                let file = SecretFile {
                    name: key.file_variable,
                    path,
                    is_allowed,
                };
                Secret::of_file(secret, file)
            }
        })
    }
}
