//! The journal that everything is held against: locked, or, while a server writes it, read up to what
//! that server says is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::server::{RunningServer, ServerError};
use crate::env::RealDisk;
use crate::journal::{self, Entry, JournalError, Opening, Tail, snapshot};
use crate::sale::{Recovered, State};
use crate::types::Lsn;

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
}

impl LedgerError {
    /// Whether the journal is known to be wrong; otherwise it could not be looked at.
    pub(super) fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::Journal(JournalError::Damaged { .. } | JournalError::Contradiction { .. })
        )
    }
}

/// A journal with the state that it leads to.
pub(super) struct Ledger {
    disk: Arc<RealDisk>,
    dir: PathBuf,
    /// The state at [`Self::at`].
    pub(super) state: State,
    /// The last record that was folded.
    pub(super) at: Lsn,
    /// What the state's snapshot stands for; 0 for none.
    pub(super) snapshot: Lsn,
    /// The first record that the journal still holds.
    pub(super) first: Lsn,
    /// How far it may be read.
    durable: Lsn,
    user: User,
}

/// Who has the journal.
enum User {
    Us(#[allow(dead_code, reason = "keeps the lock")] Opening),
    Server(RunningServer, Option<Tail>),
}

impl Ledger {
    /// Folds the journal in `dir`; when it is in use, up to what `server` says.
    pub(super) fn open(dir: &Path, server: RunningServer) -> Result<Self, LedgerError> {
        match Opening::lock_existing(Arc::new(RealDisk), dir) {
            Ok(opening) => Self::locked(dir, opening),
            Err(JournalError::InUse { .. }) => Self::in_use(dir, server),
            Err(error) => Err(error.into()),
        }
    }

    fn locked(dir: &Path, opening: Opening) -> Result<Self, LedgerError> {
        let recovered = Recovered::from_journal(&opening)?;
        let last = recovered.replayed.last_lsn;
        Ok(Self {
            disk: Arc::new(RealDisk),
            dir: dir.to_owned(),
            state: recovered.state,
            at: last,
            snapshot: recovered.snapshot_lsn,
            first: journal::first_lsn(&RealDisk, dir)?.unwrap_or(Lsn(1)),
            durable: last,
            user: User::Us(opening),
        })
    }

    fn in_use(dir: &Path, server: RunningServer) -> Result<Self, LedgerError> {
        let health = server.health();
        let health = health.map_err(|source| LedgerError::NoServer {
            dir: dir.to_owned(),
            source,
        })?;
        let (state, snapshot) = restored(dir)?;
        let mut ledger = Self {
            disk: Arc::new(RealDisk),
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

    /// The server that writes the journal, if one does.
    pub(super) fn server(&self) -> Option<&RunningServer> {
        match &self.user {
            User::Us(_) => None,
            User::Server(server, _) => Some(server),
        }
    }

    /// How far the journal may be read now.
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
        let found = tail.insert(found.ok_or_else(|| gap(&self.dir, self.at))?);
        let state = &mut self.state;
        visit(found, until, &mut |entry| state.apply(entry))?;
        self.at = until;
        Ok(())
    }

    /// The journal's records behind `after`; `None` when it no longer holds them.
    pub(super) fn tail(&self, after: Lsn) -> Result<Option<Tail>, JournalError> {
        Tail::after(self.disk.clone(), &self.dir, after, self.durable)
    }

    /// Hands the newest snapshot's records to `visit`; what it stands for.
    pub(super) fn read_snapshot(
        &self,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<Lsn, JournalError> {
        read_snapshot(&self.dir, visit)
    }

    /// The state of the snapshot that stands for what was trimmed.
    pub(super) fn snapshot_state(&self) -> Result<(State, Lsn), JournalError> {
        restored(&self.dir)
    }
}

fn restored(dir: &Path) -> Result<(State, Lsn), JournalError> {
    let mut state = State::default();
    let lsn = read_snapshot(dir, &mut |entry| state.apply(&entry))?;
    Ok((state, lsn))
}

fn read_snapshot(
    dir: &Path,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<Lsn, JournalError> {
    match snapshot::newest(&RealDisk, dir)? {
        None => Ok(Lsn::ZERO),
        Some(lsn) => snapshot::read(&RealDisk, dir, lsn, visit).map(|()| lsn),
    }
}

/// Hands the records up to `until` to `take`, which may fail.
pub(super) fn visit(
    tail: &mut Tail,
    until: Lsn,
    take: &mut dyn FnMut(&Entry<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let mut taken = Ok(());
    tail.read(until, &mut |entry| {
        taken = take(entry);
        taken.is_ok()
    })?;
    taken
}

/// A journal that ends before the server says it does is another's.
fn other_server(error: LedgerError, ledger: &Ledger) -> LedgerError {
    match (error, &ledger.user) {
        (LedgerError::Journal(source @ JournalError::Io { .. }), User::Server(server, _)) => {
            LedgerError::OtherServer {
                dir: ledger.dir.clone(),
                address: server.address().to_owned(),
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
