//! Engine, journal, followers and schedule as a library: on a simulated disk, with a clock that a test moves.

#[allow(dead_code, reason = "a part of it is used")]
mod common;

mod backup;
mod corpus;
mod creation;
mod engine_model;
mod engine_threads;
mod figures;
mod follower;
mod journal_damage;
mod schedule;
mod turns;
