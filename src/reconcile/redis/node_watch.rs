//! Looking whether the keys are still at the node that a connection leads to. A master that is cut off from the others
//! may go on taking what it is sent, or say nothing any more, while they have long made another one the master.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::discovery::{Node, open, query_contacts};
use super::options::RedisOptions;
use crate::limits::REDIS_WATCH_SECONDS;
use crate::reconcile::SinkError;

/// A task that asks the contacts now and then, until it is dropped.
pub(super) struct NodeWatch {
    task: JoinHandle<()>,
    successor: watch::Receiver<Option<Node>>,
}

impl NodeWatch {
    /// Begins to watch that `node` has the keys.
    pub(super) fn start(options: RedisOptions, node: Node) -> Self {
        let (found, successor) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(REDIS_WATCH_SECONDS)).await;
                if let Some(successor) = find_successor(&options, &node).await {
                    found.send_replace(Some(successor));
                    return;
                }
            }
        });
        Self { task, successor }
    }

    /// Waits until another node has the keys. The future does not borrow the watch, and never ends once that is gone.
    pub(super) fn moved(&self) -> impl Future<Output = SinkError> + use<> {
        let mut successor = self.successor.clone();
        async move {
            let told = match successor.wait_for(Option::is_some).await {
                Ok(node) => node.as_ref().map(|node| node.address.to_string()),
                Err(_) => std::future::pending().await,
            };
            SinkError::Redacted {
                internal: format!(
                    "the keys are at another node now, {}",
                    told.unwrap_or_default()
                ),
                public: "the keys are at another node now".into(),
                permanent: false,
            }
        }
    }
}

impl Drop for NodeWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Another node that more than half of the contacts name, and that has the keys.
async fn find_successor(options: &RedisOptions, node: &Node) -> Option<Node> {
    let (_, contacts) = options.servers.contacts();
    let answers = query_contacts(options).await;
    let (named, votes) = answers.nodes.into_iter().next()?;
    if votes <= contacts.len() / 2 || named.is_same(node) {
        return None;
    }
    open(options, &named).await.is_ok().then_some(named)
}
