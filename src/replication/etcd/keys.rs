//! The names and the values of the keys of a log.

use std::str::FromStr;

use super::messages::{KeyValue, RangeRequest};
use crate::replication::{
    Chain, Epoch, Head, LeaderProgress, LogError, LogFrame, LogIdentity, Position,
};
use crate::types::Lsn;

/// Everything of this program begins so.
const ROOT: &str = "flashsale/replication";
/// The form of a frame's value.
const FORM: u8 = 1;
/// The bytes of a frame's value before the records.
const FRAME_HEAD_BYTES: usize = 1 + 8 + 8 + 4;

/// The keys of the log with one name.
pub(super) struct Keys {
    below: String,
}

/// A frame as its key says: the last part of its records is in the value, the others are in keys of their own.
pub(super) struct StoredFrame {
    pub(super) frame: LogFrame,
    /// The parts before the last.
    pub(super) parts: u32,
}

impl Keys {
    pub(super) fn of(log: &str) -> Self {
        Self {
            below: format!("{ROOT}/{log}"),
        }
    }

    fn head(&self, name: &str) -> Vec<u8> {
        format!("{}/head/{name}", self.below).into_bytes()
    }

    /// The key of the log's identity.
    pub(super) fn identity(&self) -> Vec<u8> {
        self.head("identity")
    }

    /// The key of the epoch.
    pub(super) fn epoch(&self) -> Vec<u8> {
        self.head("epoch")
    }

    /// The key of the leader's name for itself.
    pub(super) fn holder(&self) -> Vec<u8> {
        self.head("holder")
    }

    /// The key of the place that the log begins behind.
    pub(super) fn base(&self) -> Vec<u8> {
        self.head("base")
    }

    /// The key of the last record's place.
    pub(super) fn last(&self) -> Vec<u8> {
        self.head("last")
    }

    /// The key that changes with every sign of the leader. Its value is the leader's progress.
    pub(super) fn sign(&self) -> Vec<u8> {
        self.head("sign")
    }

    /// A key that nothing is ever stored under.
    pub(super) fn never(&self) -> Vec<u8> {
        format!("{}/never", self.below).into_bytes()
    }

    /// The question whether there is anything of the log, which only who may read all of it is answered.
    pub(super) fn everything(&self) -> RangeRequest {
        RangeRequest {
            key: self.prefix().into_bytes(),
            // The first text that does not begin so.
            range_end: format!("{}0", self.below).into_bytes(),
            limit: 1,
            keys_only: true,
        }
    }

    /// The text that all keys of the log begin with.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.below)
    }

    /// The question for the whole head.
    pub(super) fn whole_head(&self) -> RangeRequest {
        RangeRequest {
            key: self.head(""),
            // The first text that does not begin with "head/".
            range_end: format!("{}/head0", self.below).into_bytes(),
            ..RangeRequest::default()
        }
    }

    /// The key of the frame of the log `log` that ends with `last`. Frames are in the order of their keys.
    pub(super) fn frame(&self, log: LogIdentity, last: Lsn) -> Vec<u8> {
        format!("{}/{log}/frames/{:020}", self.below, last.0).into_bytes()
    }

    /// The first key behind all frames of the log `log`.
    pub(super) fn frames_end(&self, log: LogIdentity) -> Vec<u8> {
        format!("{}/{log}/frames0", self.below).into_bytes()
    }

    /// The key of the part `number` of the frame of the log `log` that ends with `last`.
    pub(super) fn part(&self, log: LogIdentity, last: Lsn, number: usize) -> Vec<u8> {
        format!("{}/{log}/parts/{:020}/{number:06}", self.below, last.0).into_bytes()
    }

    /// The question for the first `count` parts of the frame of the log `log` that ends with `last`.
    pub(super) fn parts(&self, log: LogIdentity, last: Lsn, count: u32) -> RangeRequest {
        RangeRequest {
            key: self.part(log, last, 0),
            range_end: self.part(log, last, count as usize),
            ..RangeRequest::default()
        }
    }

    /// Reads the number of the last record from the key of a frame.
    pub(super) fn last_of(&self, key: &[u8]) -> Result<Lsn, LogError> {
        let number = key.rsplit(|&byte| byte == b'/').next().unwrap_or(key);
        Ok(Lsn(parsed("the name of a frame", number)?))
    }

    /// Reads a head; `None` where there is nothing of it.
    pub(super) fn read_head(&self, kvs: &[KeyValue]) -> Result<Option<Head>, LogError> {
        if kvs.is_empty() {
            return Ok(None);
        }
        let find = |key: Vec<u8>| {
            let found = kvs.iter().find(|kv| kv.key == key);
            found.ok_or_else(|| {
                let key = String::from_utf8_lossy(&key).into_owned();
                LogError::Refused(format!("the replicated log is damaged: {key} is missing"))
            })
        };
        let holder = String::from_utf8(find(self.holder())?.value.clone());
        let sign = find(self.sign())?;
        let progress = read_progress(&sign.value)?;
        Ok(Some(Head {
            identity: read_identity(&find(self.identity())?.value)?,
            epoch: Epoch(parsed("epoch", &find(self.epoch())?.value)?),
            holder: holder.map_err(|_| unreadable("holder"))?,
            base: read_position(&find(self.base())?.value)?,
            last: read_position(&find(self.last())?.value)?,
            acknowledged: progress.acknowledged,
            followed: progress.followed,
            beat: sign.mod_revision.cast_unsigned(),
        }))
    }
}

