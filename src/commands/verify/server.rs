//! A running server and what it shows of its memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::commands::client_tls::ServerAccess;
use crate::commands::pace::resting_pacer;
use crate::commands::server_client::ServerClient;
use crate::limits::PAGE_ITEMS_MAX;
use crate::types::{Lsn, SaleId};

const TIMEOUT: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_millis(20);
/// The server's disk has ten seconds for what memory shows.
const SETTLE_POLLS_MAX: usize = 500;

/// The server did not answer, or not as this version does.
#[derive(Debug, thiserror::Error)]
#[error("the server at {address}: {what}")]
pub(super) struct ServerError {
    address: SocketAddr,
    what: String,
}

/// A server that is asked.
#[derive(Clone)]
pub(super) struct InspectedServer(ServerClient);

/// The part of `/health` that the command reads.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    journal: JournalFigures,
    /// By the id of each open sale.
    pub(super) stock: BTreeMap<String, ShownStock>,
    /// By name, what the server says of those who follow it.
    #[serde(default)]
    reconcile: BTreeMap<String, ShownSink>,
}

#[derive(Debug, Deserialize)]
struct ShownSink {
    status: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct JournalFigures {
    durable_lsn: u64,
    appended_lsn: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct ShownStock {
    pub(super) total: u64,
    pub(super) sold: u64,
    pub(super) held: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ShownSale {
    pub(super) id: String,
    pub(super) total_items: u64,
    pub(super) items_sold: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ShownItem {
    pub(super) id: String,
    pub(super) stock: u64,
    pub(super) remaining: u64,
}

impl Health {
    /// The last durable record.
    pub(super) fn durable(&self) -> Lsn {
        Lsn(self.journal.durable_lsn)
    }

    /// The sinks that do not take what they are given, with the reasons.
    pub(super) fn down(&self) -> impl Iterator<Item = (&str, &str)> {
        let down = self.reconcile.iter().filter(|(_, it)| it.status == "DOWN");
        down.map(|(name, it)| (&**name, &*it.reason))
    }

    /// Returns whether the server has the sink of that name.
    pub(super) fn follows(&self, name: &str) -> bool {
        let sink = self.reconcile.get(name);
        sink.is_some_and(|it| it.status != "DISABLED")
    }

    /// Returns whether the journal on the disk has everything that memory shows.
    fn is_settled(&self) -> bool {
        self.journal.durable_lsn == self.journal.appended_lsn
    }

    /// Returns whether nothing was decided between `before` and this, and nothing was on its way to the disk.
    pub(super) fn is_still_as(&self, before: &Self) -> bool {
        before.is_settled() && self.is_settled() && before.durable() == self.durable()
    }
}

impl InspectedServer {
    /// The server at `address`, to which `access` is the way.
    pub(super) fn at(address: SocketAddr, access: ServerAccess) -> Self {
        Self(ServerClient::new(address, access, TIMEOUT))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    pub(super) fn health(&self) -> Result<Health, ServerError> {
        self.get("/health").map(|(health, _)| health)
    }

    /// Returns the server's health once everything is durable that memory shows now.
    pub(super) fn settled(&self) -> Result<Health, ServerError> {
        let mut health = self.health()?;
        let shown = Lsn(health.journal.appended_lsn);
        for _ in 0..SETTLE_POLLS_MAX {
            if health.durable() >= shown {
                return Ok(health);
            }
            thread::sleep(SETTLE_POLL);
            health = self.health()?;
        }
        Err(self.error(format!("record {shown} does not come to be on its disk")))
    }

    /// All sales.
    pub(super) fn sales(&self) -> Result<Vec<ShownSale>, ServerError> {
        self.list(format!("/api/v1/sales?limit={PAGE_ITEMS_MAX}"))
    }

    /// All items of a sale, in order.
    pub(super) fn items(&self, sale: SaleId) -> Result<Vec<ShownItem>, ServerError> {
        self.list(format!("/api/v1/sales/{sale}/items?limit={PAGE_ITEMS_MAX}"))
    }

    fn list<T: DeserializeOwned>(&self, first: String) -> Result<Vec<T>, ServerError> {
        let (mut all, mut next) = (Vec::new(), Some(first));
        // Buyers wait for the worker that writes a page.
        let pacer = resting_pacer();
        pacer.begin();
        while let Some(path) = next {
            let (page, link): (Vec<T>, _) = self.get(&path)?;
            all.extend(page);
            next = link;
            if next.is_some() {
                pacer.note_piece();
            }
        }
        Ok(all)
    }

    /// Returns what is at `path`, and the path of the page after it.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), ServerError> {
        let reply = self.0.get(path).map_err(|error| self.error(error))?;
        if reply.status != 200 {
            return Err(self.error(format!("{path}: http status: {}", reply.status)));
        }
        let next = reply.link.and_then(|link| next_page(path, &link));
        let shown = serde_json::from_slice(&reply.body)
            .map_err(|_| self.error(format!("{path} is not what flashsale answers")))?;
        Ok((shown, next))
    }

    fn error(&self, what: impl ToString) -> ServerError {
        ServerError {
            address: self.address(),
            what: what.to_string(),
        }
    }
}

/// The path that a link at `path` leads to: a query alone, or a path.
fn next_page(path: &str, link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    let here = path.split('?').next().filter(|_| target.starts_with('?'));
    rest.contains("rel=\"next\"")
        .then(|| format!("{}{target}", here.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn health(durable_lsn: u64, appended_lsn: u64) -> Health {
        Health {
            journal: JournalFigures {
                durable_lsn,
                appended_lsn,
            },
            stock: BTreeMap::new(),
            reconcile: BTreeMap::new(),
        }
    }

    /// A server that answers one request after the other with these figures, and the last of them for
    /// ever.
    fn answering(figures: &'static [(u64, u64)]) -> InspectedServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let last = figures.last().expect("an answer");
        let answers = figures.iter().chain(std::iter::repeat(last));
        thread::spawn(move || {
            for ((durable, appended), stream) in answers.zip(listener.incoming()) {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.read(&mut [0; 4096]);
                // Nothing waits for the committer: it has taken what there is.
                let body = format!(
                    "{{\"journal\":{{\"durable_lsn\":{durable},\"appended_lsn\":{appended},\
                     \"pending_bytes\":0,\"batches\":9}},\"stock\":{{}}}}"
                );
                let head = "HTTP/1.1 200 OK\r\nconnection: close";
                let length = body.len();
                let _ = write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}");
            }
        });
        InspectedServer::at(address, ServerAccess::default())
    }

    #[test]
    fn a_batch_that_is_being_written_is_waited_for() {
        let server = answering(&[(5, 8), (5, 9), (7, 12), (10, 14), (14, 14)]);
        let settled = server.settled().expect("it answers");
        assert_eq!(
            settled.durable(),
            Lsn(10),
            "what came later is not waited for"
        );
    }

    #[test]
    fn what_is_durable_is_not_waited_for() {
        let settled = answering(&[(5, 5), (5, 6)]).settled();
        assert_eq!(settled.expect("it answers").durable(), Lsn(5));
    }

    #[test]
    fn only_a_server_with_nothing_on_its_way_is_still() {
        assert!(health(5, 5).is_still_as(&health(5, 5)));
        for (before, after) in [
            ((5, 6), (6, 6)),
            ((5, 6), (5, 6)),
            ((5, 5), (5, 6)),
            ((5, 5), (6, 6)),
        ] {
            let (before, after) = (health(before.0, before.1), health(after.0, after.1));
            assert!(!after.is_still_as(&before), "{before:?}, {after:?}");
        }
    }
}
