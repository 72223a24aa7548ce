//! What the journal no longer holds: a snapshot stands for it, and Postgres has the records.

use crate::journal::{Entry, JournalError, Record, codec};
use crate::reconcile::Findings;
use crate::reconcile::postgres::Rebuilt;
use crate::sale::State;
use crate::types::{Lsn, Timestamp};

/// Folds the records that come before a snapshot, to hold what they lead to against it.
pub(super) struct Earlier {
    snapshot: State,
    snapshot_lsn: Lsn,
    folded: State,
    findings: Findings,
}

impl Earlier {
    pub(super) fn new((snapshot, snapshot_lsn): (State, Lsn)) -> Self {
        Self {
            snapshot,
            snapshot_lsn,
            folded: State::default(),
            findings: Findings::default(),
        }
    }

    /// What the snapshot stands for.
    pub(super) fn snapshot_lsn(&self) -> Lsn {
        self.snapshot_lsn
    }

    /// Folds the next records; what comes after the snapshot is left alone.
    pub(super) fn take(&mut self, chunk: &[Rebuilt]) {
        // What has no number is told by the comparison with the journal.
        let before = |it: &&Rebuilt| it.lsn > Lsn::ZERO && it.lsn <= self.snapshot_lsn;
        for rebuilt in chunk.iter().filter(before) {
            if let Err(what) = apply(&mut self.folded, rebuilt) {
                self.findings.add(|| what);
            }
        }
    }

    /// What was found when nothing more comes.
    pub(super) fn finish(mut self) -> Result<Findings, JournalError> {
        if let Err(error) = self.folded.check(self.snapshot_lsn) {
            self.findings.add(|| without_prefix(&error));
        }
        let (ours, theirs) = (dump(&self.snapshot)?, dump(&self.folded)?);
        let lsn = self.snapshot_lsn;
        for missing in only_in(&ours, &theirs) {
            self.findings.add(|| {
                format!("{missing}: the snapshot at record {lsn} has it, the records do not")
            });
        }
        for extra in only_in(&theirs, &ours) {
            self.findings.add(|| {
                format!("{extra}: the records have it, the snapshot at record {lsn} does not")
            });
        }
        Ok(self.findings)
    }
}

/// Applies a record to a state; or says what is wrong with it.
pub(crate) fn apply(state: &mut State, rebuilt: &Rebuilt) -> Result<(), String> {
    let lsn = rebuilt.lsn;
    let bytes = rebuilt.record.as_ref();
    let bytes = bytes.map_err(|why| format!("record {lsn}: {why}"))?;
    let decoded = codec::decode(bytes);
    let (at, record, _) = decoded.ok_or_else(|| format!("record {lsn}: it is no record"))?;
    let applied = state.apply(&Entry { lsn, at, record });
    applied.map_err(|error| without_prefix(&error))
}

/// The error's words, but not as if the journal were meant.
fn without_prefix(error: &JournalError) -> String {
    match error {
        JournalError::Contradiction { lsn, what } => format!("record {lsn}: {what}"),
        error => error.to_string(),
    }
}

/// The fewest records that lead to the state, sorted: equal for equal states.
fn dump(state: &State) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut records = Vec::new();
    state.visit_records(&mut |_, record| {
        let mut bytes = Vec::new();
        codec::encode(Timestamp(0), record, &mut bytes);
        records.push(bytes);
        Ok(())
    })?;
    records.sort_unstable();
    Ok(records)
}

/// What is in the one sorted list and not in the other, in words that hold no code.
fn only_in<'a>(ones: &'a [Vec<u8>], others: &'a [Vec<u8>]) -> impl Iterator<Item = String> + 'a {
    let absent = |one: &&Vec<u8>| others.binary_search(one).is_err();
    ones.iter().filter(absent).map(|bytes| describe(bytes))
}

fn describe(bytes: &[u8]) -> String {
    let Some((_, record, _)) = codec::decode(bytes) else {
        return "no record".into();
    };
    match record {
        Record::SaleItems { sale, .. }
        | Record::SaleCreated { sale, .. }
        | Record::SaleClosed { sale } => format!("sale {sale}, {record:?}"),
        Record::Checkout { sale, user, .. }
        | Record::Purchase { sale, user, .. }
        | Record::Expired { sale, user, .. } => format!("sale {sale}, user {user:?}, {record:?}"),
        Record::Refused { user, .. } => format!("user {user:?}, {record:?}"),
    }
}
