//! The messages of etcd's interface, as far as they are used, with the numbers of their fields in etcd's `rpc.proto`, `kv.proto` and `auth.proto`.

use std::fmt;

use prost::{Message, Oneof};

/// A question, and where it is asked.
pub(super) trait EtcdQuestion: Message {
    /// The path of the call.
    const PATH: &'static str;
    /// The answer.
    type Answer: Message + Default;
}

macro_rules! questions {
    ($($question:ty => $answer:ty, $path:literal;)*) => {
        $(impl EtcdQuestion for $question {
            const PATH: &'static str = $path;
            type Answer = $answer;
        })*
    };
}

questions! {
    RangeRequest => RangeResponse, "/etcdserverpb.KV/Range";
    TxnRequest => TxnResponse, "/etcdserverpb.KV/Txn";
    CompactionRequest => CompactionResponse, "/etcdserverpb.KV/Compact";
    AuthenticateRequest => AuthenticateResponse, "/etcdserverpb.Auth/Authenticate";
    MemberListRequest => MemberListResponse, "/etcdserverpb.Cluster/MemberList";
    StatusRequest => StatusResponse, "/etcdserverpb.Maintenance/Status";
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct ResponseHeader {
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(super) mod_revision: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) value: Vec<u8>,
}

/// Asks for the keys from `key` up to `range_end`, of which that one is not there. In order, and of the latest state.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(super) limit: i64,
    #[prost(bool, tag = "8")]
    pub(super) keys_only: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
    /// Whether there are more behind the limit.
    #[prost(bool, tag = "3")]
    pub(super) more: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
}

/// A condition of a transaction: that a key has been changed so often, was changed last then, or has this value. The comparison is for equality, which is 0.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Compare {
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(oneof = "ComparedWith", tags = "4, 6, 7")]
    expected: Option<ComparedWith>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
enum ComparedWith {
    #[prost(int64, tag = "4")]
    Version(i64),
    #[prost(int64, tag = "6")]
    ModRevision(i64),
    #[prost(bytes, tag = "7")]
    Value(Vec<u8>),
}

impl Compare {
    /// Holds where there is no such key.
    pub(super) fn is_absent(key: Vec<u8>) -> Self {
        Self {
            target: 0,
            key,
            expected: Some(ComparedWith::Version(0)),
        }
    }

    /// Holds where the key was changed last by the change with this revision.
    pub(super) fn was_changed_at(key: Vec<u8>, revision: i64) -> Self {
        Self {
            target: 2,
            key,
            expected: Some(ComparedWith::ModRevision(revision)),
        }
    }

    /// Holds where the key has this value.
    pub(super) fn has_value(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self {
            target: 3,
            key,
            expected: Some(ComparedWith::Value(value)),
        }
    }
}

/// One step of a transaction.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct RequestOp {
    #[prost(oneof = "Operation", tags = "1, 2, 3")]
    operation: Option<Operation>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
enum Operation {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    Delete(DeleteRangeRequest),
}

impl From<RangeRequest> for RequestOp {
    fn from(range: RangeRequest) -> Self {
        let operation = Some(Operation::Range(range));
        Self { operation }
    }
}

impl RequestOp {
    pub(super) fn put(key: Vec<u8>, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        let operation = Some(Operation::Put(PutRequest { key, value }));
        Self { operation }
    }

    /// Removes the keys from `key` up to `range_end`, of which that one stays.
    pub(super) fn delete(key: Vec<u8>, range_end: Vec<u8>) -> Self {
        let range = DeleteRangeRequest { key, range_end };
        let operation = Some(Operation::Delete(range));
        Self { operation }
    }
}

/// Asks for all steps at once, if all conditions hold, and for none otherwise. A range sees what the steps before it have changed.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct TxnResponse {
    #[prost(bool, tag = "2")]
    pub(super) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<ResponseOp>,
}

/// The answer to one step, where that was a range.
#[derive(Clone, PartialEq, Eq, Message)]
struct ResponseOp {
    #[prost(message, optional, tag = "1")]
    range: Option<RangeResponse>,
}

impl TxnResponse {
    /// Returns what the last step has found, if all conditions held and it was a range.
    pub(super) fn into_last_range(mut self) -> Option<RangeResponse> {
        let last = self.responses.pop().filter(|_| self.succeeded);
        last.and_then(|response| response.range)
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct CompactionRequest {
    #[prost(int64, tag = "1")]
    pub(super) revision: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct CompactionResponse {}

/// Asks for a token.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub(super) struct AuthenticateRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) password: String,
}

/// Without the password.
impl fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        f.debug_struct("AuthenticateRequest")
            .field("name", name)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct AuthenticateResponse {
    #[prost(string, tag = "2")]
    pub(super) token: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct MemberListRequest {}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct MemberListResponse {
    #[prost(message, repeated, tag = "2")]
    pub(super) members: Vec<Member>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Member {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(bool, tag = "5")]
    pub(super) is_learner: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct StatusRequest {}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct StatusResponse {
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// The size of the member's file.
    #[prost(int64, tag = "3")]
    pub(super) db_size: i64,
    /// The member that leads; 0 where none is known.
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
    /// The alarms, and whatever else is wrong.
    #[prost(string, repeated, tag = "8")]
    pub(super) errors: Vec<String>,
    /// As much of the file as is used.
    #[prost(int64, tag = "9")]
    pub(super) db_size_in_use: i64,
}