pub(super) fn progress_text(progress: LeaderProgress) -> String {
    format!("{} {}", progress.acknowledged.0, progress.followed.0)
}

fn read_progress(value: &[u8]) -> Result<LeaderProgress, LogError> {
    let (acknowledged, followed) = split(value).ok_or_else(|| unreadable("sign"))?;
    Ok(LeaderProgress {
        acknowledged: Lsn(parsed("sign", acknowledged.as_bytes())?),
        followed: Lsn(parsed("sign", followed.as_bytes())?),
    })
}

fn read_identity(value: &[u8]) -> Result<LogIdentity, LogError> {
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    let number = number.ok_or_else(|| unreadable("identity"))?;
    Ok(LogIdentity::from_stored(number.cast_signed()))
}

fn split(value: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(value).ok()?.split_once(' ')
}

pub(super) fn position_text(at: Position) -> String {
    format!("{} {}", at.lsn.0, at.chain)
}

pub(super) fn read_position(value: &[u8]) -> Result<Position, LogError> {
    let (lsn, chain) = split(value).ok_or_else(|| unreadable("a place"))?;
    let chain = u64::from_str_radix(chain, 16).map_err(|_| unreadable("a place"))?;
    Ok(Position {
        lsn: Lsn(parsed("a place", lsn.as_bytes())?),
        chain: Chain::from_stored(chain.cast_signed()),
    })
}

/// Writes the value of `frame`, whose last part is `records`, behind `parts` others.
pub(super) fn frame_value(frame: &LogFrame, parts: usize, records: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(FRAME_HEAD_BYTES + records.len());
    value.push(FORM);
    value.extend(frame.first.0.to_be_bytes());
    value.extend(frame.last.chain.to_stored().to_be_bytes());
    let parts = u32::try_from(parts).expect("a frame has few parts");
    value.extend(parts.to_be_bytes());
    value.extend_from_slice(records);
    value
}

/// Reads the value of the frame that ends with `last`.
pub(super) fn read_frame(last: Lsn, value: &[u8]) -> Result<StoredFrame, LogError> {
    let read = || {
        let (form, value) = value.split_first()?;
        let (first, value) = value.split_first_chunk()?;
        let (chain, value) = value.split_first_chunk()?;
        let (parts, records) = value.split_first_chunk()?;
        (*form == FORM).then(|| StoredFrame {
            frame: LogFrame {
                first: Lsn(u64::from_be_bytes(*first)),
                last: Position {
                    lsn: last,
                    chain: Chain::from_stored(i64::from_be_bytes(*chain)),
                },
                records: records.to_vec(),
            },
            parts: u32::from_be_bytes(*parts),
        })
    };
    read().ok_or_else(|| unreadable("a frame"))
}

fn parsed<T: FromStr>(what: &str, value: &[u8]) -> Result<T, LogError> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| unreadable(what))
}

fn unreadable(what: &str) -> LogError {
    LogError::Refused(format!(
        "the replicated log is damaged, or a newer version has written it: {what} cannot be read"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let frame = LogFrame {
            first: Lsn(3),
            last: Position {
                lsn: Lsn(9),
                chain: Chain::from_stored(-5),
            },
            records: b"the last part".to_vec(),
        };
        let value = frame_value(&frame, 2, &frame.records);
        let read = read_frame(Lsn(9), &value).expect("it is one");
        assert_eq!((read.frame, read.parts), (frame, 2));
        for damaged in [&value[..FRAME_HEAD_BYTES - 1], &[2; 30], &[]] {
            assert!(read_frame(Lsn(9), damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for chain in [0, -1, i64::MIN, 77] {
            let at = Position {
                lsn: Lsn(u64::MAX),
                chain: Chain::from_stored(chain),
            };
            assert_eq!(read_position(position_text(at).as_bytes()), Ok(at));
        }
        for damaged in ["", "7", "x 0", "7 g", "-1 0"] {
            assert!(read_position(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn frames_lie_between_their_ends_in_the_order_of_their_records() {
        let (keys, log) = (Keys::of("sale"), LogIdentity::from_stored(-7));
        let names = [0, 9, 10, 1 << 40, u64::MAX].map(|lsn| keys.frame(log, Lsn(lsn)));
        assert!(names.is_sorted() && names[4] < keys.frames_end(log));
        assert_eq!(keys.last_of(&names[3]), Ok(Lsn(1 << 40)));
        // Those of a log whose name begins with this one's lie elsewhere.
        let other = Keys::of("sale-2").frame(log, Lsn(1));
        assert!(other > keys.frames_end(log) || other < names[0]);
    }
}
