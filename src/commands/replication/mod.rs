//! `flashsale replication …`: says who leads, and has the leadership handed over.

mod hand_over;
mod status;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use self::hand_over::hand_over;
pub use self::status::{StatusFormat, status};

use super::client_tls::ServerAccess;
use super::server_client::ServerClient;
use crate::app::configured_log::{OpenLogError, open_log};
use crate::config::{Config, ReplicationConfig};
use crate::replication::{Head, LogError, ReplicatedLog};

/// The time that the server on this machine has for an answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two looks at the log.
const LOOK: Duration = Duration::from_millis(100);

/// The reason why it could not be found out what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// No log is configured.
    #[error("nothing is replicated: replication.engine is off (REPLICATION_ENGINE)")]
    Off,
    /// The log does not answer.
    #[error("the replicated log at {address}: {why}")]
    Log {
        /// Where its servers are.
        address: String,
        /// The error.
        why: String,
    },
    /// There is no log of that name.
    #[error("there is no replicated log \"{0}\" yet: the first server that starts makes it")]
    NoLog(String),
    /// The server on this machine does not answer, or not as this version does.
    #[error("the server at {address}: {why}")]
    Server {
        /// Its address.
        address: SocketAddr,
        /// The error.
        why: String,
    },
    /// The token of administration is not known.
    #[error("the token of administration: {0}")]
    Token(String),
    /// The certificate of the server, or of what keeps the log, cannot be read.
    #[error("{0}")]
    Certificate(String),
    /// The output is gone, or no runtime can be made.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

impl ReplicationError {
    /// Returns whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The replicated log that is configured.
struct ConfiguredLog {
    log: Box<dyn ReplicatedLog>,
    name: String,
    address: String,
}

impl ConfiguredLog {
    fn open(settings: &ReplicationConfig) -> Result<Self, ReplicationError> {
        let log = open_log(settings).map_err(|error| match error {
            OpenLogError::Io(error) => ReplicationError::Output(error),
            error => ReplicationError::Certificate(error.to_string()),
        })?;
        Ok(Self {
            log,
            name: settings.log.clone(),
            address: settings.hosts_text(),
        })
    }

    /// Returns what the log says. It may be gone after a failover.
    fn look(&mut self) -> Result<Head, ReplicationError> {
        let head = self.log.peek_unprepared();
        let head = head.map_err(|error: LogError| ReplicationError::Log {
            address: self.address.clone(),
            why: error.to_string(),
        })?;
        head.ok_or_else(|| ReplicationError::NoLog(self.name.clone()))
    }
}

fn settings(config: &Config) -> Result<&ReplicationConfig, ReplicationError> {
    config.replication.as_ref().ok_or(ReplicationError::Off)
}

/// Returns the client for the server on this machine.
fn local_server(config: &Config) -> Result<ServerClient, ReplicationError> {
    let access = ServerAccess::configured(&config.server);
    let access = access.map_err(|error| ReplicationError::Certificate(error.to_string()))?;
    let address = config.server.local_address();
    Ok(ServerClient::new(address, access, TIMEOUT))
}

fn server_error(client: &ServerClient, why: impl Display) -> ReplicationError {
    ReplicationError::Server {
        address: client.address(),
        why: why.to_string(),
    }
}
