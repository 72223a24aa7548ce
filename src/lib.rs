//! flashsale (map to be written)
pub mod config;
pub mod env;
pub mod journal;
pub mod limits;
pub mod sale;
mod sync;
pub mod types;
