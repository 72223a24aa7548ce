//! Postgres as a projection of the journal: normalised rows for reports, and a watermark that moves in
//! the same transaction as they do.
//!
//! **Invariants.** A batch is one transaction, and its first statement moves the watermark from where
//! the batch begins: of two writers the second waits for that row, then finds another value and writes
//! nothing. A connection on which anything went wrong is never used again. No error shows an address, a
//! password or a value of a row.

pub mod migrations;

mod apply;
mod batch;
mod connection;
mod copy;
mod failure;
mod options;
mod pool;
mod position;
mod rebuild;
mod records;
mod rows;
mod sales;
mod sink;
mod survey;
mod tables;
mod tls;

pub use batch::PostgresBatch;
pub use connection::PostgresDial;
pub use options::{Encryption, PostgresOptions};
pub use rebuild::Rebuilt;
pub use records::{PostgresReader, PostgresRecords};
pub use sales::read_sale;
pub use sink::PostgresSink;
pub use survey::PostgresSurvey;
