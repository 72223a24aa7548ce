//! `flashsale preflight`: the real binary, good and bad machines, a real Postgres, a real Redis.

#[path = "../blackbox/client.rs"]
mod client;
#[path = "../servers/postgres.rs"]
mod postgres;
#[path = "../servers/redis.rs"]
mod redis;
#[path = "../blackbox/server.rs"]
mod server;

mod addresses;
mod machine;
mod report;
mod restored;
mod sinks;
