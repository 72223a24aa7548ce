//! The token of administration, where none is configured: drawn once, and kept beside the journal.

use std::io;
use std::path::Path;

use secrecy::SecretString;

use crate::config::{Config, is_token, token_allowed};
use crate::env::{Entropy, OsEntropy, RealDisk, Secret, SecretFile, replace_file};

/// The file, in the journal's directory.
const FILE: &str = "admin.token";
/// The file while it is written.
const UNFINISHED_FILE: &str = "admin.token.new";

/// Returns the configured token, or else a secret of the file `admin.token`.
///
/// Nobody knows its value until [`load_drawn`] or SIGHUP has read the file.
pub(super) fn admin_token(config: &Config) -> Secret {
    let configured = config.admin.token.clone();
    configured.unwrap_or_else(|| Secret::of_file(random_token().into(), drawn_file(config)))
}

/// Returns the token of a server with this configuration: the configured one, or the one that it has drawn.
///
/// # Errors
/// None is configured, and the file of the drawn one cannot be used.
pub fn known_token(config: &Config) -> Result<SecretString, String> {
    match &config.admin.token {
        Some(token) => Ok(token.get()),
        None => drawn_file(config).read_allowed(),
    }
}

/// Reads the token that is in `admin.token` into `token`, and draws it at the first start. Leaves a configured
/// token alone.
///
/// A file that cannot be used or written does not stop the sale: administration is closed then, because nobody
/// knows its token, and the log says why.
pub(super) fn load_drawn(token: &Secret, config: &Config) {
    if config.admin.token.is_some() {
        return;
    }
    let file = drawn_file(config);
    match read_or_draw(&file, &config.journal.dir) {
        Ok(found) => token.accept(found),
        Err(why) => tracing::error!(
            "{why}. /admin is closed, because its token is in no other place: write {} into the file and \
             send SIGHUP, or remove it and start again, or set admin.token",
            token_allowed()
        ),
    }
}

fn drawn_file(config: &Config) -> SecretFile {
    SecretFile {
        name: FILE,
        path: config.journal.dir.join(FILE),
        is_allowed: is_token,
        allowed: token_allowed,
    }
}

fn read_or_draw(file: &SecretFile, dir: &Path) -> Result<SecretString, String> {
    let path = file.path.display();
    let failed = |error: io::Error| format!("{path}: {error}");
    if !file.path.try_exists().map_err(failed)? {
        return draw(dir, &file.path).map_err(failed);
    }
    let token = file.read_allowed()?;
    if !RealDisk.is_private(&file.path).map_err(failed)? {
        tracing::warn!("{path}: others may read the token of /admin: run chmod 600 on the file");
    }
    tracing::info!("the token of /admin is in {path}");
    Ok(token)
}

/// Draws a token and writes it durably; a power cut leaves either no file or the whole one.
fn draw(dir: &Path, path: &Path) -> io::Result<SecretString> {
    let (token, unfinished) = (random_token(), dir.join(UNFINISHED_FILE));
    replace_file(&RealDisk, dir, path, &unfinished, token.as_bytes())?;
    tracing::info!("the token of /admin was drawn: it is in {}", path.display());
    Ok(token.into())
}

/// 256 bits of the operating system, as hex digits.
fn random_token() -> String {
    format!("{:032x}{:032x}", OsEntropy.bits_128(), OsEntropy.bits_128())
}
