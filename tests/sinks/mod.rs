//! The server with its sinks, and what can go wrong between them: the real binary under load, a real
//! Postgres and a real Redis, real kills. Each test ends with the same question: do they all agree?

mod absence;
mod crashes;
mod judge;
mod migrations;
mod network;
mod passwords;
mod pauses;
mod poolers;
mod recovery;
mod redis;
mod redis_failover;
mod rivals;
mod roles;
mod rotation;
mod schemas;
mod secrets;
mod session;
mod shortages;
mod tampering;
