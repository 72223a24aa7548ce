//! Programs that the server is measured against: they answer the same requests, each a subcommand of
//! `flashsale-perf` with the server's own runtime set-up ([`workers`]).

pub mod bare;
pub mod floor;
mod front;
pub mod postgres_row;
pub mod redis_lua;
pub mod workers;

pub use front::HOT_ITEM;
