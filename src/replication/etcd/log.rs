//! The log in the keys of an etcd, each question one transaction or one range.

use super::client::{EtcdClient, EtcdOptions};
use super::keys::{Keys, frame_value, position_text, progress_text, read_frame, read_position};
use super::messages::{
    CompactionRequest, Compare, MemberListRequest, RangeRequest, RangeResponse, RequestOp,
    TxnRequest, TxnResponse,
};
use crate::limits;
use crate::replication::log::holding_next;
use crate::replication::{
    Appended, Epoch, Head, LeaderProgress, LogEpoch, LogError, LogFrame, LogIdentity, Position,
    ReplicatedLog,
};
use crate::types::Lsn;

/// A warning of an etcd that is on one machine.
pub const ONE_MEMBER: &str =
    "etcd has one member: what is answered is on no second machine but the server's own";

/// The log with one name in an etcd.
pub struct EtcdLog {
    pub(super) client: EtcdClient,
    keys: Keys,
    /// Frames that are read at once.
    page: i64,
    /// Trims since the last look at the revision.
    trims: u32,
    /// The revision at that look, up to which earlier ones are given up at the next.
    revision: Option<i64>,
    compaction: Compaction,
    is_warned: bool,
}

/// Who gives up earlier revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compaction {
    Ours,
    /// This user may not: etcd has to do it by itself.
    Others,
}

impl EtcdLog {
    /// Creates the log `name`, which is not connected yet.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn new(options: EtcdOptions, name: &str) -> std::io::Result<Self> {
        Ok(Self {
            client: EtcdClient::new(options)?,
            keys: Keys::of(name),
            page: 1,
            trims: 0,
            revision: None,
            compaction: Compaction::Ours,
            is_warned: false,
        })
    }

    /// Returns the number of members that have a vote; `None` where nobody says.
    pub(super) fn voters(&mut self) -> Option<usize> {
        let found = self.client.asked(&MemberListRequest {}).ok()?;
        let voters = found.members.iter().filter(|member| !member.is_learner);
        Some(voters.count())
    }

    /// Checks that this user may read and change whatever belongs to the log, by a transaction that is never done: etcd looks at the rights first.
    ///
    /// # Errors
    /// [`LogError::Refused`] names the user and the keys; otherwise there is no clean answer.
    pub(super) fn check_rights(&mut self) -> Result<(), LogError> {
        let never = self.keys.never();
        let cannot_hold = vec![
            Compare::is_absent(never.clone()),
            Compare::has_value(never.clone(), Vec::new()),
        ];
        let change = RequestOp::put(never, Vec::new());
        let asked = self.client.asked(&TxnRequest {
            compare: cannot_hold,
            success: vec![self.keys.everything().into(), change],
        });
        match asked {
            Ok(_) => Ok(()),
            Err((address, error)) if error.says("permission denied") => {
                let (who, prefix) = (self.client.identity(), self.keys.prefix());
                Err(LogError::Refused(format!(
                    "{address}: {error}: {who} may not read and change the keys that begin with {prefix}; etcdctl role grant-permission gives that right"
                )))
            }
            Err((address, error)) => Err(LogError::Unknown(format!("{address}: {error}"))),
        }
    }

    fn txn(
        &mut self,
        compare: Vec<Compare>,
        success: Vec<RequestOp>,
    ) -> Result<TxnResponse, LogError> {
        self.client.ask(&TxnRequest { compare, success })
    }

    fn compare_epoch(&self, epoch: LogEpoch) -> Vec<Compare> {
        let (log, epoch) = (epoch.log.to_string(), epoch.epoch.to_string());
        vec![
            Compare::has_value(self.keys.identity(), log.into_bytes()),
            Compare::has_value(self.keys.epoch(), epoch.into_bytes()),
        ]
    }

    fn compare_place(&self, epoch: LogEpoch, last: Position) -> Vec<Compare> {
        let mut is_at = self.compare_epoch(epoch);
        let last = position_text(last).into_bytes();
        is_at.push(Compare::has_value(self.keys.last(), last));
        is_at
    }

    fn sign(&self, progress: LeaderProgress) -> RequestOp {
        RequestOp::put(self.keys.sign(), progress_text(progress))
    }

    fn head_of(&self, found: Option<RangeResponse>) -> Result<Option<Head>, LogError> {
        match found {
            Some(found) => self.keys.read_head(&found.kvs),
            None => Ok(None),
        }
    }

    /// Puts the other parts of a frame to it, of which the last is there.
    fn complete(
        &mut self,
        log: LogIdentity,
        frame: &mut LogFrame,
        parts: u32,
    ) -> Result<(), LogError> {
        let question = self.keys.parts(log, frame.last.lsn, parts);
        let found = self.client.ask(&question)?;
        if found.kvs.len() != parts as usize {
            let lsn = frame.last.lsn;
            // It may have been removed in between.
            return Err(LogError::Unknown(format!(
                "the frame of the replicated log that ends with record {lsn} is not whole"
            )));
        }
        let last = std::mem::take(&mut frame.records);
        let parts = found.kvs.into_iter().map(|kv| kv.value);
        frame.records = parts.chain([last]).flatten().collect();
        Ok(())
    }

    /// Reads fewer frames at once where they are long, and more where they are short.
    fn adapt_page(&mut self, bytes: usize, bytes_max: usize, has_more: bool) {
        if bytes > bytes_max {
            self.page = (self.page / 2).max(1);
        } else if has_more {
            self.page = (self.page * 2).min(limits::ETCD_PAGE_FRAMES_MAX);
        }
    }

    /// Removes the oldest frames, as far as their records are all up to `through`; a piece at a time, because appends wait for it.
    fn remove_frames(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError> {
        let oldest = RangeRequest {
            key: self.keys.frame(log, Lsn::ZERO),
            range_end: self.keys.frame(log, through.next()),
            limit: limits::ETCD_TRIM_FRAMES,
            keys_only: true,
        };
        let found = self.client.ask(&oldest)?;
        let Some(newest) = found.kvs.last() else {
            return Ok(());
        };
        let end = self.keys.last_of(&newest.key)?.next();
        let keys = &self.keys;
        let frames = RequestOp::delete(keys.frame(log, Lsn::ZERO), keys.frame(log, end));
        let parts = RequestOp::delete(keys.part(log, Lsn::ZERO, 0), keys.part(log, end, 0));
        self.txn(Vec::new(), vec![frames, parts]).map(drop)
    }

    /// Gives up what etcd keeps of earlier changes, now and then, up to the look before: otherwise its file grows with every append. Not often: etcd reads
    /// all its keys for it, and others may keep theirs there, too.
    fn compact(&mut self) -> Result<(), LogError> {
        self.trims += 1;
        if self.compaction == Compaction::Others || self.trims < limits::ETCD_COMPACT_TRIMS {
            return Ok(());
        }
        self.trims = 0;
        let found = self.client.ask(&self.keys.whole_head())?;
        let now = found.header.map_or(0, |header| header.revision);
        let moved = self.revision.map(|before| now - before);
        if moved.is_some_and(|moved| moved < limits::ETCD_COMPACT_REVISIONS) {
            return Ok(());
        }
        let Some(revision) = self.revision.replace(now) else {
            return Ok(());
        };
        match self.client.asked(&CompactionRequest { revision }) {
            Ok(_) => Ok(()),
            Err((_, error)) if error.says("has been compacted") => Ok(()),
            Err((_, error)) if error.says("permission denied") => {
                self.compaction = Compaction::Others;
                tracing::warn!(
                    "etcd does not let this user compact it: see that it does so itself (--auto-compaction-retention), or it fills up"
                );
                Ok(())
            }
            Err((address, error)) => Err(LogError::Unknown(format!("{address}: {error}"))),
        }
    }
}

