//! The journal that everything is held against: locked, or, while a server writes it, read up to what
//! that server says is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::server::{InspectedServer, ServerError};
use crate::commands::pace::resting_disk;
use crate::env::{Disk, RealDisk};
use crate::journal::{self, JournalError, Opening, Tail, sale_file, snapshot};
use crate::reconcile::SinkError;
use crate::record::Entry;
use crate::sale::{CheckedFiles, EndedSale, Recovered, Sale, State, check_files, load_ended};
use crate::types::Lsn;

/// Attempts to open a journal that is in use, should its server overtake us.
const OPENINGS_MAX: usize = 2;

/// Why there is nothing to hold anything against.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the journal in {} is in use, and what it holds is known from the server that uses it, but \
         none answers; give its address with --server HOST:PORT ({source})",
        dir.display()
    )]
    NoServer { dir: PathBuf, source: ServerError },
    #[error(
        "{source}; is {address} the server that uses the journal in {}? Otherwise give --server \
         HOST:PORT",
        dir.display()
    )]
    OtherServer {
        dir: PathBuf,
        address: String,
        source: JournalError,
    },
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(
        "the journal in {}: the server wrote newer snapshots and removed what they stand for while it \
         was read; try again",
        dir.display()
    )]
    Overtaken { dir: PathBuf },
}

impl LedgerError {
    /// Returns whether the journal is known to be wrong; otherwise it could not be read.
    pub(super) fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::Journal(JournalError::Damaged { .. } | JournalError::Contradiction { .. })
        )
    }
}

/// Why a sink could not be compared with the journal, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompareError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A journal with the state that it leads to.
pub(super) struct Ledger {
    /// The disk, at a gentle pace where a server uses the journal.
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The state at [`Self::at`].
    pub(super) state: State,
    /// The last record that was folded.
    pub(super) at: Lsn,
    /// The last LSN that the state's snapshot stands for; 0 for none.
    pub(super) snapshot: Lsn,
    /// The first record that the journal still holds.
    pub(super) first: Lsn,
    /// The last record that may be read.
    durable: Lsn,
    user: User,
}

