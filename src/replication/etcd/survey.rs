//! The etcd that keeps the log, as a command finds it. Nothing is changed by looking.

use super::log::EtcdLog;
use super::messages::StatusRequest;
use crate::replication::{Head, LogError, ReplicatedLog};

/// An etcd that keeps a log, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSurvey {
    /// The members that have a vote; `None` where this user may not know.
    pub voters: Option<usize>,
    /// Whether it asks who somebody is, by a user's name.
    pub has_users: bool,
    /// Why this user may not use the log as a server does, if so.
    pub denied: Option<String>,
    /// The log; `None` where there is none of that name, or it may not be read.
    pub head: Option<Head>,
}

/// A member of etcd, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdMember {
    /// Where it is.
    pub address: String,
    /// Its state, or why it does not say.
    pub state: Result<EtcdState, String>,
}

/// The state of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdState {
    /// The version of its program.
    pub version: String,
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// The bytes of its file, as they count for the quota.
    pub bytes: u64,
    /// As many of them as are used.
    pub bytes_in_use: u64,
    /// The alarms, and whatever else is wrong.
    pub errors: Vec<String>,
}

impl EtcdLog {
    /// Asks each member that is configured, in that order.
    #[must_use]
    pub fn survey_members(&self) -> Vec<EtcdMember> {
        let addresses = self.client.members().iter().map(ToString::to_string);
        let named = addresses.enumerate();
        named
            .map(|(place, address)| self.member(place, address))
            .collect()
    }

    /// Reads what most members say.
    ///
    /// # Errors
    /// No member has a clean answer.
    pub fn survey(&mut self) -> Result<EtcdSurvey, LogError> {
        let denied = match self.check_rights() {
            Err(LogError::Refused(why)) => Some(why),
            // An etcd that is full says so, and can still be read.
            _ => None,
        };
        let head = match denied {
            None => self.peek()?,
            Some(_) => None,
        };
        let has_users = self.client.has_token();
        Ok(EtcdSurvey {
            voters: self.voters(),
            has_users,
            denied,
            head,
        })
    }

    fn member(&self, place: usize, address: String) -> EtcdMember {
        let state = match self.client.ask_at(place, &StatusRequest {}) {
            Ok(status) => Ok(EtcdState {
                version: status.version,
                has_leader: status.leader != 0,
                bytes: status.db_size.cast_unsigned(),
                bytes_in_use: status.db_size_in_use.cast_unsigned(),
                errors: status.errors,
            }),
            Err(error) => Err(error.to_string()),
        };
        EtcdMember { address, state }
    }
}
