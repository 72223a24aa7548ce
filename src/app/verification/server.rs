//! What a running server shows of its memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::limits::PAGE_ITEMS_MAX;
use crate::types::{Lsn, SaleId};

const TIMEOUT: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_millis(20);
const SETTLE_POLLS_MAX: usize = 100;
/// Longest answer that is read: a page of the longest items.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The server did not answer, or not as this version does.
#[derive(Debug, thiserror::Error)]
#[error("the server at {address}: {what}")]
pub(super) struct ServerError {
    address: String,
    what: String,
}

/// A server that is asked.
#[derive(Clone)]
pub(super) struct RunningServer {
    agent: ureq::Agent,
    address: String,
}

/// What is needed of `/health`.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    pub(super) journal: JournalFigures,
    /// By the id of each open sale.
    pub(super) stock: BTreeMap<String, ShownStock>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JournalFigures {
    durable_lsn: u64,
    pub(super) pending_bytes: u64,
    batches: u64,
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
}

impl RunningServer {
    pub(super) fn at(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            address: address.to_string(),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn health(&self) -> Result<Health, ServerError> {
        self.get("/health").map(|(health, _)| health)
    }

    /// As [`Self::health`], once everything is durable that memory shows now.
    pub(super) fn settled(&self) -> Result<Health, ServerError> {
        let first = self.health()?;
        let mut health = self.health()?;
        for _ in 0..SETTLE_POLLS_MAX {
            // The batch on its way, the one that gathered behind it, and whoever was about to append.
            if health.journal.pending_bytes == 0
                || health.journal.batches >= first.journal.batches + 3
            {
                break;
            }
            thread::sleep(SETTLE_POLL);
            health = self.health()?;
        }
        Ok(health)
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
        while let Some(path) = next {
            let (page, link): (Vec<T>, _) = self.get(&path)?;
            all.extend(page);
            next = link;
        }
        Ok(all)
    }

    /// What is at `path`, and the path of the page after it.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), ServerError> {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self
            .agent
            .get(&url)
            .call()
            .map_err(|error| self.error(error))?;
        let link = answer
            .headers()
            .get("link")
            .and_then(|link| link.to_str().ok());
        let next = link.and_then(next_page).map(str::to_owned);
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec().map_err(|error| self.error(error))?;
        let shown = serde_json::from_slice(&body)
            .map_err(|_| self.error(format!("{path} is not what flashsale answers")))?;
        Ok((shown, next))
    }

    fn error(&self, what: impl ToString) -> ServerError {
        ServerError {
            address: self.address.clone(),
            what: what.to_string(),
        }
    }
}

fn next_page(link: &str) -> Option<&str> {
    let (path, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then_some(path)
}
