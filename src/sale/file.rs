//! An ended sale as a file: written once, and folded back to the sale that it was.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::ended_sale::EndedSale;
use super::sale::Sale;
use super::state::State;
use crate::env::{Clock, Disk, Entropy};
use crate::journal::frame::FrameAlign;
use crate::journal::record_file::RecordFileWriter;
use crate::journal::sale_file::{self, SaleFile};
use crate::journal::segment::SegmentHeader;
use crate::journal::{self, JournalError, snapshot};
use crate::record::{Entry, Record};
use crate::types::{Lsn, Timestamp};

/// Sees to it that closed sales have their files in `dir`, durably.
///
/// # Errors
/// A file cannot be written.
pub(super) fn ensure_all<'a>(
    disk: &dyn Disk,
    dir: &Path,
    sales: impl Iterator<Item = &'a Arc<Sale>>,
    created_at: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(), JournalError> {
    for sale in sales {
        ensure(disk, dir, sale, created_at, entropy)?;
    }
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
}

/// Sees to it that a closed sale has its file; its name is durable only when the directory is synced.
///
/// # Errors
/// The file cannot be written.
pub(super) fn ensure(
    disk: &dyn Disk,
    dir: &Path,
    sale: &Sale,
    created_at: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(), JournalError> {
    let ended = EndedSale::of(sale).expect("only closed sales have files");
    if ended.file().exists(disk, dir) {
        return Ok(());
    }
    let header = SegmentHeader {
        number: ended.closing.lsn.0,
        seed: entropy.bits_128() as u32,
        length_bytes: 0,
        created_at,
        align: FrameAlign::NARROW,
    };
    let writer = RecordFileWriter::create(disk, ended.file().path(dir), header)?;
    let writer = RefCell::new(writer);
    let mut hold = |at: Option<Timestamp>, record: &Record<'_>| {
        let at = at.unwrap_or(created_at);
        writer.borrow_mut().hold(at, record);
        Ok(())
    };
    sale.visit_records_unlocking(&mut hold, &mut || writer.borrow_mut().write_full())?;
    writer.into_inner().finish_but_for_name()
}

/// The sale as it was when it left memory, from its file in `dir`.
///
/// # Errors
/// The file is damaged or not there, or cannot be read.
pub fn load(disk: &dyn Disk, dir: &Path, ended: &EndedSale) -> Result<Arc<Sale>, JournalError> {
    let mut folding = Folding::of(ended);
    let damaged = |what| JournalError::Damaged {
        path: ended.file().path(dir),
        offset: 0,
        what,
    };
    let folded = ended
        .file()
        .read(disk, dir, &mut |entry| folding.take(&entry));
    match folded {
        Err(JournalError::Contradiction { what, .. }) => Err(damaged(what)),
        Err(error) => Err(error),
        Ok(()) => folding.finish().map_err(damaged),
    }
}

/// The files of ended sales in a directory, as [`check_files`] found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedFiles {
    /// Files that hold what they should.
    pub intact: usize,
    /// Sales whose file was removed, because a database has what was in it.
    pub removed: usize,
}

/// Reads the files of all ended sales of `state` in `dir`, and holds them against it.
///
/// # Errors
/// A file is damaged or missing.
pub fn check_files(
    disk: &dyn Disk,
    dir: &Path,
    state: &State,
) -> Result<CheckedFiles, JournalError> {
    let there = sale_file::list(disk, dir)?;
    let removed_until = sale_file::removed_until(disk, dir)?;
    let mut checked = CheckedFiles::default();
    let in_memory = state.sales().iter().filter_map(|sale| EndedSale::of(sale));
    let archived = state.ended().oldest_first().copied();
    for ended in in_memory
        .filter(|it| there.contains(&it.file()))
        .chain(archived)
    {
        if ended.closing.lsn <= removed_until && !there.contains(&ended.file()) {
            checked.removed += 1;
        } else {
            load(disk, dir, &ended)?;
            checked.intact += 1;
        }
    }
    Ok(checked)
}

/// The files that the newest snapshot in `dir` needs and that are missing.
///
/// # Errors
/// The snapshot cannot be read.
pub fn missing_files(disk: &dyn Disk, dir: &Path) -> Result<BTreeSet<SaleFile>, JournalError> {
    let Some(newest) = snapshot::newest(disk, dir)? else {
        return Ok(BTreeSet::new());
    };
    let there = sale_file::list(disk, dir)?;
    let removed_until = sale_file::removed_until(disk, dir)?;
    let mut missing = BTreeSet::new();
    snapshot::read(disk, dir, newest, &mut |entry| {
        let file = EndedSale::from_record(&entry.record()?).map(|ended| ended.file());
        missing.extend(file.filter(|it| it.closed_lsn > removed_until && !there.contains(it)));
        Ok(())
    })?;
    Ok(missing)
}

/// Writes files that are missing once more, from a journal that still begins with its first record.
///
/// # Errors
/// The journal cannot be read, or a file not written.
pub fn rewrite_files(
    disk: &dyn Disk,
    dir: &Path,
    missing: &BTreeSet<SaleFile>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), JournalError> {
    let mut state = State::default();
    journal::replay(disk, dir, Lsn::ZERO, None, &mut |entry| {
        state.apply_and_put_away(&entry, |sale| {
            if EndedSale::of(sale).is_some_and(|it| missing.contains(&it.file())) {
                ensure_all(disk, dir, [sale].into_iter(), clock.now(), entropy)?;
            }
            Ok(true)
        })
    })
    .map(drop)
}

/// An ended sale that is put together again from records.
pub struct Folding<'a> {
    ended: &'a EndedSale,
    state: State,
}

impl<'a> Folding<'a> {
    /// Begins with the sale of which `ended` is known.
    #[must_use]
    pub fn of(ended: &'a EndedSale) -> Self {
        Self {
            ended,
            state: State::default(),
        }
    }

    /// Applies the next record. Whatever its number, it rests on what closed the sale.
    ///
    /// # Errors
    /// It contradicts those before it.
    pub fn take(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let lsn = self.ended.closing.lsn;
        self.state.apply(&entry.numbered(lsn))
    }

    /// The sale, if it is the one that was wanted.
    ///
    /// # Errors
    /// Says what is different.
    pub fn finish(self) -> Result<Arc<Sale>, String> {
        let [sale] = self.state.sales() else {
            return Err(format!("it holds {} sales", self.state.sales().len()));
        };
        sale.check_conserved()?;
        match EndedSale::of(sale) {
            Some(found) if found == *self.ended => Ok(Arc::clone(sale)),
            found => Err(format!(
                "it leads to another end of sale {}: {found:?} instead of {:?}",
                self.ended.id, self.ended
            )),
        }
    }
}
