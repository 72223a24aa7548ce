//! Finding the node that has the keys: the master that sentinels know, or the master of the keys' slot in a
//! cluster. All keys have one hash tag, so that it is always a single node.
//!
//! Sentinels and listed nodes (the *contacts*) are asked all at once, and the node that most of them name is tried first:
//! one that is cut off from the others still names the master that it saw last. That node must then say for itself that
//! it is the master, because the others may learn of a failover later than we ask.

use std::cmp::Reverse;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};

use super::dial::RedisDial;
use super::link::ProjectionState;
use super::options::{RedisOptions, RedisServers, SentinelOptions};
use super::{failure, slots};
use crate::limits::{REDIS_CONTACT_SECONDS, REDIS_NODE_SECONDS};
use crate::reconcile::SinkError;
use crate::reconcile::deadline::within;
use crate::types::ServerAddress;

/// A node that has the keys, as a contact names it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) address: ServerAddress,
    /// Its name in the cluster. Contacts may have several addresses for one node.
    pub(super) id: Option<String>,
}

impl Node {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.address == other.address,
        }
    }
}

/// The answers of the contacts.
pub(super) struct Answers {
    /// The nodes that they name, with how many do; those that more of them name come first.
    pub(super) nodes: Vec<(Node, usize)>,
    failures: ContactFailures,
}

/// Connects to the node that has the keys.
///
/// # Errors
/// Says of each contact and node why not.
pub(super) async fn connect(
    options: &RedisOptions,
) -> Result<(MultiplexedConnection, Option<Node>), SinkError> {
    if let RedisServers::Single(server) = &options.servers {
        return Ok((RedisDial::server(options).connect(server).await?, None));
    }
    let mut answers = query_contacts(options).await;
    for (node, _) in answers.nodes {
        match open(options, &node).await {
            Ok(connection) => return Ok((connection, Some(node))),
            Err(error) => answers.failures.add("master", &node.address, error),
        }
    }
    Err(answers.failures.into_error())
}

/// Connects to a node that contacts have named, and makes sure that it has the keys.
///
/// # Errors
/// Says why it has not, or cannot be reached.
pub(super) async fn open(
    options: &RedisOptions,
    node: &Node,
) -> Result<MultiplexedConnection, SinkError> {
    within(Duration::from_secs(REDIS_NODE_SECONDS), async {
        let mut connection = RedisDial::node(options).connect(&node.address).await?;
        match &options.servers {
            RedisServers::Sentinel(_) => check_role(&mut connection).await?,
            // A node without the keys refuses. No other question is refused by a master that was cut off.
            _ => {
                let asked: RedisResult<Value> = ProjectionState::question()
                    .query_async(&mut connection)
                    .await;
                asked.map_err(|error| failure::of(&error))?;
            }
        }
        Ok(connection)
    })
    .await
}

async fn check_role(connection: &mut MultiplexedConnection) -> Result<(), SinkError> {
    let role: RedisResult<Vec<Value>> = redis::cmd("ROLE").query_async(connection).await;
    let role = role.map_err(|error| failure::of_command("ROLE", &error))?;
    match role
        .into_iter()
        .next()
        .map(redis::from_redis_value::<String>)
    {
        Some(Ok(role)) if role == "master" => Ok(()),
        Some(Ok(role)) if role == "slave" => Err(SinkError::Unavailable(
            "it is a replica, although it was named as the master".into(),
        )),
        _ => Err(SinkError::Unavailable(
            "it does not answer as Redis does".into(),
        )),
    }
}

/// Asks all contacts, until more than half of them agree.
pub(super) async fn query_contacts(options: &RedisOptions) -> Answers {
    let (kind, contacts) = options.servers.contacts();
    let patience = Duration::from_secs(REDIS_CONTACT_SECONDS);
    let mut asked: FuturesUnordered<_> = contacts
        .iter()
        .map(|contact| async move {
            (
                contact,
                within(patience, query_contact(options, contact)).await,
            )
        })
        .collect();
    let mut answers = Answers {
        nodes: Vec::new(),
        failures: ContactFailures::default(),
    };
    while let Some((contact, answer)) = asked.next().await {
        match answer {
            Ok(node) => {
                let votes = answers.count(node);
                if votes > contacts.len() / 2 {
                    break;
                }
            }
            Err(error) => answers.failures.add(kind, contact, error),
        }
    }
    answers.nodes.sort_by_key(|(_, votes)| Reverse(*votes));
    answers
}

impl Answers {
    /// How many contacts have named this node by now.
    fn count(&mut self, named: Node) -> usize {
        let known = self.nodes.iter_mut().find(|(node, _)| node.is_same(&named));
        match known {
            Some((_, votes)) => {
                *votes += 1;
                *votes
            }
            None => {
                self.nodes.push((named, 1));
                1
            }
        }
    }
}

/// Asks one contact which node has the keys.
async fn query_contact(options: &RedisOptions, contact: &ServerAddress) -> Result<Node, SinkError> {
    match &options.servers {
        RedisServers::Sentinel(sentinels) => query_sentinel(options, sentinels, contact).await,
        _ => slots::query(options, contact).await,
    }
}

async fn query_sentinel(
    options: &RedisOptions,
    sentinels: &SentinelOptions,
    contact: &ServerAddress,
) -> Result<Node, SinkError> {
    let mut connection = RedisDial::sentinel(options, sentinels)
        .connect(contact)
        .await?;
    let mut command: Cmd = redis::cmd("SENTINEL");
    command
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(&sentinels.master);
    let answer: RedisResult<Option<(String, u16)>> = command.query_async(&mut connection).await;
    let named = answer.map_err(|error| {
        let is_other = error
            .detail()
            .is_some_and(|detail| detail.contains("unknown command"));
        if is_other {
            SinkError::Refused("it is no sentinel".into())
        } else {
            failure::of_command("SENTINEL GET-MASTER-ADDR-BY-NAME", &error)
        }
    })?;
    let (host, port) = named.ok_or_else(|| SinkError::Redacted {
        internal: format!("it knows no master named {}", sentinels.master),
        public: "it knows no master of the configured name".into(),
        permanent: true,
    })?;
    Ok(Node {
        address: ServerAddress { host, port },
        id: None,
    })
}

/// What went wrong with several servers.
#[derive(Default)]
struct ContactFailures {
    told: Vec<String>,
    /// The failures without addresses.
    shown: Vec<String>,
    may_pass: bool,
}

impl ContactFailures {
    fn add(&mut self, kind: &str, server: &ServerAddress, error: SinkError) {
        self.told.push(format!("{kind} {server}: {error}"));
        let shown = format!("{kind}: {}", error.shown());
        if !self.shown.contains(&shown) {
            self.shown.push(shown);
        }
        self.may_pass |= !error.lasts();
    }

    fn into_error(self) -> SinkError {
        SinkError::Redacted {
            internal: self.told.join("; "),
            public: self.shown.join("; "),
            permanent: !self.may_pass,
        }
    }
}
