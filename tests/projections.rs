//! What follows the journal: real servers of Postgres and Redis, and the commands that compare and repair.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/client.rs"]
mod client;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "sinks/load.rs"]
mod load;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "sinks/places.rs"]
mod places;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/pooler.rs"]
mod pooler;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/redis_group.rs"]
mod redis_group;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/redis_log.rs"]
mod redis_log;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/redis.rs"]
mod redis_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/server.rs"]
mod server;

mod postgres;
mod preflight;
mod redis;
mod sinks;
mod verify;
