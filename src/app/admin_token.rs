//! The token of administration, where none is configured: drawn once, and kept beside the journal.

use std::io;
use std::path::Path;

use secrecy::SecretString;

use crate::config::{Config, is_token};
use crate::env::{Disk, Entropy, OpenMode, OsEntropy, RealDisk, Secret, read_file};
use crate::limits::SECRET_FILE_BYTES_MAX;

/// The file, in the journal's directory.
const FILE: &str = "admin.token";
/// The file while it is written.
const UNFINISHED_FILE: &str = "admin.token.new";

/// Returns the configured token, or else the one in `admin.token`, which is drawn at the first start.
///
/// A file that cannot be used or written does not stop the sale: administration is closed then, because nobody
/// knows its token, and the log says why.
pub(super) fn admin_token(config: &Config) -> Secret {
    if let Some(token) = &config.admin.token {
        return token.clone();
    }
    let dir = &config.journal.dir;
    let path = dir.join(FILE);
    let found = read(&path).and_then(|found| found.map_or_else(|| draw(dir, &path), Ok));
    let path = path.display();
    let token = found.unwrap_or_else(|error| {
        tracing::error!(
            "{path}: {error}. /admin is closed, because its token is in no other place: remove the file and \
             start again, or set admin.token"
        );
        random_token()
    });
    SecretString::from(token).into()
}

/// Reads the token; `None` when there is no file.
fn read(path: &Path) -> io::Result<Option<String>> {
    let bytes = match read_file(&RealDisk, path, SECRET_FILE_BYTES_MAX as usize) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let token = text.trim_end_matches(['\n', '\r']);
    if token.is_empty() || !is_token(token) {
        let what = "the file must hold 16 to 256 visible ASCII characters";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let shown = path.display();
    if !RealDisk.is_private(path)? {
        tracing::warn!("{shown}: others may read the token of /admin: run chmod 600 on the file");
    }
    tracing::info!("the token of /admin is in {shown}");
    Ok(Some(token.to_owned()))
}

/// Draws a token and writes it durably; a power cut leaves either no file or the whole one.
fn draw(dir: &Path, path: &Path) -> io::Result<String> {
    let (token, unfinished) = (random_token(), dir.join(UNFINISHED_FILE));
    let file = RealDisk.open(&unfinished, OpenMode::Create)?;
    file.write_at(token.as_bytes(), 0)?;
    file.sync_data()?;
    RealDisk.rename(&unfinished, path)?;
    RealDisk.sync_dir(dir)?;
    tracing::info!("the token of /admin was drawn: it is in {}", path.display());
    Ok(token)
}

/// 256 bits of the operating system, as hex digits.
fn random_token() -> String {
    format!("{:032x}{:032x}", OsEntropy.bits_128(), OsEntropy.bits_128())
}
