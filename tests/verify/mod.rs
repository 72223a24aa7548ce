//! `flashsale verify` and `flashsale recover`: the real binary, real journals, a real Postgres, a real Redis.

mod archived;
mod cache;
mod database;
mod fixture;
mod offline;
mod recover;
mod running;
mod trimmed;
