//! `flashsale verify` as one of the judges: its verdict on the journal and the databases must be that of the checker.

use std::path::Path;
use std::sync::Arc;

use flashsale::commands::verify::{ReadRows, verify_at_rest};
use flashsale::env::Disk;
use flashsale::reconcile::redis::Reading;
use flashsale::types::Lsn;

use crate::dice::Dice;
use crate::server::DIR;
use crate::sink::Read;
use crate::world::World;

/// The exit codes of `flashsale verify`.
const AGREES: u8 = 0;
const DIFFERENT: u8 = 1;

impl World {
    /// Checks that `flashsale verify` agrees to what the checker has agreed to, and to nothing else: of some runs it is shown
    /// databases in which something was changed, or that have lost what the journal no longer holds.
    pub(crate) async fn verify(&mut self) -> Result<(), String> {
        let first = self.first_lsn()?;
        let (stuck, sound): (Vec<_>, Vec<_>) =
            (self.databases.iter().cloned()).partition(|database| database.is_stuck(first));
        let read = || sound.iter().map(|database| database.read());
        self.judge(read(), AGREES).await?;
        for database in stuck {
            self.trace.count("verify: a database that is stuck");
            self.judge([database.read()].into_iter(), DIFFERENT).await?;
        }
        if self.dice.chance(250) {
            let mut changed: Vec<_> = read().collect();
            let is_changed = changed
                .iter_mut()
                .any(|it| it.change(&mut self.dice, first));
            if is_changed {
                self.trace.count("verify: a database that was changed");
                self.judge(changed.into_iter(), DIFFERENT).await?;
            }
        }
        Ok(())
    }

    async fn judge(&self, read: impl Iterator<Item = Read>, expected: u8) -> Result<(), String> {
        let (mut databases, mut caches) = (Vec::new(), Vec::new());
        for read in read {
            match read {
                Read::Rows(rows) => databases.push(rows),
                Read::Cache(reading) => caches.push(reading),
            }
        }
        let disk: Arc<dyn Disk> = Arc::new(self.server().disk.after_kill());
        let mut report = Vec::new();
        let code = verify_at_rest(disk, Path::new(DIR), databases, caches, &mut report).await;
        let code = code.map_err(|error| error.to_string())?;
        if code == expected {
            return Ok(());
        }
        let report = String::from_utf8_lossy(&report);
        Err(format!(
            "verify ends with {code} instead of {expected}: {report}"
        ))
    }
}

impl Read {
    /// Changes something that the journal, which begins with `first`, has otherwise. Returns whether there was something.
    fn change(&mut self, dice: &mut Dice, first: Lsn) -> bool {
        match self {
            Self::Rows(rows) => rows_changed(rows, dice, first),
            Self::Cache(Some(reading)) => is_cache_changed(reading),
            Self::Cache(None) => false,
        }
    }
}

fn rows_changed(rows: &mut ReadRows, dice: &mut Dice, first: Lsn) -> bool {
    let begin = rows.records.partition_point(|record| record.lsn < first);
    if begin == rows.records.len() {
        return false;
    }
    let place = begin + dice.below((rows.records.len() - begin) as u64) as usize;
    match dice.chance(500) {
        true => drop(rows.records.remove(place)),
        false => {
            let twice = flashsale::reconcile::postgres::Rebuilt {
                lsn: rows.records[place].lsn,
                record: rows.records[place].record.clone(),
            };
            rows.records.insert(place, twice);
        }
    }
    true
}

fn is_cache_changed(reading: &mut Reading) -> bool {
    let sale = reading.projection.sales.values_mut().next_back();
    sale.map(|sale| sale.sold += 1).is_some()
}
