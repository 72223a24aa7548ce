//! A sink in memory that fails on demand. What it holds survives the connection, as a server's
//! content does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flashsale::reconcile::{CatchUpProgress, RecordSource, Sink, SinkBatch, SinkError, Watermark};
use flashsale::record::{Entry, Undecodable};
use flashsale::types::Lsn;

/// The fault of the sink at its next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is away: nothing is applied.
    Away,
    /// It applies the batch and then nobody hears of it.
    AnswerLost,
    /// It loses everything it holds.
    Loses,
    /// Somebody else takes the place of its writer.
    Usurped,
    /// The connection cannot be made.
    NoConnection,
}

/// The content.
#[derive(Default)]
pub struct Content {
    pub watermark: Watermark,
    pub records: Vec<u64>,
    pub faults: VecDeque<Option<Fault>>,
    pub batches: Vec<usize>,
    pub starts: u32,
    pub away: bool,
}

#[derive(Clone, Default)]
pub struct Fake(pub Arc<Mutex<Content>>);

/// Records of one batch; one that is divisible by `alone` comes first in its batch.
pub struct Records {
    records: Vec<u64>,
    alone: u64,
}

impl SinkBatch for Records {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        entry.check()?;
        let must_lead = entry.lsn.0.is_multiple_of(self.alone);
        if must_lead && !self.records.is_empty() {
            return Ok(false);
        }
        self.records.push(entry.lsn.0);
        Ok(true)
    }
}

impl Fake {
    pub fn content<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look(&mut self.0.lock().expect("no panic"))
    }

    fn fault(&self) -> Result<Option<Fault>, SinkError> {
        self.content(|content| {
            if content.away {
                return Err(SinkError::Unavailable("away".into()));
            }
            Ok(content.faults.pop_front().flatten())
        })
    }
}

impl Sink for Fake {
    type Batch = Records;

    fn name(&self) -> &'static str {
        "Fake"
    }

    fn address(&self) -> String {
        "nowhere:1".to_owned()
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(2)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        if self.fault()? == Some(Fault::NoConnection) {
            return Err(SinkError::Unavailable("no connection".into()));
        }
        self.watermark().await
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        self.content(|content| {
            if content.away {
                return Err(SinkError::Unavailable("away".into()));
            }
            Ok(content.watermark)
        })
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
        self.content(|content| {
            content.starts += 1;
            content.records.clear();
            content.watermark = Watermark::ZERO;
        });
        Ok(Watermark::ZERO)
    }

    fn batch(&self) -> Records {
        Records {
            records: Vec::new(),
            alone: 7,
        }
    }

    async fn apply(
        &mut self,
        batch: Records,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        let fault = self.fault()?;
        self.content(|content| {
            match fault {
                Some(Fault::Away | Fault::NoConnection) => {
                    return Err(SinkError::Unavailable("away".into()));
                }
                Some(Fault::Loses) => {
                    content.records.clear();
                    content.watermark = Watermark::ZERO;
                }
                Some(Fault::Usurped) => content.watermark.fingerprint ^= 1,
                Some(Fault::AnswerLost) | None => {}
            }
            if content.watermark != from {
                return Err(SinkError::Moved);
            }
            content.records.extend(&batch.records);
            content.batches.push(batch.records.len());
            content.watermark = to;
            match fault {
                Some(Fault::AnswerLost) => Err(SinkError::Unavailable("cut".into())),
                _ => Ok(()),
            }
        })
    }
}
