//! Emptying the projection and filling it again.

use std::collections::BTreeMap;

use redis::streams::StreamRangeReply;
use redis::{Cmd, Value};

use super::batch::RedisBatch;
use super::failure;
use super::keys::{EVENTS, SALE_PREFIX, SALES, WATERMARK};
use super::link::{Link, ProjectionState, REQUESTED};
use super::options::RedisOptions;
use super::script::ScriptCall;
use super::sink::RedisSink;
use super::stored::{StoredSnapshot, open_sale};
use super::wire::RedisPosition;
use crate::env::{Entropy, OsEntropy};
use crate::journal::record_file::Frames;
use crate::journal::segment::Segment;
use crate::journal::snapshot;
use crate::limits::REDIS_REMOVED_SALES_MAX;
use crate::reconcile::{CatchUpProgress, RecordSource, Sink, SinkError, Watermark};
use crate::record::Entry;
use crate::types::{Lsn, Timestamp};

/// Empties the projection in Redis, whatever it is and whoever filled it, with the stream of events;
/// the server then fills it from its journal. For a Redis that follows another journal.
///
/// # Errors
/// Redis cannot be reached, or somebody else empties it at the same time.
pub async fn reset(options: &RedisOptions) -> Result<(), SinkError> {
    let mut link = Link::open(options).await?;
    link.prepare().await?;
    let token = format!("{REQUESTED}{}", new_token(&OsEntropy));
    let removed = empty(&mut link, &token, true).await?;
    tracing::warn!(
        removed,
        "Redis was emptied: the server fills it again from its journal"
    );
    Ok(())
}

fn new_token(entropy: &dyn Entropy) -> String {
    format!("{:032x}", entropy.bits_128())
}

/// Removes all sales and leaves `token` behind; how many keys were there.
async fn empty(link: &mut Link, token: &str, forced: bool) -> Result<u64, SinkError> {
    let (mut removed, mut begins) = (0, true);
    loop {
        let write = |command: &mut Cmd| {
            command.arg(3).arg(&[WATERMARK, SALES, EVENTS]);
            command
                .arg(token)
                .arg(u8::from(begins))
                .arg(u8::from(forced));
            command.arg(REDIS_REMOVED_SALES_MAX).arg(SALE_PREFIX);
        };
        let answer = link.call(ScriptCall::Empty, &write).await?;
        let number = |place: usize| answer.get(place)?.parse::<u64>().ok();
        let (Some(some), Some(left)) = (number(1), number(2)) else {
            return Err(SinkError::Refused("its functions are not ours".into()));
        };
        removed += some;
        begins = false;
        if left == 0 {
            return Ok(removed);
        }
    }
}

/// A snapshot on its way into the projection.
struct Restoring<'a> {
    stored: &'a StoredSnapshot,
    token: &'a str,
    progress: &'a mut CatchUpProgress,
    /// How many of its records are written.
    records: u64,
}

impl RedisSink {
    /// Empties the projection, and fills it from the newest snapshot where the journal no longer
    /// begins at its first record.
    pub(super) async fn rebuild(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        held: Lsn,
        progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        // Nothing is removed before it is known that it can be filled again.
        let before = self.link()?.state().await?;
        self.check_is_of_use(&before)?;
        let (start, stored) = if source.is_complete()? {
            (Watermark::ZERO, None)
        } else {
            let start = newest_snapshot(source)?;
            let now = now(self.link()?).await?;
            let stored = StoredSnapshot::open(source, start.lsn, now).await?;
            (start, Some(stored))
        };
        self.forget();
        let token = new_token(&*self.entropy);
        let link = self.link()?;
        check_events(link, source).await?;
        let removed = empty(link, &token, false).await?;
        let is_lost = held > Lsn::ZERO || removed > 0;
        let address = self.address();
        log_reason(&before, found, is_lost, start, &address);
        if let Some(stored) = stored {
            let restoring = Restoring {
                stored: &stored,
                token: &token,
                progress,
                records: 0,
            };
            self.restore(source, restoring).await?;
        }
        let filling = RedisPosition {
            watermark: Watermark::ZERO,
            token: &token,
        };
        let filled = RedisPosition {
            watermark: start,
            token: "",
        };
        self.apply_at(&RedisBatch::silent(), filling, filled)
            .await?;
        Ok(start)
    }

    /// Writes what a snapshot holds, and the files of its archived sales.
    async fn restore(
        &mut self,
        source: &RecordSource,
        mut restoring: Restoring<'_>,
    ) -> Result<(), SinkError> {
        let stored = restoring.stored;
        self.restore_file(&mut restoring, &stored.file).await?;
        for sale in &stored.archived {
            let file = open_sale(source, sale)?;
            self.restore_file(&mut restoring, &file).await?;
        }
        Ok(())
    }

