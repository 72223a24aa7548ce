//! The map of a cluster: which node has the slot of the keys.

use redis::{RedisResult, Value};

use super::dial::RedisDial;
use super::discovery::Node;
use super::failure;
use super::options::RedisOptions;
use crate::reconcile::SinkError;
use crate::types::ServerAddress;

/// The slot of all keys: what `CLUSTER KEYSLOT '{flashsale}'` says.
const SLOT: u16 = 8930;

/// Asks a node of the cluster which node has the keys.
///
/// # Errors
/// It cannot be reached, is in no cluster, or knows no node that has them.
pub(super) async fn query(
    options: &RedisOptions,
    contact: &ServerAddress,
) -> Result<Node, SinkError> {
    let mut connection = RedisDial::node(options).connect(contact).await?;
    let mut command = redis::cmd("CLUSTER");
    // `CLUSTER SHARDS` says the same, but not before Redis 7.
    command.arg("SLOTS");
    let ranges: RedisResult<Value> = command.query_async(&mut connection).await;
    let ranges = ranges.map_err(|error| {
        let detail = error.detail().unwrap_or_default();
        if detail.contains("cluster support disabled") || detail.contains("unknown command") {
            SinkError::Refused("it is no node of a cluster".into())
        } else {
            failure::of_command("CLUSTER SLOTS", &error)
        }
    })?;
    find_master(&ranges, contact)
}

/// The master of the keys' slot in an answer of `contact`: ranges, each with its first and last slot and then its nodes,
/// the master first; of each node the host, the port and its id.
fn find_master(ranges: &Value, contact: &ServerAddress) -> Result<Node, SinkError> {
    let unavailable = |why: &str| SinkError::Unavailable(why.into());
    let malformed = || unavailable("it does not answer as Redis does");
    let Value::Array(ranges) = ranges else {
        return Err(malformed());
    };
    let has_keys = |range: &&Value| {
        let Value::Array(range) = range else {
            return false;
        };
        let slot = i64::from(SLOT);
        matches!(range[..], [Value::Int(first), Value::Int(last), _, ..] if (first..=last).contains(&slot))
    };
    let Some(Value::Array(range)) = ranges.iter().find(has_keys) else {
        return Err(unavailable("it knows no node that has the keys"));
    };
    let Value::Array(master) = &range[2] else {
        return Err(malformed());
    };
    let [host, Value::Int(port), about @ ..] = &master[..] else {
        return Err(malformed());
    };
    let text = |value: &Value| redis::from_redis_value_ref::<Option<String>>(value).ok()?;
    let host = match text(host).as_deref() {
        // A node that does not know its endpoint is reached where it was asked.
        None | Some("") => contact.host.clone(),
        // It is to be known by a name, and has none.
        Some("?") => {
            return Err(unavailable(
                "it has no host name for the node that has the keys: set its cluster-announce-hostname",
            ));
        }
        Some(host) => host.to_owned(),
    };
    let port = u16::try_from(*port).map_err(|_| malformed())?;
    Ok(Node {
        address: ServerAddress { host, port },
        id: about.first().and_then(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    /// What becomes of an answer in which the master of the keys has this host.
    fn found(host: Value) -> Result<Node, SinkError> {
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let ranges = Value::Array(vec![
            range(0, 8929, node(text("other"), 1)),
            range(8930, 8930, node(host, 7)),
        ]);
        let contact = ServerAddress {
            host: "contact".into(),
            port: 9,
        };
        find_master(&ranges, &contact)
    }

    #[test]
    fn an_unknown_endpoint_is_that_of_the_node_that_was_asked() {
        for (host, expected) in [
            (text("10.0.0.1"), "10.0.0.1:7"),
            (text("fd00::1"), "[fd00::1]:7"),
            (text(""), "contact:7"),
            (Value::Nil, "contact:7"),
        ] {
            let node = found(host).expect("it is named");
            assert_eq!(node.address.to_string(), expected);
            assert_eq!(node.id.as_deref(), Some("id"));
        }
    }

    #[test]
    fn a_master_that_cannot_be_named_is_said_to_be_so() {
        let error = found(text("?")).expect_err("no name");
        assert!(error.to_string().contains("cluster-announce-hostname"));
        let contact = ServerAddress {
            host: "contact".into(),
            port: 9,
        };
        for (answer, why) in [
            (Value::Array(vec![]), "knows no node"),
            (Value::Okay, "does not answer as Redis does"),
        ] {
            let error = find_master(&answer, &contact).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
