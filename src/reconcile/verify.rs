//! Holds the records that a sink gives back against the journal's, number by number.

use std::mem::discriminant;

use super::postgres::Rebuilt;
use super::watermark::Watermark;
use crate::journal::{JournalError, Tail, fingerprint};
use crate::record::{Entry, Record, Undecodable};
use crate::types::Lsn;

/// What was found to be wrong: the first of it in words, the rest as a number.
#[derive(Debug, Default)]
pub struct Mismatches {
    /// In words that name records, users and items, and never a code.
    pub told: Vec<String>,
    /// All of it.
    pub count: u64,
}

impl Mismatches {
    /// Most that is told in words.
    pub const TOLD_MAX: usize = 10;

    /// Adds one; the words are made only when they are told.
    pub fn add(&mut self, what: impl FnOnce() -> String) {
        if self.told.len() < Self::TOLD_MAX {
            self.told.push(what());
        }
        self.count += 1;
    }
}

/// A comparison of a journal with the records of a sink, which are handed over in order.
pub struct Comparison {
    journal: Tail,
    /// The last record that both are to have.
    until: Lsn,
    matching: Matching,
}

struct Matching {
    /// The first record that the journal has; a sink may have more.
    first: Lsn,
    watermark: Watermark,
    findings: Mismatches,
    agreed: u64,
    /// The sink's record that was handed over last.
    last: Lsn,
}

impl Comparison {
    /// Compares from the next record of `journal` to `watermark`, or to `durable` where the journal ends
    /// before that.
    #[must_use]
    pub fn new(journal: Tail, watermark: Watermark, durable: Lsn) -> Self {
        let mut findings = Mismatches::default();
        if watermark.lsn > durable {
            findings.add(|| {
                format!(
                    "its watermark, {watermark}, is ahead of the journal, which ends at {durable}"
                )
            });
        }
        Self {
            until: watermark.lsn.min(durable),
            matching: Matching {
                first: journal.next(),
                watermark,
                findings,
                agreed: 0,
                last: Lsn::ZERO,
            },
            journal,
        }
    }

    /// Compares the next records. Those before the journal's beginning are left alone.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn take(&mut self, chunk: &[Rebuilt]) -> Result<(), JournalError> {
        let (matching, mut theirs) = (&mut self.matching, chunk.iter().peekable());
        let next = self.journal.next();
        while let Some(record) = theirs.next_if(|record| record.lsn < next) {
            matching.extra(record);
        }
        let last = chunk.last().map_or(Lsn::ZERO, |record| record.lsn);
        self.journal.read(last.min(self.until), &mut |ours| {
            while let Some(record) = theirs.next_if(|record| record.lsn < ours.lsn) {
                matching.extra(record);
            }
            matching.pair(ours, theirs.next_if(|record| record.lsn == ours.lsn))?;
            Ok(true)
        })?;
        theirs.for_each(|record| matching.extra(record));
        Ok(())
    }

    /// What was found when nothing more comes, and how many records are the same in both.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn finish(mut self) -> Result<(Mismatches, u64), JournalError> {
        let matching = &mut self.matching;
        self.journal.read(self.until, &mut |ours| {
            matching.pair(ours, None)?;
            Ok(true)
        })?;
        Ok((self.matching.findings, self.matching.agreed))
    }
}

impl Matching {
    /// A record of the journal, with what the sink has at its number.
    fn pair(&mut self, ours: &Entry<'_>, theirs: Option<&Rebuilt>) -> Result<(), Undecodable> {
        let record = ours.record()?;
        let different = match theirs {
            None => Some("it is missing there".to_owned()),
            Some(theirs) => {
                self.last = theirs.lsn;
                difference(ours, &record, theirs)
            }
        };
        match different {
            None => self.agreed += 1,
            Some(what) => self
                .findings
                .add(|| describe(ours.lsn, Some(&record), &what)),
        }
        if ours.lsn == self.watermark.lsn && fingerprint(ours) != self.watermark.fingerprint {
            let what = "the fingerprint of its watermark is that of another journal's record";
            self.findings
                .add(|| describe(ours.lsn, Some(&record), what));
        }
        Ok(())
    }

    /// A record of the sink at a number for which the journal has none, or has had its turn.
    fn extra(&mut self, theirs: &Rebuilt) {
        if let (Lsn::ZERO, Err(why)) = (theirs.lsn, &theirs.record) {
            return self.findings.add(|| format!("rows of no record: {why}"));
        }
        let what = if theirs.lsn == self.last {
            "it is there twice"
        } else if theirs.lsn > self.watermark.lsn {
            "it is there, but behind the watermark"
        } else {
            "it is there, but not in the journal"
        };
        self.last = theirs.lsn;
        if theirs.lsn >= self.first {
            let bytes = theirs.record.as_deref().unwrap_or_default();
            let entry = Entry::whole(theirs.lsn, bytes).ok();
            let record = entry.and_then(|entry| entry.record().ok());
            self.findings
                .add(|| describe(theirs.lsn, record.as_ref(), what));
        }
    }
}

fn describe(lsn: Lsn, record: Option<&Record<'_>>, what: &str) -> String {
    match record {
        Some(record) => format!("record {lsn}, {record:?}: {what}"),
        None => format!("record {lsn}: {what}"),
    }
}

/// How the sink's record differs from the journal's; `None` when it does not.
fn difference(ours: &Entry<'_>, record: &Record<'_>, theirs: &Rebuilt) -> Option<String> {
    let bytes = match &theirs.record {
        Ok(bytes) => bytes,
        Err(why) => return Some((*why).clone()),
    };
    let entry = Entry::whole(ours.lsn, bytes);
    let Ok((entry, found)) = entry.and_then(|entry| Ok((entry, entry.record()?))) else {
        return Some("it is no record there".into());
    };
    let mut fields = differing_fields(record, &found);
    if entry.at != ours.at {
        fields.push("its time");
    }
    (!fields.is_empty()).then(|| format!("another value there of {}", fields.join(", ")))
}

fn differing_fields(ours: &Record<'_>, theirs: &Record<'_>) -> Vec<&'static str> {
    if discriminant(ours) != discriminant(theirs) {
        return vec!["its kind"];
    }
    let fields = ours.fields().into_iter().zip(theirs.fields());
    let differing = fields.filter(|((_, ours), (_, theirs))| ours != theirs);
    differing.map(|((name, _), _)| name).collect()
}
