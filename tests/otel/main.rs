//! Traces, as a collector receives them from the real binary. Only with the feature `otel`.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../blackbox/client.rs"]
mod client;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../blackbox/server.rs"]
mod server;

mod collector;
mod traces;
