//! `flashsale verify` and `flashsale recover`: the real binary, real journals, a real Postgres, a real Redis.

#[path = "../blackbox/client.rs"]
mod client;
#[path = "../servers/postgres.rs"]
mod postgres;
#[path = "../servers/redis.rs"]
mod redis;
#[path = "../blackbox/server.rs"]
mod server;

mod archived;
mod cache;
mod database;
mod fixture;
mod offline;
mod recover;
mod running;
mod trimmed;
