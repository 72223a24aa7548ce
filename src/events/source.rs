//! The name of a journal in its events.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::env::{Disk, Entropy, read_file, replace_file};
use crate::journal::EVENT_SOURCE_FILE;

/// The file of the identity, beside the journal.
const FILE: &str = EVENT_SOURCE_FILE;
/// The file while it is written.
const UNFINISHED_FILE: &str = "events.source.new";
/// The digits of an identity.
const DIGITS: usize = 32;

/// The `source` of a journal's events. With the number of its record it names an event, wherever it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource(Arc<str>);

impl EventSource {
    /// Returns the source of a journal that is replicated in the log with this identity: the same on all servers.
    #[must_use]
    pub fn of_log(identity: impl fmt::Display) -> Self {
        Self(format!("/logs/{identity}").into())
    }

    /// Returns the source of the journal in `dir`. Its identity is drawn once, and kept in a file beside the journal: a copy of the
    /// journal alone, which may go another way, has another one.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not one.
    pub fn of_dir(disk: &dyn Disk, entropy: &dyn Entropy, dir: &Path) -> io::Result<Self> {
        let identity = match read_file(disk, &dir.join(FILE), DIGITS + 2) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => draw(disk, entropy, dir)?,
            read => checked(read?)?,
        };
        Ok(Self::drawn(&identity))
    }

    /// Returns a source that nothing else has, for as long as it is kept.
    #[must_use]
    pub fn passing(entropy: &dyn Entropy) -> Self {
        Self::drawn(&random_identity(entropy))
    }

    fn drawn(identity: &str) -> Self {
        Self(format!("/journals/{identity}").into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(bytes: Vec<u8>) -> io::Result<String> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = String::from_utf8(bytes).map_err(|_| not_one())?;
    let identity = text.trim_end_matches(['\n', '\r']);
    match identity.len() == DIGITS && identity.bytes().all(|byte| is_digit(&byte)) {
        true => Ok(identity.to_owned()),
        false => Err(not_one()),
    }
}

fn not_one() -> io::Error {
    io::Error::other(format!("{FILE} must hold {DIGITS} hexadecimal digits"))
}

/// Draws an identity and writes it durably; a power cut leaves either no file or the whole one.
fn draw(disk: &dyn Disk, entropy: &dyn Entropy, dir: &Path) -> io::Result<String> {
    let (identity, unfinished) = (random_identity(entropy), dir.join(UNFINISHED_FILE));
    replace_file(disk, dir, &dir.join(FILE), &unfinished, identity.as_bytes())?;
    Ok(identity)
}

fn random_identity(entropy: &dyn Entropy) -> String {
    format!("{:032x}", entropy.bits_128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{OpenMode, OsEntropy, SimulatedDisk};

    #[test]
    fn an_identity_is_drawn_once_and_kept() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        disk.create_dir_all(dir).expect("room");
        let of_dir = || EventSource::of_dir(&disk, &OsEntropy, dir);
        let source = of_dir().expect("room");
        assert_eq!(source.as_str().len(), "/journals/".len() + DIGITS);
        assert_eq!(of_dir().expect("it is there"), source);
        assert_ne!(EventSource::passing(&OsEntropy), source);
        let file = disk.open(&dir.join(FILE), OpenMode::Create).expect("room");
        file.write_at(b"x", 0).expect("room");
        assert!(of_dir().is_err());
    }
}
