//! The projection in a real Redis: exact whatever dies when, and clear words where it cannot be.

#[path = "../servers/redis_log.rs"]
mod redis_log;
#[path = "../servers/redis.rs"]
mod redis_server;

mod access;
mod announced;
mod contents;
mod fixture;
mod loss;
mod refusal;
mod restoring;
mod room;
mod story;
mod torn;
mod watched;
