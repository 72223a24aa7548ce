//! A database that follows the journal, with the contract of the real ones: rows and watermark change together, a batch is
//! taken only where the watermark is the one before it, and an answer that is lost says nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use flashsale::planted::{Slip, is_planted};
use flashsale::reconcile::{CatchUpProgress, RecordSource, Sink, SinkBatch, SinkError, Watermark};
use flashsale::record::{Entry, Undecodable};
use flashsale::types::Lsn;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::tables::Tables;
use crate::vitals::Vitals;

/// The database itself, which outlives the processes that write to it.
#[derive(Clone, Default)]
pub struct Database(Rc<RefCell<Contents>>);

#[derive(Default)]
struct Contents {
    rows: Rows,
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
}

impl Database {
    /// Does something to it that databases do, if it `may_lose` something even that.
    pub fn disturb(&self, dice: &mut Dice, may_lose: bool) -> &'static str {
        let contents = &mut *self.0.borrow_mut();
        match dice.below(if may_lose { 7 } else { 6 }) {
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
            _ if dice.chance(300) => {
                contents.rows = Rows::default();
                "is emptied"
            }
            _ => {
                contents.rows = contents.backup.clone();
                "is restored"
            }
        }
    }

    /// Ends all that was done to it.
    pub fn heal(&self) {
        let contents = &mut *self.0.borrow_mut();
        (contents.is_away, contents.lost_answers, contents.answer_ms) = (false, 0, 0);
    }

    /// Returns the last record that it holds, and its rows.
    #[must_use]
    pub fn rows(&self) -> (Lsn, Tables) {
        let contents = self.0.borrow();
        (contents.rows.watermark.lsn, contents.rows.tables.clone())
    }

    /// Returns the first contradiction between what it holds and what it was given.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        self.0.borrow().contradiction.clone()
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

/// A process's connection to a database.
pub struct Connection {
    database: Database,
    vitals: Vitals,
}

impl Connection {
    /// Creates the connection of the process that `vitals` are of.
    #[must_use]
    pub fn new(database: Database, vitals: Vitals) -> Self {
        Self { database, vitals }
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
pub struct Batch(Vec<Vec<u8>>);

impl SinkBatch for Batch {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        entry.check()?;
        self.0.push(entry.bytes().to_vec());
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
        _found: Watermark,
        _held: Lsn,
        _progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        if !source.is_complete()? {
            return Err(SinkError::Refused("the journal was trimmed".into()));
        }
        self.answer().await;
        self.database
            .with(&self.vitals, |contents| contents.rows = Rows::default())?;
        self.hears()?;
        Ok(Watermark::ZERO)
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
        let applied = self.database.with(&self.vitals, |contents| {
            if contents.rows.watermark != from && !is_planted(Slip::ForgetsFence) {
                return Err(SinkError::Moved);
            }
            for (place, bytes) in batch.0.iter().enumerate() {
                let lsn = Lsn(from.lsn.0 + 1 + place as u64);
                let entry = Entry::whole(lsn, bytes).expect("it was checked");
                let record = entry.record().expect("it was checked");
                if let Err(why) = contents.rows.tables.apply(&record) {
                    contents
                        .contradiction
                        .get_or_insert(format!("record {lsn}: {why}"));
                }
            }
            contents.rows.watermark = to;
            Ok(())
        });
        applied??;
        self.hears()
    }
}
