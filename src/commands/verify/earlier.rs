//! Comparison of records that the journal no longer has: a snapshot stands for them, and Postgres has them.

use super::ledger::Ledger;
use crate::journal::JournalError;
use crate::reconcile::Mismatches;
use crate::reconcile::postgres::Rebuilt;
use crate::record::{Entry, Record, envelope};
use crate::sale::{State, Visit};
use crate::types::{Lsn, SaleId, Timestamp};

/// Folds the records that come before a snapshot, to hold what they lead to against it. An ended sale is
/// held against its file as soon as its last record came, so that few are in memory at a time.
pub(super) struct Earlier<'a> {
    ledger: &'a Ledger,
    snapshot: State,
    snapshot_lsn: Lsn,
    folded: State,
    findings: Mismatches,
}

impl<'a> Earlier<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Result<Self, JournalError> {
        let (snapshot, snapshot_lsn) = ledger.snapshot_state()?;
        Ok(Self {
            ledger,
            snapshot,
            snapshot_lsn,
            folded: State::default(),
            findings: Mismatches::default(),
        })
    }

    /// Returns the last LSN that the snapshot stands for.
    pub(super) fn snapshot_lsn(&self) -> Lsn {
        self.snapshot_lsn
    }

    /// Folds the next records; what comes after the snapshot is left alone.
    pub(super) fn take(&mut self, chunk: &[Rebuilt]) -> Result<(), JournalError> {
        // What has no number is told by the comparison with the journal.
        let until = self.snapshot_lsn;
        let before = |it: &&Rebuilt| it.lsn > Lsn::ZERO && it.lsn <= until;
        for rebuilt in chunk.iter().filter(before) {
            match apply(&mut self.folded, rebuilt) {
                Ok(Record::SaleClosed { sale }) => self.compare_ended(sale)?,
                Ok(_) => {}
                Err(what) => self.findings.add(|| what),
            }
        }
        Ok(())
    }

    /// Holds a sale whose last record has come against its file, and puts it away.
    fn compare_ended(&mut self, id: SaleId) -> Result<(), JournalError> {
        let folded = self.folded.sales().iter().find(|sale| sale.id() == id);
        let (Some(ended), Some(folded)) = (self.snapshot.ended().get(id), folded) else {
            return Ok(());
        };
        if let Some(archived) = self.ledger.load(ended)? {
            let ours = dump(&mut |visit| archived.visit_records(visit))?;
            let theirs = dump(&mut |visit| folded.visit_records(visit))?;
            compare(&ours, &theirs, "its file", &mut self.findings);
        }
        self.folded.put_away(|sale| sale.id() == id);
        Ok(())
    }

    /// What was found when nothing more comes.
    pub(super) fn finish(mut self) -> Result<Mismatches, JournalError> {
        if let Err(error) = self.folded.check(self.snapshot_lsn) {
            self.findings.add(|| without_prefix(&error));
        }
        let ours = dump(&mut |visit| self.snapshot.visit_records(visit))?;
        let theirs = dump(&mut |visit| self.folded.visit_records(visit))?;
        let place = format!("the snapshot at record {}", self.snapshot_lsn);
        compare(&ours, &theirs, &place, &mut self.findings);
        Ok(self.findings)
    }
}

/// Notes what the records lead to otherwise than what is in `place`.
fn compare(ours: &[Vec<u8>], theirs: &[Vec<u8>], place: &str, findings: &mut Mismatches) {
    for missing in only_in(ours, theirs) {
        findings.add(|| format!("{missing}: {place} has it, the records do not"));
    }
    for extra in only_in(theirs, ours) {
        findings.add(|| format!("{extra}: the records have it, {place} does not"));
    }
}

/// Applies a record to a state, and gives it back; or says what is wrong with it.
pub(crate) fn apply<'a>(state: &mut State, rebuilt: &'a Rebuilt) -> Result<Record<'a>, String> {
    let lsn = rebuilt.lsn;
    let bytes = rebuilt.record.as_ref();
    let bytes = bytes.map_err(|why| format!("record {lsn}: {why}"))?;
    let entry = Entry::whole(lsn, bytes);
    let decoded = entry.and_then(|entry| Ok((entry, entry.record()?)));
    let (entry, record) = decoded.map_err(|_| format!("record {lsn}: it is no record"))?;
    let applied = state.apply_record(&entry, &record);
    applied.map_err(|error| without_prefix(&error))?;
    Ok(record)
}

/// The error's words, but not as if the journal were meant.
fn without_prefix(error: &JournalError) -> String {
    match error {
        JournalError::Contradiction { lsn, what } => format!("record {lsn}: {what}"),
        error => error.to_string(),
    }
}

/// The records that `describe` hands to its visitor, sorted: equal for equal states.
fn dump(
    describe: &mut dyn FnMut(Visit<'_>) -> Result<(), JournalError>,
) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut records = Vec::new();
    describe(&mut |_, record| {
        let mut bytes = Vec::new();
        envelope::encode(Timestamp(0), record, &mut bytes);
        records.push(bytes);
        Ok(())
    })?;
    records.sort_unstable();
    Ok(records)
}

/// Returns the entries of one sorted list that the other lacks, in words without codes.
fn only_in<'a>(ones: &'a [Vec<u8>], others: &'a [Vec<u8>]) -> impl Iterator<Item = String> + 'a {
    let absent = |one: &&Vec<u8>| others.binary_search(one).is_err();
    ones.iter().filter(absent).map(|bytes| describe(bytes))
}

fn describe(bytes: &[u8]) -> String {
    let entry = Entry::whole(Lsn::ZERO, bytes);
    let Ok(record) = entry.and_then(|entry| entry.record()) else {
        return "no record".into();
    };
    match record {
        Record::SaleItems { sale, .. }
        | Record::SaleCreated { sale, .. }
        | Record::SaleChanged { sale, .. }
        | Record::StockChanged { sale, .. }
        | Record::SaleArchived { sale, .. }
        | Record::SaleClosed { sale } => format!("sale {sale}, {record:?}"),
        Record::Checkout { sale, user, .. }
        | Record::KeptKey { sale, user, .. }
        | Record::PaymentBegun { sale, user, .. }
        | Record::Purchase { sale, user, .. }
        | Record::Cancelled { sale, user, .. }
        | Record::Expired { sale, user, .. }
        | Record::Released { sale, user, .. } => format!("sale {sale}, user {user:?}, {record:?}"),
        Record::Refused { user, .. } => format!("user {user:?}, {record:?}"),
    }
}
