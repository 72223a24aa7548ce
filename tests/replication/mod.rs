//! Two servers, one log on a real pair of Postgres, buyers, and everything that dies.

mod buyers;
mod campaign;
mod commands;
mod faults;
mod group;
mod ledger;
mod members;
mod settings;
