//! Where requests end: exact bytes over a socket to the real server, the exact answers, whether the
//! connection is closed, and how many requests were really executed.
//!
//! A request that two servers in a row could read differently is refused before anything of it, or behind
//! it, is looked at. Where the server is lenient, the case says why that is harmless.

mod case;
mod chunks;
mod codings;
mod encrypted;
mod heads;
mod lengths;
mod lines;
mod pipelines;
mod slow;
mod targets;
