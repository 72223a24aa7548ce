//! From the settings to the configuration: every value is checked, and every problem is kept.

use std::mem;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::auth::auth;
use super::effective::Effective;
use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key, Row};
use super::rates::limits;
use super::raw::RawConfig;
use super::redis::redis;
use super::replication::replication;
use super::values::{AllowedValues, SecretText, Text};
use super::webhooks::webhooks;
use super::{
    AdminConfig, Config, DatabaseConfig, JournalConfig, LogConfig, SaleConfig, ServerConfig,
    ShopConfig, TlsFiles,
};
use crate::env::{Secret, SecretFile};
use crate::types::{AddressSource, ClientAddress, PaymentTerms};

/// Checks everything. All problems come back in one error.
pub(super) fn validate(raw: RawConfig) -> Result<Config, ConfigError> {
    let mut check = Check {
        raw,
        problems: Vec::new(),
        effective: Effective::default(),
    };
    let ignored = mem::take(&mut check.raw.ignored);
    let server = server(&mut check);
    let database = database(&mut check);
    let config = Config {
        ignored,
        server,
        redis: redis(&mut check),
        journal: journal(&mut check),
        replication: replication(&mut check, database.clone()),
        // Only now, so that the values of a sink that is off are checked too.
        database: Some(database).filter(|database| !database.host.is_empty()),
        sale: sale(&mut check),
        limits: limits(&mut check),
        admin: AdminConfig {
            token: check.secret(keys::ADMIN_TOKEN),
        },
        shop: shop(&mut check),
        auth: auth(&mut check),
        webhooks: webhooks(&mut check),
        log: LogConfig {
            level: check.read(keys::LOG_LEVEL),
            format: check.read(keys::LOG_FORMAT),
        },
        effective: mem::take(&mut check.effective),
    };
    let Check {
        mut raw, problems, ..
    } = check;
    raw.problems.extend(problems);
    if raw.problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::new(raw.problems))
    }
}

fn server(check: &mut Check) -> ServerConfig {
    ServerConfig {
        host: check.read(keys::SERVER_HOST),
        port: check.read(keys::SERVER_PORT),
        workers: NonZeroUsize::new(check.read(keys::SERVER_WORKERS)),
        tls: tls(check),
        connections_per_peer: NonZeroU32::new(check.read(keys::SERVER_CONNECTIONS_PER_PEER)),
        client_address: client_address(check),
        idle_seconds: check.read(keys::SERVER_IDLE_SECONDS),
        cors_origins: check.read(keys::SERVER_CORS_ORIGINS),
        advertise: check.optional_text(keys::SERVER_ADVERTISE),
    }
}

/// A source that proxies write, and the proxies that are believed: both or neither.
fn client_address(check: &mut Check) -> ClientAddress {
    let source = check.read(keys::SERVER_CLIENT_ADDRESS);
    let trusted = check.read(keys::SERVER_TRUSTED_PROXIES);
    match (source, trusted.is_empty()) {
        (AddressSource::Peer, false) => check.refuse(
            keys::SERVER_TRUSTED_PROXIES.key,
            "empty, or given together with a server.client_address that is not \"peer\"".to_owned(),
        ),
        (AddressSource::Peer, true) | (_, false) => {}
        (_, true) => check.refuse(
            keys::SERVER_CLIENT_ADDRESS.key,
            "\"peer\", or given together with server.trusted_proxies".to_owned(),
        ),
    }
    ClientAddress { source, trusted }
}

/// Both files or neither.
fn tls(check: &mut Check) -> Option<TlsFiles> {
    let cert = check.optional_path(keys::SERVER_TLS_CERT);
    let key = check.optional_path(keys::SERVER_TLS_KEY);
    match (cert, key) {
        (Some(cert), Some(key)) => return Some(TlsFiles { cert, key }),
        (Some(_), None) => check.lacks(keys::SERVER_TLS_CERT.key, keys::SERVER_TLS_KEY.key),
        (None, Some(_)) => check.lacks(keys::SERVER_TLS_KEY.key, keys::SERVER_TLS_CERT.key),
        (None, None) => {}
    }
    None
}

/// The database, which is off where its host is empty.
fn database(check: &mut Check) -> DatabaseConfig {
    let config = DatabaseConfig {
        host: check.read(keys::DATABASE_HOST),
        port: check.read(keys::DATABASE_PORT),
        user: check.read(keys::DATABASE_USER),
        password: check.secret(keys::DATABASE_PASSWORD),
        dbname: check.read(keys::DATABASE_DBNAME),
        schema: check.read(keys::DATABASE_SCHEMA),
        sslmode: check.read(keys::DATABASE_SSLMODE),
        sslrootcert: check.optional_path(keys::DATABASE_SSLROOTCERT),
        migrations_path: check.read(keys::DATABASE_MIGRATIONS_PATH).into(),
    };
    if config.host.is_empty() {
        check.effective.switch_off("database");
    }
    config
}

