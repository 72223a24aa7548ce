//! The load generator against the real server, and against stubs that misbehave on purpose.

mod audits;
mod command;
mod oddities;
mod omission;
mod place;
mod reports;
mod short_runs;
mod stub;
mod validity;
mod workloads;
