//! The commands beside `serve`: each checks, repairs or copies what the server writes, and prints a report.

pub mod backup;
pub mod client_tls;
pub mod healthcheck;
pub mod journal;
pub mod migrate;
pub mod preflight;
pub mod rebuild;
pub mod recover;
pub mod replication;
pub mod verify;

mod pace;
mod server_client;
