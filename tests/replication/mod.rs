//! Two servers, one log on a real pair of Postgres, buyers, and everything that dies.

mod buyers;
mod campaign;
mod commands;
mod databases;
mod disks;
mod faults;
mod group;
mod ledger;
mod members;
#[cfg(feature = "planted")]
mod negative;
mod settings;
mod trimming;
