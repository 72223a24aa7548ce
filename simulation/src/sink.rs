//! A database that follows the journal, with the contract of the real ones: rows and watermark change together, a batch is
//! taken only where the watermark is the one before it, and an answer that is lost says nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use flashsale::commands::verify::ReadRows;
use flashsale::journal::{self, JournalError, snapshot};
use flashsale::planted::{Slip, is_planted};
use flashsale::reconcile::postgres::Rebuilt;
use flashsale::reconcile::redis::{Projection, Reading};
use flashsale::reconcile::{CatchUpProgress, RecordSource, Sink, SinkBatch, SinkError, Watermark};
use flashsale::record::{Entry, Undecodable};
use flashsale::sale::EndedSale;
use flashsale::types::Lsn;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::tables::Tables;
use crate::vitals::Vitals;

/// The source from which a database is filled once it has lost something that the journal no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it keeps every record, as Postgres does, and needs a newer backup.
    Rows,
    /// The newest snapshot: it keeps what records lead to, as Redis does.
    Cache,
}

/// The database itself, which outlives the processes that write to it.
#[derive(Clone)]
pub struct Database(Rc<RefCell<Contents>>);

struct Contents {
    kind: Kind,
    rows: Rows,
    /// How often it was filled from a snapshot.
    refilled: u64,
    /// The record that it held before it lost something that it has not been given again.
    lost: Option<Lsn>,
    /// The rows of some earlier time.
    backup: Rows,
    is_away: bool,
    /// Answers that do not arrive, of the next ones.
    lost_answers: u32,
    answer_ms: u64,
    /// The first contradiction between what it holds and what it was given.
    contradiction: Option<String>,
}

#[derive(Clone, Default)]
struct Rows {
    watermark: Watermark,
    tables: Tables,
    /// Every record: of [`Kind::Rows`] only.
    records: Vec<(Lsn, Bytes)>,
    /// The state that Redis would hold: of [`Kind::Cache`] only.
    projection: Projection,
}

impl Rows {
    /// Applies a record that is known to be one.
    fn apply(&mut self, kind: Kind, entry: &Entry<'_>, bytes: &Bytes) -> Result<(), String> {
        match kind {
            Kind::Rows => self.records.push((entry.lsn, bytes.clone())),
            Kind::Cache => self.projection.apply(entry).expect("it was checked"),
        }
        let record = entry.record().expect("it was checked");
        self.tables.apply(&record)
    }
}