impl ReplicatedLog for EtcdLog {
    fn prepare(&mut self) -> Result<(), LogError> {
        // Whatever else is wrong the next question says; an etcd that is full can still be followed.
        if let Err(error @ LogError::Refused(_)) = self.check_rights() {
            return Err(error);
        }
        if self.is_warned {
            return Ok(());
        }
        // It may not be told who they are; whether there is an answer the next question says.
        if self.voters() == Some(1) {
            self.is_warned = true;
            tracing::warn!("{ONE_MEMBER}");
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Head>, LogError> {
        let found = self.client.ask(&self.keys.whole_head())?;
        self.keys.read_head(&found.kvs)
    }

    fn read_head(&mut self) -> Result<Option<Head>, LogError> {
        // Most members have what is seen: it is asked of the leader, who first makes sure that it still is.
        self.peek()
    }

    fn create(&mut self, identity: LogIdentity, base: Position) -> Result<(), LogError> {
        let keys = &self.keys;
        let progress = LeaderProgress {
            acknowledged: base.lsn,
            followed: Lsn::ZERO,
        };
        let made = vec![
            RequestOp::put(keys.identity(), identity.to_string()),
            RequestOp::put(keys.epoch(), Epoch(1).to_string()),
            RequestOp::put(keys.holder(), ""),
            RequestOp::put(keys.base(), position_text(base)),
            RequestOp::put(keys.last(), position_text(base)),
            self.sign(progress),
        ];
        let is_new = vec![Compare::is_absent(self.keys.epoch())];
        self.txn(is_new, made).map(drop)
    }

    fn take(&mut self, seen: &Head, holder: &str) -> Result<Option<Head>, LogError> {
        let epoch = Epoch(seen.epoch.0 + 1).to_string();
        let taken = vec![
            RequestOp::put(self.keys.epoch(), epoch),
            RequestOp::put(self.keys.holder(), holder),
            self.keys.whole_head().into(),
        ];
        let mut is_silent = self.compare_epoch(seen.log_epoch());
        is_silent.push(Compare::was_changed_at(
            self.keys.sign(),
            seen.beat.cast_signed(),
        ));
        let found = self.txn(is_silent, taken)?;
        self.head_of(found.into_last_range())
    }

    fn append(
        &mut self,
        epoch: LogEpoch,
        before: Position,
        frame: &LogFrame,
        progress: LeaderProgress,
    ) -> Result<Appended, LogError> {
        let (follows, last) = (self.compare_place(epoch, before), frame.last.lsn);
        let mut parts: Vec<_> = frame.records.chunks(limits::ETCD_PART_BYTES).collect();
        let final_part = parts.pop().unwrap_or_default();
        // Nobody reads these before the frame is there.
        for (number, &part) in parts.iter().enumerate() {
            let part = RequestOp::put(self.keys.part(epoch.log, last, number), part);
            let put = vec![part, self.sign(progress)];
            if !self.txn(follows.clone(), put)?.succeeded {
                return Ok(Appended::NotThere);
            }
        }
        let value = frame_value(frame, parts.len(), final_part);
        let put = vec![
            RequestOp::put(self.keys.frame(epoch.log, last), value),
            RequestOp::put(self.keys.last(), position_text(frame.last)),
            self.sign(progress),
        ];
        Ok(match self.txn(follows, put)?.succeeded {
            true => Appended::Done,
            false => Appended::NotThere,
        })
    }

    fn barrier(
        &mut self,
        epoch: LogEpoch,
        progress: LeaderProgress,
    ) -> Result<Option<Position>, LogError> {
        let last = RangeRequest {
            key: self.keys.last(),
            ..RangeRequest::default()
        };
        let signed = vec![self.sign(progress), last.into()];
        let found = self.txn(self.compare_epoch(epoch), signed)?;
        let Some(found) = found.into_last_range() else {
            return Ok(None);
        };
        let last = found.kvs.first();
        let last = last.ok_or_else(|| LogError::Unknown("the log has no end".to_owned()))?;
        read_position(&last.value).map(Some)
    }

    fn offer(&mut self, epoch: LogEpoch) -> Result<bool, LogError> {
        let head = self.peek()?;
        let Some(head) = head.filter(|head| head.log_epoch() == epoch) else {
            return Ok(false);
        };
        let progress = LeaderProgress {
            acknowledged: head.last.lsn,
            followed: head.followed,
        };
        let offered = vec![RequestOp::put(self.keys.holder(), ""), self.sign(progress)];
        match self
            .txn(self.compare_place(epoch, head.last), offered)?
            .succeeded
        {
            true => Ok(true),
            false => Err(LogError::Unknown(
                "it moved while it was offered".to_owned(),
            )),
        }
    }

    fn read(
        &mut self,
        log: LogIdentity,
        after: Lsn,
        bytes_max: usize,
    ) -> Result<Vec<LogFrame>, LogError> {
        let behind = RangeRequest {
            key: self.keys.frame(log, after.next()),
            range_end: self.keys.frames_end(log),
            limit: self.page,
            keys_only: false,
        };
        let found = self.client.ask(&behind);
        if found.is_err() {
            // They may be more than one answer has time for.
            self.page = (self.page / 2).max(1);
        }
        let found = found?;
        let (mut frames, mut bytes) = (Vec::new(), 0);
        for kv in &found.kvs {
            if bytes > bytes_max {
                break;
            }
            let mut stored = read_frame(self.keys.last_of(&kv.key)?, &kv.value)?;
            if stored.parts > 0 {
                self.complete(log, &mut stored.frame, stored.parts)?;
            }
            bytes += stored.frame.records.len();
            if frames.is_empty() || bytes <= bytes_max {
                frames.push(stored.frame);
            }
        }
        self.adapt_page(bytes, bytes_max, found.more);
        holding_next(frames, after)
    }

    fn records_kept(&self) -> u64 {
        limits::ETCD_RECORDS_KEPT
    }

    fn trim(&mut self, log: LogIdentity, through: Lsn) -> Result<(), LogError> {
        if through > Lsn::ZERO {
            self.remove_frames(log, through)?;
        }
        self.compact()
    }
}
