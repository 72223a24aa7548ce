//! The mark beside a journal that says that it is replicated, in which log, and how far that was known to have it.
//!
//! A journal without it was never replicated, and nothing of it is ever cut off. What is before the mark's place was acknowledged:
//! a log that does not have it has lost it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::log::LogIdentity;
use super::position::{Chain, Position};
use crate::env::{Disk, OpenMode};
use crate::journal::{JournalError, MARK_FILE};
use crate::types::Lsn;

/// The most bytes that a mark may have.
const MARK_BYTES_MAX: usize = 4096;

/// The mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The name of the log.
    pub log: String,
    /// The identity of the log, which one that was made anew under this name does not have.
    pub identity: LogIdentity,
    /// The record behind which the journal is replicated.
    pub since: Lsn,
    /// A place that the log has acknowledged.
    pub at: Position,
    /// The record behind which the journal is being cut off.
    pub cut: Option<Lsn>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    log: String,
    identity: i64,
    since: u64,
    lsn: u64,
    chain: i64,
    cut: Option<u64>,
}

impl Mark {
    /// Returns the mark beside the journal in `dir`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, JournalError> {
        let path = path_in(dir);
        let file = match disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(JournalError::io("open", &path))?,
        };
        let mut bytes = vec![0; MARK_BYTES_MAX];
        let read = file.read_at(&mut bytes, 0);
        bytes.truncate(read.map_err(JournalError::io("read", &path))?);
        let mark = Self::decode(&bytes).ok_or_else(|| JournalError::Damaged {
            path,
            offset: 0,
            what: "it is not what was written".into(),
        })?;
        Ok(Some(mark))
    }

    /// Replaces the mark beside the journal in `dir` by this one, durably.
    ///
    /// # Errors
    /// As the operating system says. One of the two is there.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
        let path = path_in(dir);
        let temporary = dir.join(format!("{MARK_FILE}.preparing"));
        let file = disk
            .open(&temporary, OpenMode::Create)
            .map_err(JournalError::io("create", &temporary))?;
        file.write_at(&self.encode(), 0)
            .map_err(JournalError::io("write", &temporary))?;
        file.sync_data()
            .map_err(JournalError::io("sync", &temporary))?;
        disk.rename(&temporary, &path)
            .map_err(JournalError::io("rename", &temporary))?;
        disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
    }

    fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            log: self.log.clone(),
            identity: self.identity.to_stored(),
            since: self.since.0,
            lsn: self.at.lsn.0,
            chain: self.at.chain.to_stored(),
            cut: self.cut.map(|lsn| lsn.0),
        };
        let text = serde_json::to_string(&stored).expect("it is a plain structure");
        let crc = crc32c::crc32c(text.as_bytes());
        format!("{text}\n{crc:08x}\n").into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (stored, crc) = text.strip_suffix('\n')?.split_once('\n')?;
        if format!("{:08x}", crc32c::crc32c(stored.as_bytes())) != crc {
            return None;
        }
        let stored: Stored = serde_json::from_str(stored).ok()?;
        Some(Self {
            log: stored.log,
            identity: LogIdentity::from_stored(stored.identity),
            since: Lsn(stored.since),
            at: Position {
                lsn: Lsn(stored.lsn),
                chain: Chain::from_stored(stored.chain),
            },
            cut: stored.cut.map(Lsn),
        })
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join(MARK_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_damage_is_seen() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        disk.create_dir_all(dir).expect("room");
        assert_eq!(Mark::read(&disk, dir).expect("readable"), None);
        let mut mark = Mark {
            log: "sale".into(),
            identity: LogIdentity::from_stored(-7),
            since: Lsn(3),
            at: Position {
                lsn: Lsn(9),
                chain: Chain::from_stored(-5),
            },
            cut: None,
        };
        for cut in [None, Some(Lsn(8))] {
            mark.cut = cut;
            mark.write(&disk, dir).expect("room");
            assert_eq!(
                Mark::read(&disk.crash(0), dir).expect("whole"),
                Some(mark.clone())
            );
        }
        let mut bytes = mark.encode();
        bytes[10] ^= 1;
        disk.overwrite(&dir.join(MARK_FILE), bytes);
        let error = Mark::read(&disk, dir).expect_err("damaged");
        assert!(
            error.to_string().contains("not what was written"),
            "{error}"
        );
    }
}
