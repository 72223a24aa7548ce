//! The projection in a real Redis: exact whatever dies when, and clear words where it cannot be.

mod access;
mod announced;
mod cluster;
mod contents;
mod fixture;
mod loss;
mod refusal;
mod restoring;
mod room;
mod sentinel;
mod sentinel_access;
mod story;
mod torn;
mod watched;
