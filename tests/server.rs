//! The server as its users meet it: the real binary, real sockets, real clients and browsers.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/admin.rs"]
mod admin;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/client.rs"]
mod client;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/etcd.rs"]
mod etcd;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/history.rs"]
mod history;
#[path = "servers/http_proxy.rs"]
mod http_proxy;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "sinks/load.rs"]
mod load;
#[path = "servers/log_database.rs"]
mod log_database;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "sinks/places.rs"]
mod places;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/postgres_pair.rs"]
mod postgres_pair;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/proxy.rs"]
mod proxy;
#[path = "events/receiver.rs"]
mod receiver;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "servers/redis.rs"]
mod redis_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "blackbox/server.rs"]
mod server;
#[cfg(target_arch = "x86_64")]
#[path = "servers/stepped_clock.rs"]
mod stepped_clock;
#[path = "events/outages.rs"]
mod webhook_outages;

mod blackbox;
mod browser;
mod cluster;
mod contract;
mod install;
mod load_scripts;
mod many_sales;
mod monitoring;
mod replication;
mod smuggling;
mod soak;
mod tls;
