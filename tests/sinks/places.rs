//! Where servers are run that have sinks.

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use crate::redis_server::RedisServer;
use crate::server::{Place, Server};

/// Units of every sale: more than any test sells.
pub const STOCK: u64 = 10_000;

/// A database on a disk that no test lets fail: what a killed process has written is there.
pub fn postgres() -> Postgres {
    Postgres::start_with(&["fsync=off"])
}

/// A Redis with a password of its own: while it is away somebody else may listen at its port.
pub fn redis(settings: &[&str]) -> RedisServer {
    let password = format!("requirepass {}", redis_password());
    RedisServer::start_with(&[&[&*password], settings].concat())
}

/// The password of every Redis of this process.
pub fn redis_password() -> String {
    format!("redis-pa55word-{}", std::process::id())
}

/// A new place, with no sink.
pub fn place() -> Place {
    let mut place = Place::new(&[]);
    place.set("SALE_TOTAL_ITEMS", &STOCK.to_string());
    place.set(
        "DB_MIGRATIONS_PATH",
        concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"),
    );
    place
}

/// Lets the place's servers use the database at `port`.
pub fn use_postgres(place: &mut Place, port: u16) {
    for (key, value) in [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", &port.to_string()),
        ("DB_USER", USER),
        ("DB_PASSWORD", PASSWORD),
        ("DB_NAME", DATABASE),
    ] {
        place.set(key, value);
    }
}

/// Lets the place's servers use `redis`.
pub fn use_redis(place: &mut Place, redis: &RedisServer) {
    place.set("REDIS_HOST", "127.0.0.1");
    place.set("REDIS_PORT", &redis.port().to_string());
    place.set("REDIS_PASSWORD", &redis_password());
}

/// A new place that uses both.
pub fn place_with_both(postgres: &Postgres, redis: &RedisServer) -> Place {
    let mut place = place_with(postgres);
    use_redis(&mut place, redis);
    place
}

/// A new place that uses `postgres`.
pub fn place_with(postgres: &Postgres) -> Place {
    let mut place = place();
    use_postgres(&mut place, postgres.port());
    place
}

/// A server in a new place that uses `postgres`.
pub fn server_with(postgres: &Postgres) -> Server {
    Server::start_in(place_with(postgres))
}
