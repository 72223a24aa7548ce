//! `flashsale journal …`: checks a journal and prints what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::env::{Disk, OpenMode, OsEntropy, RealDisk, SystemClock};
use crate::journal::sale_file::{self, SaleFile};
use crate::journal::segment::{self, Segment};
use crate::journal::{self, JournalError, Lost, Opening, SegmentReader, snapshot};
use crate::record::{Entry, Record};
use crate::replication::Mark;
use crate::sale::{CheckedFiles, Recovered, State, check_files, missing_files, rewrite_files};
use crate::types::{Lsn, counted, noun};

/// Why a report broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The output.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

impl ReportError {
    /// Returns whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Lists the files of the journal in `dir`, counts its records by kind, and prints them if
/// `records` says so. Changes nothing.
///
/// # Errors
/// Damage, or the output is gone.
pub fn inspect(dir: &Path, records: bool, out: &mut dyn Write) -> Result<(), ReportError> {
    let disk = RealDisk;
    let segments = segment::list_segments(&disk, dir)?;
    journal::check_regular(&disk, dir)?;
    if segments.is_empty() {
        writeln!(out, "{} holds no journal", dir.display())?;
        return write_mark(&disk, dir, out);
    }
    for lsn in snapshot::list(&disk, dir)? {
        writeln!(out, "snapshot of the state at record {lsn}")?;
    }
    for file in sale_file::list(&disk, dir)? {
        let (sale, lsn) = (file.sale, file.closed_lsn);
        writeln!(out, "file of sale {sale}, closed by record {lsn}")?;
    }
    write_mark(&disk, dir, out)?;
    for number in segments {
        inspect_segment(&disk, dir, number, out)?;
    }
    let before_first = journal::first_lsn(&disk, dir)?.map_or(Lsn::ZERO, |first| Lsn(first.0 - 1));
    let mut counts: BTreeMap<[&'static str; 2], u64> = BTreeMap::new();
    let mut broken = Ok(());
    let replayed = journal::replay(&disk, dir, before_first, None, &mut |entry| {
        let record = entry.record()?;
        *counts.entry(record.kind_names()).or_default() += 1;
        if records && broken.is_ok() {
            broken = write_record(out, &entry, &record);
        }
        Ok(())
    })?;
    broken?;
    for ([one, many], count) in counts {
        writeln!(out, "{count:>10} {}", noun(count, one, many))?;
    }
    let (count, last) = (replayed.records, replayed.last_lsn);
    writeln!(
        out,
        "{count:>10} {}, the last is {last}",
        noun(count, "record", "records")
    )?;
    if replayed.torn {
        writeln!(out, "the last batch is incomplete; a start cuts it off")?;
    }
    Ok(())
}

/// Prints what the mark beside a replicated journal says.
fn write_mark(disk: &dyn Disk, dir: &Path, out: &mut dyn Write) -> Result<(), ReportError> {
    let Some(mark) = Mark::read(disk, dir)? else {
        return Ok(());
    };
    let Mark {
        log,
        identity,
        since,
        at,
        cut,
    } = mark;
    writeln!(
        out,
        "replicated in the log \"{log}\" ({identity}) behind record {since}: acknowledged up to record {}, or later",
        at.lsn
    )?;
    if let Some(last) = cut {
        writeln!(
            out,
            "the records behind {last} are not in that log: a start with it cuts them off"
        )?;
    }
    Ok(())
}

fn inspect_segment(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let segment = Segment::open(disk, dir, number, OpenMode::Read)?;
    let mut reader = SegmentReader::new(&segment, None);
    let (mut first, mut batches) = (None, 0_u64);
    let end = loop {
        match reader.next_frame()? {
            Ok(frame) => {
                first.get_or_insert(frame.header.first_lsn);
                batches += 1;
            }
            Err(end) => break end,
        }
    };
    let records = match (first, reader.next_lsn()) {
        (Some(first), Some(next)) => format!("records {first} to {}", next.0 - 1),
        _ => "prepared, not used yet".to_owned(),
    };
    let (used, length) = (end.offset, segment.header.length_bytes);
    writeln!(
        out,
        "segment {number}: {records}, {}, {used} of {length} bytes",
        counted(batches, "batch", "batches")
    )?;
    Ok(())
}

/// Replays the journal in `dir` as a start would, and checks that nothing is oversold, nobody is
/// over the limit, every code is used once, and every unit is somewhere. Changes nothing but the lock.
///
/// # Errors
/// Damage, a contradiction, a server that uses the journal, or the output is gone.
pub fn verify(dir: &Path, out: &mut dyn Write) -> Result<(), ReportError> {
    let opening = Opening::lock_existing(Arc::new(RealDisk), dir)?;
    let Recovered {
        state,
        snapshot_lsn,
        replayed,
    } = Recovered::from_journal(&opening)?;
    let files = check_files(&RealDisk, dir, &state)?;
    write_state(out, snapshot_lsn, replayed.last_lsn, &state)?;
    Ok(write_files(out, &files)?)
}

/// Prints what was proved by reading the files of ended sales.
pub(super) fn write_files(out: &mut dyn Write, files: &CheckedFiles) -> io::Result<()> {
    let CheckedFiles { intact, removed } = files;
    if *intact > 0 {
        writeln!(
            out,
            "{}: intact, and as the journal says",
            counted(
                *intact as u64,
                "file of an ended sale",
                "files of ended sales"
            )
        )?;
    }
    if *removed > 0 {
        writeln!(
            out,
            "{}",
            counted(
                *removed as u64,
                "file of an ended sale was removed: the database has what was in it",
                "files of ended sales were removed: the database has what was in them"
            )
        )?;
    }
    Ok(())
}

/// Prints what was proved by folding a journal up to `last` without an error.
pub(super) fn write_state(
    out: &mut dyn Write,
    snapshot_lsn: Lsn,
    last: Lsn,
    state: &State,
) -> io::Result<()> {
    if snapshot_lsn > Lsn::ZERO {
        writeln!(
            out,
            "snapshot of the state at record {snapshot_lsn}: intact"
        )?;
    }
    let records = last.0 - snapshot_lsn.0;
    writeln!(
        out,
        "{} replayed, the last is {last}: intact, in order",
        counted(records, "record", "records")
    )?;
    for sale in state.sales() {
        let figures = sale.figures();
        let (total, sold, held) = (figures.total, figures.sold, figures.held);
        let free = figures.free();
        writeln!(
            out,
            "sale {}: {} = {sold} sold + {held} held + {free} free",
            sale.id(),
            counted(total, "unit", "units")
        )?;
    }
    let archived = state.ended().count();
    if archived > 0 {
        let sales = state.ended().oldest_first();
        let (total, sold) = sales.fold((0, 0), |(total, sold), sale| {
            (total + sale.total, sold + sale.sold)
        });
        writeln!(
            out,
            "{}: {} = {sold} sold + {} free",
            counted(archived as u64, "archived sale", "archived sales"),
            counted(total, "unit", "units"),
            total - sold
        )?;
    }
    writeln!(
        out,
        "nothing oversold, nobody over the limit, every code used once"
    )
}

/// Cuts the journal in `dir` at its first damage.
///
/// # Errors
/// The journal cannot be repaired, a server uses it, or the output is gone.
pub fn repair(dir: &Path, out: &mut dyn Write) -> Result<(), ReportError> {
    let disk = Arc::new(RealDisk);
    let _lock = Opening::lock_existing(disk.clone(), dir)?;
    let repaired = journal::repair(&*disk, dir, &SystemClock::new(), &OsEntropy)?;
    let missing = missing_files(&*disk, dir)?;
    match repaired {
        None if !missing.is_empty() => {}
        None => writeln!(out, "nothing is damaged; nothing was changed")?,
        Some(repaired) => {
            let last = repaired.last_lsn;
            write!(out, "kept every record up to {last}; ")?;
            match repaired.lost {
                Lost::Nothing => writeln!(out, "the files tell of none after it")?,
                Lost::Until(until) => writeln!(
                    out,
                    "records {} to {until} are lost, and later ones if there were any, of which the \
                     files tell nothing",
                    last.next()
                )?,
                Lost::Unknown => writeln!(
                    out,
                    "those after it are lost, and the files do not tell up to which"
                )?,
            }
            for path in repaired.set_aside {
                writeln!(out, "set aside: {}", path.display())?;
            }
        }
    }
    mend_sale_files(dir, &missing, out)
}

/// Writes the missing files of ended sales again, where the journal still has their records; otherwise lets
/// them be missing.
fn mend_sale_files(
    dir: &Path,
    missing: &BTreeSet<SaleFile>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if missing.is_empty() {
        return Ok(());
    }
    let is_whole = journal::first_lsn(&RealDisk, dir)? == Some(Lsn(1));
    if is_whole {
        rewrite_files(&RealDisk, dir, missing, &SystemClock::new(), &OsEntropy)?;
    }
    let lost = missing_files(&RealDisk, dir)?;
    for file in missing.difference(&lost) {
        writeln!(out, "written again: {}", file.path(dir).display())?;
    }
    for file in &lost {
        writeln!(
            out,
            "sale {}: what was in its file is lost, unless a database has it",
            file.sale
        )?;
    }
    if let Some(last) = lost.last() {
        sale_file::allow_missing(&RealDisk, dir, last.closed_lsn)?;
    }
    Ok(())
}

/// One line a record. Codes are left out: an unused one could be spent by whoever reads this.
fn write_record(out: &mut dyn Write, entry: &Entry<'_>, record: &Record<'_>) -> io::Result<()> {
    write!(out, "{} {} ", entry.lsn, entry.at)?;
    match *record {
        Record::SaleItems { sale, first, items } => {
            writeln!(
                out,
                "sale {sale}: {} from {}",
                counted(items.iter().count() as u64, "item", "items"),
                first.0
            )
        }
        Record::SaleCreated { sale, terms } => {
            let (from, until) = (terms.started_at, terms.ended_at);
            let items = counted(terms.catalogue.item_count().into(), "item", "items");
            writeln!(out, "sale {sale} created: {items}, {from} to {until}")
        }
        Record::SaleClosed { sale } => writeln!(out, "sale {sale} closed"),
        Record::SaleArchived { sale, .. } => writeln!(out, "sale {sale} archived"),
        Record::Checkout {
            sale,
            user,
            item,
            quantity,
            ..
        } => {
            writeln!(
                out,
                "sale {sale}: {user:?} chooses {quantity} of item {}",
                item.0
            )
        }
        Record::KeptKey {
            sale, user, item, ..
        } => {
            writeln!(
                out,
                "sale {sale}: {user:?} has a key for the choice of item {}",
                item.0
            )
        }
        Record::PaymentBegun {
            sale, user, lines, ..
        } => {
            write!(out, "sale {sale}: {user:?} pays for")?;
            for line in lines.iter() {
                let reserved = if line.sold { "reserved" } else { "gone" };
                write!(
                    out,
                    " {} of item {} ({reserved})",
                    line.quantity, line.item.0
                )?;
            }
            writeln!(out)
        }
        Record::Purchase {
            sale,
            user,
            lines,
            payment_ref,
            ..
        } => {
            let verb = match payment_ref {
                Some(_) => "has paid and gets",
                None => "purchases",
            };
            write!(out, "sale {sale}: {user:?} {verb}")?;
            for line in lines.iter() {
                let sold = if line.sold { "sold" } else { "gone" };
                write!(out, " {} of item {} ({sold})", line.quantity, line.item.0)?;
            }
            writeln!(out)
        }
        Record::SaleChanged { sale, change } => match change.ended_at() {
            Some(ended_at) => writeln!(out, "sale {sale} is extended until {ended_at}"),
            None => writeln!(out, "sale {sale} is {}", change.name()),
        },
        Record::Cancelled {
            sale,
            user,
            lines,
            restock,
            ..
        } => {
            let units: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
            let units = counted(units, "unit", "units");
            let how = if restock {
                ""
            } else {
                ", not to be sold again"
            };
            writeln!(
                out,
                "sale {sale}: {units} that {user:?} bought are cancelled{how}"
            )
        }
        Record::StockChanged {
            sale, item, units, ..
        } => {
            let item = item.0;
            writeln!(
                out,
                "sale {sale}: the stock of item {item} changes by {units:+}"
            )
        }
        Record::Expired { sale, user, .. } => {
            writeln!(out, "sale {sale}: the hold of {user:?} runs out")
        }
        Record::Released {
            sale, user, line, ..
        } => match line {
            Some(line) => writeln!(
                out,
                "sale {sale}: {user:?} gives {} of item {} back",
                line.quantity, line.item.0
            ),
            None => writeln!(out, "sale {sale}: {user:?} gives a checkout back"),
        },
        Record::Refused {
            user, item, reason, ..
        } => {
            writeln!(out, "{user:?} is refused item {item:?}: {reason:?}")
        }
    }
}
