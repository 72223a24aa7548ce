//! The rules for the values of certain keys, and the words for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::raw::Given;
use super::values::SecretText;
use crate::limits;
use crate::types::{Cidr, ServerAddress, WebhookUrl};

/// The longest text value, in bytes. It is what a path may have on Linux.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// The longest host name, as in the domain name system, in bytes.
const HOST_BYTES_MAX: usize = 255;
const HOST_ALLOWED: &str = "a host name or an address, up to 255 visible ASCII characters without \
                            a port, a user or a path";
/// The longest Postgres identifier, in bytes.
pub(super) const IDENTIFIER_BYTES_MAX: usize = 63;
/// The longest schema, in bytes: with `_seed` behind it, which is where its views are, it is an identifier.
const SCHEMA_BYTES_MAX: usize = IDENTIFIER_BYTES_MAX - "_seed".len();
/// The longest name of a master, in bytes.
pub(super) const MASTER_BYTES_MAX: usize = 255;
/// The longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;
/// The lengths of an admin token, in bytes.
const TOKEN_BYTES: RangeInclusive<usize> = 16..=256;
/// The longest log filter, in bytes.
const LOG_LEVEL_BYTES_MAX: usize = 256;

/// A password.
pub(super) const PASSWORD: SecretText = SecretText {
    allowed: || format!("text of up to {PASSWORD_BYTES_MAX} bytes without control characters"),
    is_allowed: |text| text.len() <= PASSWORD_BYTES_MAX && is_printable(text),
};

/// A token of administration.
pub(super) const TOKEN: SecretText = SecretText {
    allowed: || format!("empty, or {}", token_allowed()),
    is_allowed: is_token,
};

/// Describes the tokens of administration that are allowed.
#[must_use]
pub fn token_allowed() -> String {
    let (min, max) = TOKEN_BYTES.into_inner();
    format!("{min} to {max} visible ASCII characters")
}

/// Returns whether a token of administration may be `text`, or none when it is empty.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.is_empty() || (TOKEN_BYTES.contains(&text.len()) && is_visible_ascii(text))
}

/// The lengths of the key of a webhook, in bytes, as Standard Webhooks have them.
const WEBHOOK_KEY_BYTES: RangeInclusive<usize> = 24..=64;

/// Describes the secrets of a webhook that are allowed.
#[must_use]
pub(super) fn webhook_secret_allowed() -> String {
    let (min, max) = WEBHOOK_KEY_BYTES.into_inner();
    format!("whsec_ and {min} to {max} bytes in base64, or two of these")
}

/// Returns whether the secret of a webhook may be `text`, or both of a rotation.
#[must_use]
pub(super) fn is_webhook_secret(text: &str) -> bool {
    let is_one = |word: &str| {
        let key = word.strip_prefix("whsec_").map(|key| STANDARD.decode(key));
        matches!(key, Some(Ok(key)) if WEBHOOK_KEY_BYTES.contains(&key.len()))
    };
    let mut words = text.split_whitespace();
    (1..=2).contains(&words.clone().count()) && words.all(is_one)
}

/// Returns whether a text is on one line, and without the mark of bytes that were not UTF-8.
pub(super) fn is_printable(text: &str) -> bool {
    !text
        .chars()
        .any(|char| char.is_control() || char == char::REPLACEMENT_CHARACTER)
}

pub(super) fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The address that the server listens on.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        Some(Ipv4Addr::LOCALHOST.into())
    } else {
        host.parse().ok()
    }
}

/// Returns whether a text is a host name, an address, or nothing. A colon is part of an IPv6 address, and of
/// nothing else.
fn is_host(text: &str) -> bool {
    let is_address = text.parse::<IpAddr>().is_ok();
    text.len() <= HOST_BYTES_MAX
        && is_visible_ascii(text)
        && (is_address || !text.contains(['@', '/', ':', '[', ']', '?', '#']))
}

pub(super) fn database_host_allowed() -> String {
    format!("empty (off), {HOST_ALLOWED}, or the directory of a Unix socket")
}

pub(super) fn is_database_host(text: &str) -> bool {
    let is_socket = text.starts_with('/') && text.len() <= HOST_BYTES_MAX && is_visible_ascii(text);
    is_host(text) || is_socket
}

pub(super) fn schema_allowed() -> String {
    format!(
        "1 to {SCHEMA_BYTES_MAX} of A-Z, a-z, 0-9, _ and -, the first of them a letter or _; not \"seed\", \
         \"information_schema\" or a name that begins with pg_"
    )
}

/// Returns whether a schema of ours may have this name. Upper case is kept, because it is always quoted.
pub(super) fn is_schema(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_reserved = matches!(text, "seed" | "information_schema") || text.starts_with("pg_");
    text.len() <= SCHEMA_BYTES_MAX
        && text.bytes().next().is_some_and(is_letter)
        && text
            .bytes()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'-')
        && !is_reserved
}

