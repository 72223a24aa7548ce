//! etcd as the keeper of the log.
//!
//! Whatever etcd answers is on the disks of most of its members: a change by the order of Raft, a read because it is asked of the leader's latest
//! state. So each question is one transaction or one range, and needs no settings read behind it. Everything that is not a clean answer is unknown, and the next member
//! is asked: a refused connection, a time-out, a member without a leader, a learner.
//!
//! The log lies below `flashsale/replication/<log>/`, in keys that can be read with `etcdctl`. Its head is one key for each thing that changes alone, so that a change
//! compares only what it rests on; frames have the number of their last record as their name.

mod client;
mod connection;
mod keys;
mod log;
mod messages;
mod survey;

pub use client::EtcdOptions;
pub use log::{EtcdLog, ONE_MEMBER};
pub use survey::{EtcdMember, EtcdState, EtcdSurvey};
