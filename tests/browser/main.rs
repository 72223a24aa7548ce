//! The pages in a real browser, clicked on like visitors do, before the real server.

#[path = "../blackbox/admin.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod admin;
#[path = "../blackbox/client.rs"]
mod client;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../sinks/load.rs"]
mod load;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../sinks/places.rs"]
mod places;
#[path = "../servers/postgres.rs"]
mod postgres_server;
#[path = "../servers/redis.rs"]
mod redis_server;
#[path = "../blackbox/server.rs"]
mod server;

mod browser;
mod page;
mod wire;

mod buying;
mod choices;
mod looks;
mod losses;
mod ops;
mod origins;
mod prefix;
mod refusals;
mod sales;
mod stock;
mod tabs;
mod times;
mod windows;
