//! An ended sale as a file: written once, and folded back to the sale that it was.

use std::path::Path;
use std::sync::Arc;

use super::ended::EndedSale;
use super::sale::Sale;
use super::state::State;
use crate::env::{Disk, Entropy};
use crate::journal::record_file::RecordFileWriter;
use crate::journal::segment::SegmentHeader;
use crate::journal::{Entry, JournalError};
use crate::types::Timestamp;

/// Sees to it that a closed sale has its file in `dir`.
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
    };
    let mut writer = RecordFileWriter::create(disk, ended.file().path(dir), header)?;
    sale.visit_records(&mut |at, record| writer.push(at.unwrap_or(created_at), record))?;
    writer.finish()
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
        self.state.apply(&Entry { lsn, ..*entry })
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
