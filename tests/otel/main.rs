//! Traces, as a collector receives them from the real binary. Only with the feature `otel`.

#[path = "../blackbox/client.rs"]
mod client;
#[path = "../blackbox/server.rs"]
mod server;

mod collector;
mod traces;
