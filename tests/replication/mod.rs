//! Two servers, one log on a real pair of Postgres or a real etcd, buyers, and everything that dies.

mod balancer;
pub mod buyers;
mod campaign;
#[cfg(target_arch = "x86_64")]
mod clock_steps;
mod commands;
mod contract;
mod databases;
mod disks;
mod etcd_faults;
mod faults;
mod group;
pub mod keeper;
pub mod ledger;
mod members;
#[cfg(feature = "planted")]
mod negative;
mod settings;
mod told;
mod trimming;