/// The process that holds the journal's lock.
enum User {
    Us(#[allow(dead_code, reason = "keeps the lock")] Opening),
    Server(InspectedServer, Option<Tail>),
}

impl Ledger {
    /// Folds the journal in `dir`; when it is in use, up to what `server` says.
    pub(super) fn open(dir: &Path, server: InspectedServer) -> Result<Self, LedgerError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        match Opening::lock_existing(Arc::clone(&disk), dir) {
            Ok(opening) => Self::locked(disk, dir, opening),
            Err(JournalError::InUse { .. } | JournalError::SegmentInUse { .. }) => {
                Self::in_use(dir, server)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Folds the journal in `dir` on `disk`, which nobody uses.
    pub(super) fn at_rest(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, LedgerError> {
        let opening = Opening::lock_existing(Arc::clone(&disk), dir)?;
        Self::locked(disk, dir, opening)
    }

    fn locked(disk: Arc<dyn Disk>, dir: &Path, opening: Opening) -> Result<Self, LedgerError> {
        let recovered = Recovered::from_journal(&opening)?;
        let last = recovered.replayed.last_lsn;
        Ok(Self {
            first: journal::first_lsn(&*disk, dir)?.unwrap_or(Lsn(1)),
            disk,
            dir: dir.to_owned(),
            state: recovered.state,
            at: last,
            snapshot: recovered.snapshot_lsn,
            durable: last,
            user: User::Us(opening),
        })
    }

    fn in_use(dir: &Path, server: InspectedServer) -> Result<Self, LedgerError> {
        from_newest(dir, || Self::from_snapshot(dir, server.clone()))
    }

    fn from_snapshot(dir: &Path, server: InspectedServer) -> Result<Self, LedgerError> {
        let health = server.health();
        let health = health.map_err(|source| LedgerError::NoServer {
            dir: dir.to_owned(),
            source,
        })?;
        let disk: Arc<dyn Disk> = Arc::new(resting_disk());
        let (state, snapshot) = restored(&*disk, dir)?;
        let mut ledger = Self {
            disk,
            dir: dir.to_owned(),
            state,
            at: snapshot,
            snapshot,
            first: journal::first_lsn(&RealDisk, dir)?.unwrap_or(Lsn(1)),
            durable: health.durable(),
            user: User::Server(server, None),
        };
        ledger
            .advance(ledger.durable)
            .map_err(|error| other_server(error, &ledger))?;
        ledger.state.check(ledger.at)?;
        Ok(ledger)
    }

    /// Checks the files of ended sales.
    pub(super) fn check_files(&self) -> Result<CheckedFiles, JournalError> {
        check_files(&*self.disk, &self.dir, &self.state)
    }

    /// The server that writes the journal, if one does.
    pub(super) fn server(&self) -> Option<&InspectedServer> {
        match &self.user {
            User::Us(_) => None,
            User::Server(server, _) => Some(server),
        }
    }

    /// Returns the last record that may be read now.
    pub(super) fn durable(&mut self) -> Result<Lsn, LedgerError> {
        if let User::Server(server, _) = &self.user {
            self.durable = server.health()?.durable();
        }
        Ok(self.durable)
    }

    /// Folds on up to `until`, which must be durable; nothing behind it.
    pub(super) fn advance(&mut self, until: Lsn) -> Result<(), LedgerError> {
        self.durable = self.durable.max(until);
        let tail = match &mut self.user {
            User::Server(_, tail) if until > self.at => tail,
            _ => return Ok(()),
        };
        let found = match tail.take() {
            None => Tail::after(self.disk.clone(), &self.dir, self.at, self.durable)?,
            found => found,
        };
        let found = match found {
            Some(found) => tail.insert(found),
            None => return Err(missing(&self.dir, self.snapshot, self.at)),
        };
        let state = &mut self.state;
        visit(found, until, &mut |entry| state.apply(entry))?;
        self.at = until;
        Ok(())
    }

    /// The journal's records behind `after`; `None` when it no longer holds them.
    pub(super) fn tail(&self, after: Lsn) -> Result<Option<Tail>, JournalError> {
        Tail::after(self.disk.clone(), &self.dir, after, self.durable)
    }

    /// Looks for the first record that the journal still holds now; whether it is another one.
    pub(super) fn find_first(&mut self) -> Result<bool, JournalError> {
        let first = journal::first_lsn(&*self.disk, &self.dir)?.unwrap_or(Lsn(1));
        let before = std::mem::replace(&mut self.first, first);
        Ok(before != first)
    }

    /// The error of a journal whose first records are gone.
    pub(super) fn overtaken(&self) -> LedgerError {
        LedgerError::Overtaken {
            dir: self.dir.clone(),
        }
    }

    /// Hands the newest snapshot's records to `visit`; what it stands for.
    pub(super) fn read_snapshot(
        &self,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<Lsn, JournalError> {
        read_snapshot(&*self.disk, &self.dir, visit)
    }

    /// Hands the records of an archived sale to `visit`.
    pub(super) fn read_sale(
        &self,
        sale: &EndedSale,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        sale.file().read(&*self.disk, &self.dir, visit)
    }

    /// An archived sale; `None` where its file was removed, because a database has what was in it.
    pub(super) fn load(&self, sale: &EndedSale) -> Result<Option<Arc<Sale>>, JournalError> {
        let (disk, dir) = (&*self.disk, &self.dir);
        let removable = sale.closing.lsn <= sale_file::removed_until(disk, dir)?;
        if removable && !sale.file().exists(disk, dir) {
            return Ok(None);
        }
        load_ended(disk, dir, sale).map(Some)
    }

    /// The state of the snapshot that stands for what was trimmed.
    pub(super) fn snapshot_state(&self) -> Result<(State, Lsn), JournalError> {
        restored(&*self.disk, &self.dir)
    }
}

/// Returns what `open` makes of the newest snapshot and the records behind it. Should it fail while a newer
/// snapshot comes, the server may have removed the older one, and the records before the newer one, under
/// its hands: then once more.
fn from_newest<T>(
    dir: &Path,
    mut open: impl FnMut() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    for _ in 0..OPENINGS_MAX {
        let newest = snapshot::newest(&RealDisk, dir)?;
        match open() {
            Err(_) if snapshot::newest(&RealDisk, dir)? > newest => {}
            opened => return opened,
        }
    }
    Err(LedgerError::Overtaken {
        dir: dir.to_owned(),
    })
}

/// Why the record after `after` is not there, to which the state of `snapshot` was folded.
fn missing(dir: &Path, snapshot: Lsn, after: Lsn) -> LedgerError {
    match snapshot::newest(&RealDisk, dir) {
        Err(error) => error.into(),
        Ok(newest) if newest > Some(snapshot) => LedgerError::Overtaken {
            dir: dir.to_owned(),
        },
        Ok(_) => gap(dir, after).into(),
    }
}

fn restored(disk: &dyn Disk, dir: &Path) -> Result<(State, Lsn), JournalError> {
    let mut state = State::default();
    let lsn = read_snapshot(disk, dir, &mut |entry| state.restore(&entry))?;
    Ok((state, lsn))
}

fn read_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<Lsn, JournalError> {
    match snapshot::newest(disk, dir)? {
        None => Ok(Lsn::ZERO),
        Some(lsn) => snapshot::read(disk, dir, lsn, visit).map(|()| lsn),
    }
}

/// Hands the records up to `until` to `take`, which may fail.
pub(super) fn visit(
    tail: &mut Tail,
    until: Lsn,
    take: &mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    tail.read(until, &mut |entry| take(entry).map(|()| true))
}

/// A journal that ends before the server says it does is another's.
fn other_server(error: LedgerError, ledger: &Ledger) -> LedgerError {
    match (error, &ledger.user) {
        (LedgerError::Journal(source @ JournalError::Io { .. }), User::Server(server, _)) => {
            LedgerError::OtherServer {
                dir: ledger.dir.clone(),
                address: server.address().to_string(),
                source,
            }
        }
        (error, _) => error,
    }
}

fn gap(dir: &Path, after: Lsn) -> JournalError {
    JournalError::Damaged {
        path: dir.to_owned(),
        offset: 0,
        what: format!("record {} is missing", after.next()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What opening a journal comes to whose `n`th snapshot is written at its `n`th opening, up to
    /// `snapshots`, and how often it was opened. It succeeds once there are no more.
    fn open_while_writing(snapshots: u64) -> (Result<u64, LedgerError>, u64) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path();
        fs::write(dir.join("00000000000000000007.snapshot"), "").expect("our own directory");
        let mut openings = 0;
        let opened = from_newest(dir, || {
            openings += 1;
            if openings > snapshots {
                return Ok(openings);
            }
            let name = format!("{:020}.snapshot", 7 + openings);
            fs::write(dir.join(name), "").expect("our own directory");
            Err(gap(dir, Lsn(7)).into())
        });
        (opened, openings)
    }

    #[test]
    fn a_newer_snapshot_is_gone_on_from() {
        let (opened, openings) = open_while_writing(1);
        assert_eq!((opened.expect("the second time"), openings), (2, 2));
    }

    #[test]
    fn a_server_that_is_too_fast_is_no_difference() {
        let (opened, openings) = open_while_writing(9);
        let error = opened.expect_err("it was overtaken twice");
        assert_eq!(openings, 2);
        assert!(!error.is_difference(), "{error}");
        assert!(error.to_string().contains("try again"), "{error}");
    }

    #[test]
    fn what_is_missing_though_nothing_newer_stands_for_it_is_damage() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path();
        let mut openings = 0;
        let opened = from_newest(dir, || -> Result<(), _> {
            openings += 1;
            Err(gap(dir, Lsn(7)).into())
        });
        assert_eq!(openings, 1);
        assert!(opened.expect_err("a gap").is_difference());
        assert!(missing(dir, Lsn::ZERO, Lsn(7)).is_difference());
        fs::write(dir.join("00000000000000000009.snapshot"), "").expect("our own directory");
        assert!(!missing(dir, Lsn::ZERO, Lsn(7)).is_difference());
    }
}
