//! The Postgres sink against a real Postgres.

#[path = "../servers/postgres.rs"]
mod postgres_server;
#[path = "../servers/proxy.rs"]
mod proxy;

mod connecting;
mod driver;
mod fencing;
mod following;
mod migrations;
mod outages;
mod tables;