fn journal(check: &mut Check) -> JournalConfig {
    JournalConfig {
        dir: check.read(keys::JOURNAL_DIR).into(),
        durability: check.read(keys::JOURNAL_DURABILITY),
        retain: duration_unless_zero(check.read(keys::JOURNAL_RETAIN_HOURS) * 3600),
        keep_for_webhooks: Duration::from_secs(check.read(keys::JOURNAL_WEBHOOK_HOURS) * 3600),
        refused_attempts: check.read(keys::JOURNAL_REFUSED_ATTEMPTS),
        segment_bytes: check.read(keys::JOURNAL_SEGMENT_MEBIBYTES) << 20,
        stall: seconds(check.read(keys::JOURNAL_STALL_SECONDS)),
    }
}

fn sale(check: &mut Check) -> SaleConfig {
    SaleConfig {
        total_items: check.read(keys::SALE_TOTAL_ITEMS),
        interval: seconds(check.read(keys::SALE_INTERVAL_SECONDS)),
        max_items_per_user: check.read(keys::SALE_MAX_ITEMS_PER_USER),
        hold: duration_unless_zero(check.read(keys::SALE_HOLD_SECONDS).into()),
        payment: PaymentTerms {
            seconds: check.read(keys::SALE_PAYMENT_SECONDS),
            purchase_by: check.read(keys::SALE_PURCHASE_BY),
        },
        payment_page: Some(check.read(keys::SALE_PAYMENT_PAGE)).filter(|page| !page.is_empty()),
        keep_ended: seconds(check.read(keys::SALE_KEEP_ENDED_SECONDS)),
        seed: check.read(keys::SALE_SEED),
    }
}

/// The shop, whose token is not that of administration: it would open all of it.
fn shop(check: &mut Check) -> ShopConfig {
    let token = check.secret(keys::SHOP_TOKEN);
    let admin_token = check.raw.of(keys::ADMIN_TOKEN.key).last();
    let shop_token = check.raw.of(keys::SHOP_TOKEN.key).last();
    let is_same = match (admin_token, shop_token) {
        (Some(admin), Some(shop)) => {
            token.is_some() && admin.given.as_text() == shop.given.as_text()
        }
        _ => false,
    };
    if is_same {
        let allowed = "another text than admin.token, which opens all of /admin".to_owned();
        check.refuse(keys::SHOP_TOKEN.key, allowed);
    }
    ShopConfig { token }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn duration_unless_zero(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Reads keys and remembers what was wrong with them, and what is in force.
pub(super) struct Check {
    raw: RawConfig,
    problems: Vec<ConfigProblem>,
    pub(super) effective: Effective,
}

impl Check {
    /// The strongest value of a key. Weaker ones are checked as well: a mistake in the file must not wait
    /// for the day on which the variable that covers it goes away.
    pub(super) fn read<V: AllowedValues>(&mut self, row: Row<V>) -> V::Value {
        let Row { key, values } = row;
        let mut value = values.default();
        for setting in self.raw.of(key) {
            match values.parse(&setting.given) {
                Some(parsed) => value = parsed,
                None => self
                    .problems
                    .push(ConfigProblem::value(setting, values.allowed())),
            }
        }
        self.effective.set(key, values.show(&value));
        value
    }

    /// A text; `None` when it is empty.
    pub(super) fn optional_text(&mut self, row: Row<Text>) -> Option<String> {
        let text = self.read(row);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn optional_path(&mut self, row: Row<Text>) -> Option<PathBuf> {
        self.optional_text(row).map(PathBuf::from)
    }

    /// A secret; `None` when it is empty. One from a file can be read again.
    pub(super) fn secret(&mut self, row: Row<SecretText>) -> Option<Secret> {
        let (key, is_allowed, allowed) = (row.key, row.values.is_allowed, row.values.allowed);
        let secret = self.read(row)?;
        let strongest = self.raw.of(key).last();
        Some(match strongest.and_then(|setting| setting.file.clone()) {
            None => secret.into(),
            Some(path) => {
                let file = SecretFile {
                    name: key.file_variable,
                    path,
                    is_allowed,
                    allowed,
                };
                Secret::of_file(secret, file)
            }
        })
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
}