impl Database {
    /// Creates an empty one.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self(Rc::new(RefCell::new(Contents {
            kind,
            rows: Rows::default(),
            refilled: 0,
            lost: None,
            backup: Rows::default(),
            is_away: false,
            lost_answers: 0,
            answer_ms: 0,
            contradiction: None,
        })))
    }

    /// Does something to it that databases do.
    pub fn disturb(&self, dice: &mut Dice) -> &'static str {
        let contents = &mut *self.0.borrow_mut();
        match dice.below(7) {
            0 => {
                contents.is_away = true;
                "is away"
            }
            1 | 2 => {
                contents.is_away = false;
                contents.answer_ms = 0;
                "is back"
            }
            3 => {
                contents.lost_answers += dice.between(1, 3) as u32;
                "loses answers"
            }
            4 => {
                contents.answer_ms = dice.between(1, 4000);
                "is slow"
            }
            5 => {
                contents.backup = contents.rows.clone();
                "is backed up"
            }
            _ => {
                contents.lost = contents.lost.max(Some(contents.rows.watermark.lsn));
                let is_emptied = dice.chance(300);
                contents.rows = match is_emptied {
                    true => Rows::default(),
                    false => contents.backup.clone(),
                };
                if is_emptied {
                    "is emptied"
                } else {
                    "is restored"
                }
            }
        }
    }

    /// Ends all that was done to it.
    pub fn heal(&self) {
        let contents = &mut *self.0.borrow_mut();
        (contents.is_away, contents.lost_answers, contents.answer_ms) = (false, 0, 0);
    }

    /// Returns the last record that it holds.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.0.borrow().rows.watermark.lsn
    }

    /// Returns how often it was filled from a snapshot, because the journal no longer held what it had lost.
    #[must_use]
    pub fn refilled(&self) -> u64 {
        self.0.borrow().refilled
    }

    /// Returns its rows.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.0.borrow().rows.tables.clone()
    }

    /// Returns the first contradiction between what it holds and what it was given.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        self.0.borrow().contradiction.clone()
    }

    /// Returns whether it can never be filled again from a journal that begins with `first`: it has lost records which that no
    /// longer holds, and nothing else does.
    #[must_use]
    pub fn is_stuck(&self, first: Lsn) -> bool {
        let contents = self.0.borrow();
        // Not even its last record is there, by which the journal would be known to be the same.
        let is_behind = first > Lsn(1) && contents.rows.watermark.lsn < first;
        contents.kind == Kind::Rows && contents.lost.is_some() && is_behind
    }

    /// Returns what `flashsale verify` reads of it: every record, or what they lead to.
    #[must_use]
    pub fn read(&self) -> Read {
        let contents = self.0.borrow();
        let Rows {
            watermark,
            records,
            projection,
            ..
        } = &contents.rows;
        match contents.kind {
            Kind::Rows => Read::Rows(ReadRows {
                watermark: *watermark,
                records: records.iter().map(rebuilt).collect(),
            }),
            Kind::Cache => Read::Cache((*watermark != Watermark::ZERO).then(|| {
                Reading {
                    watermark: *watermark,
                    projection: projection.clone(),
                    positions: projection
                        .sales
                        .keys()
                        .map(|id| (*id, *watermark))
                        .collect(),
                }
            })),
        }
    }

    fn with<T>(
        &self,
        vitals: &Vitals,
        ask: impl FnOnce(&mut Contents) -> T,
    ) -> Result<T, SinkError> {
        let contents = &mut *self.0.borrow_mut();
        if contents.is_away || !vitals.is_alive() {
            return Err(SinkError::Unavailable("away".into()));
        }
        Ok(ask(contents))
    }
}

impl Contents {
    /// Notes that it has again what it had lost, where it has.
    fn find(&mut self) {
        let last = self.rows.watermark.lsn;
        self.lost = self.lost.filter(|lost| *lost > last);
    }
}

/// A reading of a database, as `flashsale verify` takes one.
pub enum Read {
    /// Every record.
    Rows(ReadRows),
    /// The state that they lead to; `None` of an empty one.
    Cache(Option<Reading>),
}

fn rebuilt((lsn, bytes): &(Lsn, Bytes)) -> Rebuilt {
    Rebuilt {
        lsn: *lsn,
        record: Ok(bytes.to_vec()),
    }
}

/// Returns what the newest snapshot of the journal leads to, and the files of the sales that it has archived.
fn from_snapshot(source: &RecordSource) -> Result<Rows, SinkError> {
    let (disk, dir) = (source.disk(), source.dir());
    let gone = || SinkError::Refused("the journal was trimmed, and has no snapshot".into());
    let lsn = snapshot::newest(disk, dir)?.ok_or_else(gone)?;
    let (mut rows, mut archived) = (Rows::default(), Vec::new());
    let mut contradiction = None;
    let mut take = |entry: Entry<'_>| {
        archived.extend(EndedSale::from_record(&entry.record()?));
        let applied = rows.apply(Kind::Cache, &entry, &Bytes::new());
        contradiction = contradiction.take().or(applied.err());
        Ok::<_, JournalError>(())
    };
    snapshot::read(disk, dir, lsn, &mut take)?;
    let of_snapshot = std::mem::take(&mut archived);
    for sale in of_snapshot {
        let mut take = |entry: Entry<'_>| {
            let applied = rows.apply(Kind::Cache, &entry, &Bytes::new());
            contradiction = contradiction.take().or(applied.err());
            Ok::<_, JournalError>(())
        };
        sale.file().read(disk, dir, &mut take)?;
    }
    journal::replay(
        disk,
        dir,
        Lsn(lsn.0.saturating_sub(1)),
        Some(lsn),
        &mut |entry| {
            rows.watermark = Watermark::at(&entry);
            Ok(())
        },
    )?;
    match contradiction {
        None => Ok(rows),
        Some(what) => Err(SinkError::Refused(what)),
    }
}

