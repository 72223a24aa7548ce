//! What operators see: `/metrics`, the rules of Prometheus, and the dashboards of Grafana, tried with the
//! real server and a real Prometheus.

#[path = "../blackbox/client.rs"]
mod client;
#[allow(dead_code, reason = "each test crate uses a part of it")]
#[path = "../sinks/places.rs"]
mod places;
#[path = "../servers/postgres.rs"]
mod postgres_server;
#[path = "../servers/redis.rs"]
mod redis_server;
#[path = "../blackbox/server.rs"]
mod server;

mod dashboard;
mod exposition;
mod expression;
mod layout;
mod live;
mod prometheus;
mod promtool;
mod rules;
mod shoppers;
