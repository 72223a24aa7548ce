//! The mark beside a journal that says that it is replicated, in which log, and how far that was known to have it.
//!
//! A journal without it was never replicated, and nothing of it is ever cut off. What is before the mark's place was acknowledged:
//! a log that does not have it has lost it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::log::LogIdentity;
use super::position::{Chain, Position};
use crate::env::{Disk, DiskFile, OpenMode};
use crate::journal::{JournalError, MARK_FILE};
use crate::types::Lsn;

/// Bytes of one of the two slots of the file. The mark that goes on is written over the older one: whatever a power cut leaves of that, the other
/// one is whole.
const SLOT_BYTES: usize = 4096;

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
        let (_, mark) = newest(&*file, &path)?;
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
            .open(&temporary, OpenMode::CreateInPlace)
            .map_err(JournalError::io("create", &temporary))?;
        let mut bytes = self.encode();
        bytes.resize(2 * SLOT_BYTES, 0);
        file.write_at(&bytes, 0)
            .map_err(JournalError::io("write", &temporary))?;
        file.sync_data()
            .map_err(JournalError::io("sync", &temporary))?;
        disk.rename(&temporary, &path)
            .map_err(JournalError::io("rename", &temporary))?;
        disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
    }

    /// Notes in the mark beside the journal in `dir`, which is this one, that the log has acknowledged the records up to `at`: one small write in
    /// place.
    ///
    /// # Errors
    /// As the operating system says. The mark is the one or the other.
    pub fn advance(
        &mut self,
        at: Position,
        disk: &dyn Disk,
        dir: &Path,
    ) -> Result<(), JournalError> {
        let path = path_in(dir);
        let file = disk
            .open(&path, OpenMode::ReadWrite)
            .map_err(JournalError::io("open", &path))?;
        let (slot, _) = newest(&*file, &path)?;
        let mut bytes = Self { at, ..self.clone() }.encode();
        bytes.resize(SLOT_BYTES, 0);
        let older = (1 - slot) * SLOT_BYTES;
        file.write_at(&bytes, older as u64)
            .map_err(JournalError::io("write", &path))?;
        file.sync_data().map_err(JournalError::io("sync", &path))?;
        self.at = at;
        Ok(())
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
        let end = bytes.iter().position(|&byte| byte == 0);
        let text = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()?;
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

/// Returns the newest mark in `file`, with the number of its slot.
fn newest(file: &dyn DiskFile, path: &Path) -> Result<(usize, Mark), JournalError> {
    let mut bytes = vec![0; 2 * SLOT_BYTES];
    let read = file.read_at(&mut bytes, 0);
    bytes.truncate(read.map_err(JournalError::io("read", path))?);
    let slots = bytes.chunks(SLOT_BYTES).map(Mark::decode).enumerate();
    let whole = slots.filter_map(|(slot, mark)| Some((slot, mark?)));
    whole
        .max_by_key(|(_, mark)| mark.at.lsn)
        .ok_or_else(|| JournalError::Damaged {
            path: path.to_owned(),
            offset: 0,
            what: "it is not what was written".into(),
        })
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join(MARK_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;

    fn position(lsn: u64) -> Position {
        Position {
            lsn: Lsn(lsn),
            chain: Chain::from_stored(-5),
        }
    }

    fn mark() -> Mark {
        Mark {
            log: "sale".into(),
            identity: LogIdentity::from_stored(-7),
            since: Lsn(3),
            at: position(9),
            cut: None,
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_damage_is_seen() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        disk.create_dir_all(dir).expect("room");
        assert_eq!(Mark::read(&disk, dir).expect("readable"), None);
        let mut mark = mark();
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

    #[test]
    fn a_mark_goes_on_in_place_and_a_torn_write_leaves_the_one_before() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        disk.create_dir_all(dir).expect("room");
        let mut mark = mark();
        mark.write(&disk, dir).expect("room");
        for lsn in 10..20 {
            let before = mark.clone();
            mark.advance(position(lsn), &disk, dir).expect("room");
            let read = |disk: &SimulatedDisk| Mark::read(disk, dir).expect("readable");
            assert_eq!(read(&disk.crash(lsn)), Some(mark.clone()));
            // Half of what was written last.
            let torn = disk.crash(0);
            let path = dir.join(MARK_FILE);
            let file = torn.open(&path, OpenMode::ReadWrite).expect("there");
            let offset = (lsn - 9) % 2 * SLOT_BYTES as u64 + 40;
            file.write_at(&[0; 512], offset).expect("room");
            assert_eq!(read(&torn), Some(before));
        }
    }
}
