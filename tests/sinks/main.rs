//! The server with its sinks, and what can go wrong between them: the real binary under load, a real
//! Postgres and a real Redis, real kills. Each test ends with the same question: do they all agree?

#[path = "../servers/certificates.rs"]
mod certificates;
#[path = "../blackbox/client.rs"]
mod client;
#[path = "../servers/pooler.rs"]
mod pooler;
#[path = "../servers/postgres.rs"]
mod postgres_server;
#[path = "../servers/proxy.rs"]
mod proxy;
#[path = "../servers/redis_log.rs"]
mod redis_log;
#[path = "../servers/redis.rs"]
mod redis_server;
#[path = "../blackbox/server.rs"]
mod server;

mod absence;
mod crashes;
mod judge;
mod load;
mod migrations;
mod network;
mod passwords;
mod pauses;
mod places;
mod poolers;
mod recovery;
mod redis;
mod rivals;
mod roles;
mod rotation;
mod schemas;
mod secrets;
mod session;
mod shortages;
mod tampering;