pub(super) fn redis_host_allowed() -> String {
    format!("empty (off), or {HOST_ALLOWED}; before it may stand redis:// or, for TLS, rediss://")
}

/// Returns whether `rediss://` before a host asks for encryption, and the host.
pub(super) fn redis_host(given: &Given) -> Option<(bool, String)> {
    let text = given.as_text()?;
    let tls = text.strip_prefix("rediss://");
    let host = tls.or(text.strip_prefix("redis://")).unwrap_or(text);
    let is_whole = is_host(host) && !(host.is_empty() && host != text);
    is_whole.then(|| (tls.is_some(), host.to_owned()))
}

pub(super) fn servers_allowed(example: &str) -> String {
    format!(
        "empty (off), or a list of up to {} of host:port, such as {example} or [::1]:6379, with commas between \
         them in a variable; without redis:// or rediss:// (redis.tls is for TLS)",
        limits::REDIS_CONTACTS_MAX
    )
}

pub(super) fn log_hosts_allowed() -> String {
    format!(
        "empty (that of database.host, for Postgres), or a list of up to {} of host:port, such as postgres-1:5432 or [::1]:2379, \
         with commas between them in a variable",
        limits::REDIS_CONTACTS_MAX
    )
}

pub(super) fn servers(given: &Given) -> Option<Vec<ServerAddress>> {
    let texts = given.as_texts()?;
    let servers = texts.into_iter().map(server).collect::<Option<Vec<_>>>()?;
    (servers.len() <= limits::REDIS_CONTACTS_MAX).then_some(servers)
}

/// A host with its port. An IPv6 address is in brackets, because it has colons itself.
fn server(text: &str) -> Option<ServerAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_allowed = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(':') && is_host(host),
    };
    let port: u16 = port.parse().ok()?;
    (is_allowed && port > 0).then(|| ServerAddress {
        host: address.unwrap_or(host).to_owned(),
        port,
    })
}

pub(super) fn proxies_allowed() -> String {
    format!(
        "empty, or a list of up to {} networks or addresses, such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32, with commas \
         between them in a variable; without a bit set behind the prefix",
        limits::TRUSTED_PROXIES_MAX
    )
}

pub(super) fn proxies(given: &Given) -> Option<Vec<Cidr>> {
    let texts = given.as_texts()?;
    let blocks = texts.into_iter().map(|text| text.parse().ok());
    let blocks = blocks.collect::<Option<Vec<Cidr>>>()?;
    (blocks.len() <= limits::TRUSTED_PROXIES_MAX).then_some(blocks)
}

pub(super) fn origins_allowed() -> String {
    format!(
        "\"*\" alone, or up to {} origins as browsers send them, such as https://shop.example or \
         http://localhost:3000: in lower case, without a path, a slash at the end or the usual port",
        limits::CORS_ORIGINS_MAX
    )
}

pub(super) fn origins(given: &Given) -> Option<Vec<String>> {
    let origins = given.as_texts()?;
    let are_origins =
        origins.len() <= limits::CORS_ORIGINS_MAX && origins.iter().all(|origin| is_origin(origin));
    (origins == ["*"] || are_origins).then(|| origins.into_iter().map(str::to_owned).collect())
}

/// Returns whether a text is an origin in the one form in which browsers send it. Any other form would never
/// match.
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
        address.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_string() == it))
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

pub(super) fn log_name_allowed() -> String {
    format!(
        "1 to {} lower-case letters, digits, \"_\" and \"-\"",
        limits::LOG_NAME_BYTES_MAX
    )
}

pub(super) fn is_log_name(text: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    (1..=limits::LOG_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

pub(super) fn page_address_allowed() -> String {
    "empty, or the address of a page, such as https://shop.example/pay, without a fragment"
        .to_owned()
}

/// Returns whether a text is the absolute address of a page, and can stand in an attribute of HTML.
pub(super) fn is_page_address(text: &str) -> bool {
    // Braces would be a place to fill in the page.
    let means_nothing_else = |c: char| c.is_ascii_graphic() && !"\"'<>`\\#{}".contains(c);
    text.len() <= TEXT_BYTES_MAX
        && text.chars().all(means_nothing_else)
        && WebhookUrl::parse(text).is_some()
}

pub(super) fn log_level_allowed() -> String {
    "off, error, warn, info, debug or trace, or a list such as flashsale=debug,info".to_owned()
}

pub(super) fn is_log_level(text: &str) -> bool {
    text.len() <= LOG_LEVEL_BYTES_MAX && text.split(',').all(is_directive)
}

/// Returns whether a text is a level, of everything or of a part. A word that is no level would be taken for a
/// part and silence the rest.
fn is_directive(text: &str) -> bool {
    let level = text.rsplit('=').next().unwrap_or_default();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    is_visible_ascii(text) && levels.iter().any(|known| known.eq_ignore_ascii_case(level))
}
