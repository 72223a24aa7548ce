//! The floor of a durable answer: bare hyper, and the least that an answer needs which leaves only after its record is on
//! the disk. There is no engine, no checksum, no parsing beyond hyper's, and the file is never read again.
//!
//! On each `POST` a record as long as the server's own is appended to a buffer that all workers share
//! (`commits`). What has gathered is written in one piece while the next batch gathers, with one commit in flight,
//! and the worker releases all requests of a batch together (`waiters`). A `GET` is answered at once.
//!
//! By default the worker that ends its turn begins the write by `io_uring`, past the page cache, as the server does
//! (`docs/decisions/0021-writing-past-the-cache.md`). The other techniques show what that is worth: a thread that
//! writes with `O_DIRECT` and `RWF_DSYNC`, or workers that wait for the disk themselves, which did half as many requests a second.

mod aligned;
mod commits;
mod log;
mod waiters;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use clap::ValueEnum;
use flashsale::record::{Lines, Record, envelope};
use flashsale::types::{ItemIndex, PurchasedLine, SaleId, Timestamp};
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::Method;

use super::bare;
use super::workers::{self, Answer, Handler, Listen};
use commits::{Commits, CommittedBy};
use log::Technique;
use waiters::Waiters;

/// Answers every request with the same 200, after its record is on the disk.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// Length of the answer's body; as long as that of an accepted checkout by default
    #[arg(long, default_value_t = bare::CHECKOUT_BYTES, value_parser = clap::value_parser!(u32).range(1..=65536))]
    body_bytes: u32,
    /// The file that records are written to; there must be none
    #[arg(long, value_name = "PATH")]
    log: PathBuf,
    /// Kind of record that is written for each request
    #[arg(long, value_enum, default_value_t = RecordKind::Checkout)]
    record: RecordKind,
    /// How a batch is made durable
    #[arg(long, value_enum, default_value_t = Technique::Ring)]
    commit: Technique,
    /// Which thread commits, other than with `ring`
    #[arg(long, value_enum, default_value_t = CommittedBy::Thread)]
    committed_by: CommittedBy,
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordKind {
    /// A checkout of one item that opens a new code
    Checkout,
    /// The purchase of one item
    Purchase,
}

/// Serves until SIGTERM; says where, on standard output.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let body = Bytes::from(bare::body(arguments.body_bytes as usize));
    let record: Arc<[u8]> = record(arguments.record).into();
    let (path, technique) = (&arguments.log, arguments.commit);
    let by = match technique {
        Technique::Ring => CommittedBy::Worker,
        _ => arguments.committed_by,
    };
    let opened = Commits::open(path, technique, by)
        .with_context(|| format!("cannot create the log {}", path.display()));
    let commits = match opened {
        Ok(commits) => commits,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    if commits.technique() != technique {
        eprintln!("the file system refuses O_DIRECT: batches are written with fdatasync");
    }
    workers::command("floor", arguments.listen, async move || {
        Ok(Floor {
            body: body.clone(),
            record: Arc::clone(&record),
            waiters: Waiters::start(Arc::clone(&commits)),
        })
    })
}

/// Returns a record as the server writes it, for a user with a name as long as the load generator's: 71 bytes for a
/// checkout, 65 for a purchase.
fn record(kind: RecordKind) -> Vec<u8> {
    const USER: &str = "a1b2c3-again-100000";
    let (sale, secret) = (SaleId(1), u128::MAX / 3);
    let lines = [PurchasedLine {
        item: ItemIndex(1),
        quantity: 1,
        sold: true,
    }];
    let record = match kind {
        RecordKind::Checkout => Record::Checkout {
            sale,
            secret,
            user: USER,
            item: ItemIndex(1),
            quantity: 1,
            hold_until: None,
            opens: true,
            key: None,
        },
        RecordKind::Purchase => Record::Purchase {
            sale,
            secret,
            user: USER,
            key: None,
            payment_ref: None,
            lines: Lines::Slice(&lines),
        },
    };
    let mut bytes = Vec::new();
    envelope::encode(Timestamp(1_800_000_000_000_000), &record, &mut bytes);
    bytes
}

struct Floor {
    body: Bytes,
    record: Arc<[u8]>,
    waiters: Rc<Waiters>,
}

impl Handler for Floor {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let is_write = request.method() == Method::POST;
        // While it waits it need not keep the connection's buffer.
        drop(request);
        if is_write {
            self.waiters.commit(&self.record).await;
        }
        bare::ok(self.body.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_long_as_the_documents_say() {
        assert_eq!(record(RecordKind::Checkout).len(), 71);
        assert_eq!(record(RecordKind::Purchase).len(), 65);
    }
}
