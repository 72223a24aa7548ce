//! `flashsale recover`: a journal that is lost, written again from what Postgres has of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::verify::apply;
use crate::app::sinks;
use crate::config::Config;
use crate::env::{Clock, Disk, Entropy, OsEntropy, RealDisk, SystemClock, behind_links};
use crate::journal::{
    Durability, EVENT_SOURCE_FILE, Journal, JournalError, JournalFailed, Opening, Options, Tools,
    check_decodable, fingerprint,
};
use crate::reconcile::postgres::{PostgresOptions, PostgresReader, PostgresRecords, Rebuilt};
use crate::reconcile::{SinkError, Watermark};
use crate::record::{Entry, Record};
use crate::sale::State;
use crate::types::{Lsn, Timestamp, counted};

/// Ranges of missing records that are named.
const GAPS_TOLD_MAX: usize = 10;
const DURABLE_POLL: Duration = Duration::from_millis(1);

/// Why no journal was written. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// There is nowhere to recover from.
    #[error("no database is configured: set database.host (DB_HOST) and what belongs to it")]
    NotConfigured,
    /// A journal, or something else, is in the way.
    #[error(
        "{} is not empty: a journal is recovered only into a directory that is empty or missing; move \
         away what is there, or give another with --dir",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// The database.
    #[error(transparent)]
    Database(#[from] SinkError),
    /// The database does not hold a whole journal.
    #[error("{0}; nothing was written")]
    Unfit(String),
    /// Either of these, with where the database is.
    #[error("Postgres at {address}: {source}")]
    Postgres {
        /// Where it is.
        address: String,
        /// The error.
        source: Box<Self>,
    },
    /// The new journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The new journal, on its way to the disk.
    #[error("the new journal could not be written: {0}")]
    Failed(#[from] JournalFailed),
    /// The disk.
    #[error("there is no room on the disk for the new journal; nothing was left behind")]
    DiskFull,
    /// The new journal cannot be put in its place.
    #[error("cannot put the new journal into {}: {source}", dir.display())]
    Place {
        /// Where it was to be.
        dir: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// No runtime, or the output is gone.
    #[error("cannot read, or write the report: {0}")]
    Io(#[from] io::Error),
}

impl RecoverError {
    /// Names the database in what is wrong with it.
    fn of(self, options: &PostgresOptions) -> Self {
        match self {
            Self::Database(_) | Self::Unfit(_) => Self::Postgres {
                address: options.address(),
                source: Box::new(self),
            },
            other => other,
        }
    }

    /// Whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Writes the journal that the configured database has followed into `dir`, and says what that is and
/// what it cannot be. It is written next to `dir` and renamed when it is whole and checked.
///
/// # Errors
/// See [`RecoverError`].
pub fn recover(config: &Config, dir: &Path, out: &mut dyn Write) -> Result<(), RecoverError> {
    let database = config
        .database
        .as_ref()
        .ok_or(RecoverError::NotConfigured)?;
    let made_at = &*behind_links(dir).map_err(place(dir))?;
    if !RealDisk.is_free(dir).map_err(place(dir))? && !holds_no_record(dir)? {
        return Err(RecoverError::InTheWay(dir.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let options = sinks::postgres_options(database);
    let recovered = runtime.block_on(async {
        let reader = PostgresReader::connect(&options).await?;
        write_aside(
            reader.records().await?,
            config.journal.segment_bytes,
            made_at,
        )
        .await
    });
    recovered
        .map_err(|error| error.of(&options))?
        .print(dir, out)?;
    Ok(())
}

/// Whether `dir` is a journal to which nothing was ever written, as a start leaves it that found its
/// journal lost and was refused. It may have been ended while it prepared a segment.
fn holds_no_record(dir: &Path) -> Result<bool, RecoverError> {
    let (names, ends) = (["lock", EVENT_SOURCE_FILE], [".segment", ".preparing"]);
    let is_journal =
        |name: &String| names.contains(&&**name) || ends.iter().any(|end| name.ends_with(end));
    if !RealDisk
        .list(dir)
        .map_err(place(dir))?
        .iter()
        .all(is_journal)
    {
        return Ok(false);
    }
    let opening = Opening::lock(Arc::new(RealDisk), dir)?;
    let replayed = opening.replay(Lsn::ZERO, &mut check_decodable)?;
    Ok(replayed.last_lsn == Lsn::ZERO && !replayed.torn)
}

fn place(dir: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    let dir = dir.to_owned();
    move |source| RecoverError::Place { dir, source }
}

/// Where the journal is written until it is whole.
fn aside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".recovering");
    dir.with_file_name(name)
}

/// What an attempt that was killed has left. Nobody works on it: its lock is ours.
fn remove_leftovers(aside: &Path) -> io::Result<()> {
    let names = RealDisk.list(aside)?;
    let leftovers = names.iter().filter(|name| *name != "lock");
    leftovers
        .into_iter()
        .try_for_each(|name| RealDisk.remove(&aside.join(name)))
}

async fn write_aside(
    mut records: PostgresRecords,
    segment_bytes: u64,
    dir: &Path,
) -> Result<RecoveryReport, RecoverError> {
    let watermark = records.watermark();
    if watermark == Watermark::ZERO {
        return Err(RecoverError::Unfit(
            "it has not followed any journal".into(),
        ));
    }
    let aside = aside(dir);
    let opening = Opening::lock(Arc::new(RealDisk), &aside)?;
    let written = async {
        remove_leftovers(&aside).map_err(place(dir))?;
        let mut writing = Writing::start(opening, watermark, segment_bytes)?;
        loop {
            let chunk = records.next_chunk().await?;
            if chunk.is_empty() {
                break;
            }
            writing.take(&chunk)?;
        }
        records.end().await?;
        let recovered = writing.finish()?;
        if !RealDisk.is_free(dir).map_err(place(dir))? && holds_no_record(dir)? {
            RealDisk.remove_dir_all(dir).map_err(place(dir))?;
        }
        RealDisk.rename(&aside, dir).map_err(place(dir))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        RealDisk
            .sync_dir(parent.unwrap_or(Path::new(".")))
            .map_err(place(dir))?;
        Ok(recovered)
    }
    .await;
    if written.is_err() {
        let _ = RealDisk.remove_dir_all(&aside);
    }
    written
}

/// A journal in the making.
struct Writing {
    journal: Journal,
    state: State,
    watermark: Watermark,
    /// The last number that came.
    last: Lsn,
    at: Timestamp,
    fingerprint: u32,
    /// Ranges that did not come, the first of them; and how many records that are in all.
    gaps: Vec<(Lsn, Lsn)>,
    missing: u64,
}

impl Writing {
    fn start(
        opening: Opening,
        watermark: Watermark,
        segment_bytes: u64,
    ) -> Result<Self, RecoverError> {
        let replayed = opening.replay(Lsn::ZERO, &mut check_decodable)?;
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes,
        };
        let tools = Tools {
            clock,
            entropy,
            // Whoever waits for a record hears of it.
            fail_stop: Box::new(|_| ()),
        };
        Ok(Self {
            journal: opening.start(&replayed, &options, tools)?,
            state: State::default(),
            watermark,
            last: Lsn::ZERO,
            at: Timestamp::default(),
            fingerprint: 0,
            gaps: Vec::new(),
            missing: 0,
        })
    }

    /// Appends the next records. Behind a gap it only looks for more of them.
    fn take(&mut self, chunk: &[Rebuilt]) -> Result<(), RecoverError> {
        for rebuilt in chunk {
            let (lsn, expected) = (rebuilt.lsn, self.last.next());
            if lsn > self.watermark.lsn {
                let what = format!("record {lsn} is behind the watermark, {}", self.watermark);
                return Err(RecoverError::Unfit(what));
            }
            if lsn == Lsn::ZERO {
                let why = rebuilt.record.as_ref().err();
                let what = format!("rows of no record: {}", why.map_or("", String::as_str));
                return Err(RecoverError::Unfit(what));
            }
            if lsn < expected {
                return Err(RecoverError::Unfit(format!("record {lsn} is there twice")));
            }
            self.gap(expected, lsn);
            self.last = lsn;
            if self.gaps.is_empty() {
                let applied = apply(&mut self.state, rebuilt).map_err(RecoverError::Unfit)?;
                if let Record::SaleClosed { sale } = applied {
                    // Thousands of them need not fit into memory.
                    self.state.check(lsn)?;
                    self.state.put_away(|closed| closed.id() == sale);
                }
                self.wait_until(|journal| journal.admit().is_ok())?;
                self.append(rebuilt);
            }
        }
        Ok(())
    }

    /// Waits until the journal is so far, but not for room on a full disk.
    fn wait_until(&self, is_so_far: impl Fn(&Journal) -> bool) -> Result<(), RecoverError> {
        while !is_so_far(&self.journal) {
            let status = self.journal.status();
            if status.failure.is_some() {
                return Err(JournalFailed.into());
            }
            if status.disk_full {
                return Err(RecoverError::DiskFull);
            }
            thread::sleep(DURABLE_POLL);
        }
        Ok(())
    }

    fn append(&mut self, rebuilt: &Rebuilt) {
        let bytes = rebuilt.record.as_deref().expect("it was applied");
        let entry = Entry::whole(rebuilt.lsn, bytes).expect("it was applied");
        let record = entry.record().expect("it was applied");
        let lsn = self.journal.append(entry.at, &record);
        assert_eq!(lsn, rebuilt.lsn, "the journal numbers records from 1 on");
        self.at = entry.at;
        self.fingerprint = fingerprint(&entry);
    }

    /// Notes that the numbers from `expected` on and before `found` did not come.
    fn gap(&mut self, expected: Lsn, found: Lsn) {
        let count = found.0 - expected.0;
        if count > 0 {
            self.missing += count;
            if self.gaps.len() < GAPS_TOLD_MAX {
                self.gaps.push((expected, Lsn(found.0 - 1)));
            }
        }
    }

    fn finish(mut self) -> Result<RecoveryReport, RecoverError> {
        self.gap(self.last.next(), self.watermark.lsn.next());
        if let Some((first, _)) = self.gaps.first() {
            let ranges = self.gaps.iter().map(|(first, last)| match first == last {
                true => first.to_string(),
                false => format!("{first} to {last}"),
            });
            return Err(RecoverError::Unfit(format!(
                "{} missing, the first is {first}: {}",
                counted(self.missing, "record is", "records are"),
                ranges.collect::<Vec<_>>().join(", ")
            )));
        }
        if self.fingerprint != self.watermark.fingerprint {
            return Err(RecoverError::Unfit(format!(
                "record {} is not the one that the watermark was set for",
                self.last
            )));
        }
        self.state.check(self.last)?;
        self.wait_until(|journal| journal.durable() >= self.last)?;
        self.journal.close();
        Ok(RecoveryReport {
            sales: self.state.sales().len() + self.state.ended().count(),
            last: self.last,
            at: self.at,
        })
    }
}

/// A journal that was written.
struct RecoveryReport {
    sales: usize,
    last: Lsn,
    at: Timestamp,
}

impl RecoveryReport {
    fn print(&self, dir: &Path, out: &mut dyn Write) -> io::Result<()> {
        let Self { sales, last, at } = self;
        writeln!(
            out,
            "{}: {} of {} written and checked; the last is {last}, of {at}",
            dir.display(),
            counted(last.0, "record", "records"),
            counted(*sales as u64, "sale", "sales")
        )?;
        writeln!(
            out,
            "What was acknowledged after {at} and had not reached Postgres is not in it: codes that were \
             given out since are unknown, and units that were sold since may be sold again."
        )?;
        writeln!(
            out,
            "Rows that were deleted, or that contradict others, would have been found, and so would a last \
             record that is not the one followed last; rows before it that somebody changed without a \
             contradiction cannot be told from the journal's own."
        )?;
        writeln!(
            out,
            "Start the server with this journal, and it goes on following this database. Redis may be \
             ahead: run `flashsale rebuild redis --yes` first, if it is configured."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;
    use crate::record::{NewItem, envelope};
    use crate::types::SaleId;

    /// Room for four of the longest records.
    const SEGMENT_BYTES: u64 = 256 * 1024;

    /// The records that announce items as long as they may be.
    fn long_lists(items: u32) -> Vec<Rebuilt> {
        let (name, image_url) = ("n".repeat(256), "i".repeat(1024));
        let ids: Vec<_> = (0..items).map(|item| format!("{item:0128}")).collect();
        let items = ids.iter().map(|id| NewItem {
            id,
            name: &name,
            image_url: &image_url,
            stock: 1,
            max_per_user: None,
        });
        let items: Vec<_> = items.collect();
        let records = Record::item_batches(SaleId(1), &items);
        let rebuilt = (1..).zip(records).map(|(lsn, record)| {
            let mut bytes = Vec::new();
            envelope::encode(Timestamp(1), &record, &mut bytes);
            Rebuilt {
                lsn: Lsn(lsn),
                record: Ok(bytes),
            }
        });
        rebuilt.collect()
    }

    #[test]
    fn more_than_a_segment_holds_is_not_appended_at_once() {
        let chunk = long_lists(4_000);
        let watermark = Watermark {
            lsn: Lsn(100),
            fingerprint: 0,
        };
        let opening =
            Opening::lock(Arc::new(SimulatedDisk::new()), Path::new("journal")).expect("free");
        let writing = Writing::start(opening, watermark, SEGMENT_BYTES);
        let mut writing = writing.expect("room");
        writing.take(&chunk).expect("the journal goes on");
        let written = writing.wait_until(|journal| journal.durable() == watermark.lsn);
        written.expect("the journal goes on");
    }
}