/// Says why a process must not feed a database up to a record, if it must not.
pub type FeedRule = Rc<dyn Fn(Lsn) -> Option<String>>;

/// A process's connection to a database.
pub struct Connection {
    database: Database,
    vitals: Vitals,
    rule: FeedRule,
}

impl Connection {
    /// Creates the connection of the process that `vitals` are of, which may feed the database as `rule` says.
    #[must_use]
    pub fn new(database: Database, vitals: Vitals, rule: FeedRule) -> Self {
        Self {
            database,
            vitals,
            rule,
        }
    }

    async fn answer(&self) {
        let answer_ms = self.database.0.borrow().answer_ms;
        if answer_ms > 0 {
            sleep(Duration::from_millis(answer_ms)).await;
        }
    }

    fn hears(&self) -> Result<(), SinkError> {
        let contents = &mut *self.database.0.borrow_mut();
        if contents.lost_answers == 0 {
            return Ok(());
        }
        contents.lost_answers -= 1;
        Err(SinkError::Unavailable("the connection was cut".into()))
    }
}

/// Records on their way.
#[derive(Default)]
pub struct Batch(Vec<Bytes>);

impl SinkBatch for Batch {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        entry.check()?;
        self.0.push(Bytes::copy_from_slice(entry.bytes()));
        Ok(true)
    }
}

impl Sink for Connection {
    type Batch = Batch;

    fn name(&self) -> &'static str {
        "Simulated"
    }

    fn address(&self) -> String {
        "nowhere".to_owned()
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(20)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        self.watermark().await
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        self.answer().await;
        let watermark = self
            .database
            .with(&self.vitals, |contents| contents.rows.watermark)?;
        self.hears()?;
        Ok(watermark)
    }

    async fn start_over(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        _held: Lsn,
        _progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        self.answer().await;
        let kind = self.database.0.borrow().kind;
        let rows = match (kind, source.is_complete()?) {
            (Kind::Rows, true) if found == Watermark::ZERO => Rows::default(),
            (Kind::Rows, _) => {
                return Err(SinkError::Behind("the journal was trimmed".into()));
            }
            (Kind::Cache, true) => Rows::default(),
            (Kind::Cache, false) => from_snapshot(source)?,
        };
        let begun = rows.watermark;
        self.database.with(&self.vitals, |contents| {
            contents.rows = rows;
            contents.find();
            contents.refilled += u64::from(begun != Watermark::ZERO);
        })?;
        self.hears()?;
        Ok(begun)
    }

    fn batch(&self) -> Batch {
        Batch::default()
    }

    async fn apply(
        &mut self,
        batch: Batch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        self.answer().await;
        let broken = (self.rule)(to.lsn);
        let applied = self.database.with(&self.vitals, |contents| {
            contents.contradiction = contents.contradiction.take().or(broken);
            if contents.rows.watermark != from && !is_planted(Slip::ForgetsFence) {
                return Err(SinkError::Moved);
            }
            for (place, bytes) in batch.0.iter().enumerate() {
                let lsn = Lsn(from.lsn.0 + 1 + place as u64);
                let entry = Entry::whole(lsn, bytes).expect("it was checked");
                if let Err(why) = contents.rows.apply(contents.kind, &entry, bytes) {
                    contents
                        .contradiction
                        .get_or_insert(format!("record {lsn}: {why}"));
                }
            }
            contents.rows.watermark = to;
            contents.find();
            Ok(())
        });
        applied??;
        self.hears()
    }
}
