//! The Postgres sink against a real Postgres.

mod connecting;
mod driver;
mod fencing;
mod following;
mod migrations;
mod outages;
mod tables;
