//! The records that were durable at some time: none of them may ever change or go.

use std::path::Path;

use flashsale::env::Disk;
use flashsale::journal::{self, JournalError};
use flashsale::record::Entry;
use flashsale::replication::{FrameError, Position, SimulatedLog};
use flashsale::types::Lsn;

use crate::ledger::Ledger;
use crate::tables::Tables;

/// All durable records, the first one first.
#[derive(Default)]
pub struct Tape {
    records: Vec<Vec<u8>>,
    /// The last record that was followed in a log.
    position: Position,
}

impl Tape {
    /// Returns the number of the last record.
    #[must_use]
    pub fn last(&self) -> Lsn {
        Lsn(self.records.len() as u64)
    }

    /// Reads on, up to `durable`.
    ///
    /// # Errors
    /// A record is gone, or the journal cannot be read.
    pub fn read_on(&mut self, disk: &dyn Disk, dir: &Path, durable: Lsn) -> Result<(), String> {
        self.read_behind(disk, dir, self.last(), durable)
    }

    /// Reads the whole journal, up to `durable`, and compares what was there before.
    ///
    /// # Errors
    /// A record is another one than it was, or gone; or the journal cannot be read.
    pub fn read(&mut self, disk: &dyn Disk, dir: &Path, durable: Lsn) -> Result<(), String> {
        let first = journal::first_lsn(disk, dir).map_err(|error| error.to_string())?;
        let after = Lsn(first.map_or(0, |first| first.0 - 1));
        self.read_behind(disk, dir, after.min(durable), durable)
    }

    /// Reads on in a replicated log, up to its end.
    ///
    /// # Errors
    /// The log contradicts itself.
    pub fn follow(&mut self, log: &SimulatedLog) -> Result<(), String> {
        for frame in log.frames_behind(self.position.lsn) {
            let (records, position) = (&mut self.records, &mut self.position);
            let visited = frame.visit(*position, &mut |entry, at| {
                records.push(entry.bytes().to_vec());
                *position = at;
                Ok::<_, FrameError>(())
            });
            visited.map_err(|error| format!("the log contradicts itself: {error}"))?;
        }
        Ok(())
    }

    /// Checks that a replicated log holds these records, each once, and nothing else.
    ///
    /// # Errors
    /// It does not.
    pub fn check_log(&self, log: &SimulatedLog) -> Result<(), String> {
        let mut other = Self::default();
        other.follow(log)?;
        match other.records == self.records {
            true => Ok(()),
            false => Err(format!(
                "the log ends with {} records, and had {}, or they are others",
                other.records.len(),
                self.records.len()
            )),
        }
    }

    /// Holds the records that the journal in `dir` still has, up to `until`, against what they were.
    ///
    /// # Errors
    /// A record is another one. In the result, why the journal cannot be read.
    pub fn compare(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        until: Lsn,
    ) -> Result<Result<(), JournalError>, String> {
        let mut changed = None;
        let mut visit = |entry: Entry<'_>| {
            let known = self.records.get(entry.lsn.0 as usize - 1);
            if known.is_some_and(|known| known != entry.bytes()) {
                changed.get_or_insert(entry.lsn);
            }
            Ok::<_, JournalError>(())
        };
        let mut read = || {
            let first = journal::first_lsn(disk, dir)?;
            let after = Lsn(first.map_or(0, |first| first.0 - 1)).min(until);
            if after < until {
                journal::replay(disk, dir, after, Some(until), &mut visit)?;
            }
            Ok(())
        };
        let read = read();
        match changed {
            Some(lsn) => Err(format!("record {lsn} is another one than it was")),
            None => Ok(read),
        }
    }

    fn read_behind(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        after: Lsn,
        durable: Lsn,
    ) -> Result<(), String> {
        if durable < self.last() {
            return Err(format!(
                "record {} was durable, and the journal ends at {durable}",
                self.last()
            ));
        }
        if durable == after {
            return Ok(());
        }
        let mut changed = None;
        let mut visit = |entry: Entry<'_>| {
            let place = entry.lsn.0 as usize - 1;
            match self.records.get(place) {
                Some(before) if before != entry.bytes() => {
                    changed.get_or_insert(entry.lsn);
                }
                Some(_) => {}
                None if place == self.records.len() => self.records.push(entry.bytes().to_vec()),
                None => {
                    changed.get_or_insert(entry.lsn);
                }
            }
            Ok::<_, JournalError>(())
        };
        let read = journal::replay(disk, dir, after, Some(durable), &mut visit);
        read.map_err(|error| format!("the journal cannot be read: {error}"))?;
        match changed {
            Some(lsn) => Err(format!("record {lsn} is another one than it was")),
            None if self.last() != durable => Err(format!(
                "the journal says that it is durable up to {durable}, and has {}",
                self.last()
            )),
            None => Ok(()),
        }
    }

    /// Folds all records.
    ///
    /// # Errors
    /// Names the record that breaks a rule, and the rule.
    pub fn fold(&self) -> Result<(Ledger, Tables), String> {
        let (mut ledger, mut tables) = (Ledger::default(), Tables::default());
        for (place, bytes) in self.records.iter().enumerate() {
            let lsn = Lsn(place as u64 + 1);
            let entry = Entry::whole(lsn, bytes).map_err(|error| error.to_string())?;
            let record = entry.record().map_err(|error| error.to_string())?;
            let applied = ledger.apply(&entry, &record);
            applied.map_err(|rule| format!("record {lsn}: {rule}"))?;
            tables.apply(&record)?;
        }
        Ok((ledger, tables))
    }

    /// Folds the records up to `until` into rows.
    ///
    /// # Errors
    /// Names what contradicts itself.
    pub fn tables(&self, until: Lsn) -> Result<Tables, String> {
        let mut tables = Tables::default();
        for (place, bytes) in self.records.iter().enumerate().take(until.0 as usize) {
            let entry = Entry::whole(Lsn(place as u64 + 1), bytes);
            let record = entry.and_then(|entry| entry.record());
            tables.apply(&record.map_err(|error| error.to_string())?)?;
        }
        Ok(tables)
    }

    /// Returns the bytes of all records.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(Vec::as_slice)
    }
}