    /// Writes what a file holds, in pieces; the next ones are read when these are written.
    async fn restore_file(
        &mut self,
        restoring: &mut Restoring<'_>,
        file: &Segment,
    ) -> Result<(), SinkError> {
        let filling = RedisPosition {
            watermark: Watermark::ZERO,
            token: restoring.token,
        };
        let mut frames = Frames::of(file);
        while let Some(frame) = frames.next()? {
            for piece in restoring.stored.pieces(file, &frame)? {
                self.apply_at(&piece, filling, filling).await?;
            }
            restoring.records += u64::from(frame.header.count);
            let (records, total) = (restoring.records, restoring.stored.records);
            restoring.progress.restore(records, total);
        }
        Ok(())
    }
}

/// What Redis takes for the time; by it keys expire.
async fn now(link: &mut Link) -> Result<Timestamp, SinkError> {
    let (seconds, _): (i64, i64) = link.run(&redis::cmd("TIME")).await?;
    Ok(Timestamp::from_seconds(seconds))
}

/// The watermark of whoever has the newest snapshot.
fn newest_snapshot(source: &RecordSource) -> Result<Watermark, SinkError> {
    let gone = "the journal no longer begins with its first record, and";
    let Some(lsn) = snapshot::newest(source.disk(), source.dir())? else {
        return Err(SinkError::Refused(format!("{gone} there is no snapshot")));
    };
    let watermark = source.with_record(lsn, &mut Watermark::at)?;
    watermark.ok_or_else(|| {
        SinkError::Refused(format!(
            "{gone} the newest snapshot is older than what is left"
        ))
    })
}

/// The stream outlives a rebuild, so it must be this journal's: otherwise what is to come would be
/// taken for what is there already.
async fn check_events(link: &mut Link, source: &RecordSource) -> Result<(), SinkError> {
    // Entries may be gone; their numbers were given all the same.
    if last_event(link).await? > source.durable() {
        return Err(failure::events_ahead(EVENTS));
    }
    let mut command = redis::cmd("XREVRANGE");
    command.arg(EVENTS).arg("+").arg("-").arg("COUNT").arg(1);
    let newest: StreamRangeReply = link.run(&command).await?;
    let Some(event) = newest.ids.first() else {
        return Ok(());
    };
    let foreign = || SinkError::Refused("its events are those of another journal".into());
    let number = event.id.split('-').next().and_then(|lsn| lsn.parse().ok());
    let lsn = number.map(Lsn).ok_or_else(foreign)?;
    if lsn > source.durable() {
        return Err(foreign());
    }
    let at = event.get::<String>("at").unwrap_or_default();
    let same = source.with_record(lsn, &mut |entry: &Entry<'_>| entry.at.to_string() == at)?;
    if same.unwrap_or(true) {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// The record of the last event that the stream was ever given; 0 for none.
async fn last_event(link: &mut Link) -> Result<Lsn, SinkError> {
    let mut exists = redis::cmd("EXISTS");
    exists.arg(EVENTS);
    if !link.run::<bool>(&exists).await? {
        return Ok(Lsn::ZERO);
    }
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(EVENTS);
    let about: BTreeMap<String, Value> = link.run(&command).await?;
    let id = about.get("last-generated-id").cloned();
    let id = id.and_then(|id| redis::from_redis_value::<String>(id).ok());
    let number = id.and_then(|id| id.split('-').next()?.parse().ok());
    number.map(Lsn).ok_or_else(|| {
        SinkError::Unavailable("it does not say what its stream of events was given last".into())
    })
}

fn log_reason(
    before: &ProjectionState,
    found: Watermark,
    is_lost: bool,
    start: Watermark,
    address: &str,
) {
    let from = if start == Watermark::ZERO {
        "from the journal's first record".to_owned()
    } else {
        format!("from the snapshot at {start}")
    };
    if before.writing.is_some() {
        tracing::error!(
            address,
            "Redis holds something that is not whole: it is filled again {from}"
        );
    } else if before.is_emptied_on_request() {
        tracing::info!("Redis was emptied by `flashsale rebuild redis`: it is filled again {from}");
    } else if before.rebuilding.is_some() {
        tracing::warn!(
            address,
            "Redis was not filled to the end before: it is filled again {from}"
        );
    } else if found.lsn > Lsn::ZERO {
        tracing::error!(
            address,
            "Redis needs what comes after {found}, which the journal no longer holds: it is filled again {from}"
        );
    } else if is_lost {
        tracing::error!(
            address,
            "Redis lost what it held, or its watermark: it is filled again {from}"
        );
    } else {
        tracing::info!("Redis holds nothing yet: it is filled {from}");
    }
}
