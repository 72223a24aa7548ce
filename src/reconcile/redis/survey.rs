//! What a Redis is and lets its user do, for who wants to know before a server is started.

use super::link::Link;
use super::options::RedisOptions;
use crate::reconcile::{SinkError, Watermark};

/// A Redis, as it describes itself. What it does not say is empty or `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSurvey {
    /// The node that has the keys, as `host:port`, where it had to be found.
    pub node: Option<String>,
    /// Replicas that are connected to it; `None` where it does not say.
    pub replicas: Option<u32>,
    /// Its version, as `7.0.15`.
    pub version: String,
    /// What it does when its memory is full, as `noeviction`.
    pub eviction: String,
    /// The most memory that it takes, in bytes; 0 for no bound.
    pub memory_bytes_max: u64,
    /// Memory that it has taken, in bytes.
    pub memory_bytes: u64,
    /// Whether it is a replica, and takes no writes; `None` where it does not say.
    pub is_replica: Option<bool>,
    /// Whether every change is written to its log.
    pub has_log: bool,
    /// Whether its functions may be listed by this user, so that ours can be loaded.
    pub has_functions: bool,
    /// How far it has followed a journal; nothing where there is no whole projection.
    pub watermark: Watermark,
}

impl RedisSurvey {
    /// Connects and asks. Changes nothing.
    ///
    /// # Errors
    /// It cannot be reached, or lets nobody in.
    pub async fn read(options: &RedisOptions) -> Result<Self, SinkError> {
        let mut link = Link::open(options).await?;
        let watermark = link.state().await?.trusted();
        // A user may be kept from it; then less is known.
        let info: String = link.query(&redis::cmd("INFO")).await.unwrap_or_default();
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg("flashsale_*");
        let functions: redis::RedisResult<redis::Value> = link.query(&list).await;
        let field = |name: &str| field(&info, name).unwrap_or_default().to_owned();
        let number = |name: &str| field(name).parse().unwrap_or(0);
        Ok(Self {
            node: link.node().map(|node| node.address.to_string()),
            replicas: field("connected_slaves").parse().ok(),
            version: field("redis_version"),
            eviction: field("maxmemory_policy"),
            memory_bytes_max: number("maxmemory"),
            memory_bytes: number("used_memory"),
            is_replica: Some(field("role"))
                .filter(|role| !role.is_empty())
                .map(|role| role == "slave"),
            has_log: field("aof_enabled") == "1",
            has_functions: functions.is_ok(),
            watermark,
        })
    }
}

/// The value of a line as `redis_version:7.0.15`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    info.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn lines_of_the_description_are_found() {
        let info =
            "# Server\r\nredis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(field(info, "redis_version"), Some("7.0.15"));
        assert_eq!(field(info, "maxmemory"), Some("0"));
        assert_eq!(field(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(field(info, "role"), None);
    }
}
