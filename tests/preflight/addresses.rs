//! Every error of a sink names which one, with host and port, and no secret; `/health`, which is public, has none
//! of them.

use crate::postgres_server::free_port;
use crate::preflight::report::preflight;
use crate::server::{Place, Server, wait_for};

const SECRETS: [&str; 2] = ["pa55word-of-postgres", "pa55word-of-redis"];

/// A place with both sinks at dead ports; what an error must name of each.
fn place() -> (Place, String, String) {
    let dead_port = || free_port().to_string();
    let (database, redis) = (dead_port(), dead_port());
    let mut place = Place::new(&[
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", &database),
        ("DB_PASSWORD", SECRETS[0]),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis),
        ("REDIS_PASSWORD", SECRETS[1]),
    ]);
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    place.set("DB_MIGRATIONS_PATH", migrations);
    let address = |port| format!("127.0.0.1:{port}");
    (place, address(database), address(redis))
}

#[track_caller]
fn names(said: &str, parts: &[String]) {
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn every_command_names_the_server_that_it_does_not_reach() {
    let (place, database, redis) = place();
    let refused = |sink: &str, address: &str| format!("{sink} at {address}: connection refused");
    for arguments in [
        &["migrate", "status"][..],
        &["migrate", "up"],
        &["migrate", "down", "--yes"],
        &["recover", "--from", "postgres"],
    ] {
        let (code, said) = place.failure(arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        names(&said, &[refused("Postgres", &database)]);
    }
    let (_, said) = place.failure(&["rebuild", "redis", "--yes"]);
    names(&said, &[refused("Redis", &redis)]);
    let report = preflight(&place, &[]);
    report.has(
        "fail",
        "postgres",
        &format!("{database}: connection refused"),
    );
    report.has("fail", "redis", &format!("{redis}: connection refused"));
    names(&report.text, &[]);
}

#[test]
fn a_follower_names_the_server_in_the_log_and_not_in_the_health() {
    let (place, database, redis) = place();
    let server = Server::start_in(place);
    let health = wait_for("both to be down", || {
        let health = server.client().get("/health").ok();
        let services = health.json()["services_status"].clone();
        let is_down = |sink: &str| services[sink] == "DOWN";
        (is_down("database") && is_down("redis")).then(|| health.text().to_owned())
    });
    for address in [&database, &redis] {
        assert!(!health.contains(address.as_str()), "{health}");
    }
    // What is logged comes behind what is shown.
    for (sink, address) in [("Postgres", &database), ("Redis", &redis)] {
        server.wait_for_log(&format!(
            "{sink} is not followed: {address}: connection refused"
        ));
    }
    let address = format!("Postgres cannot be followed yet: {database}");
    names(&server.log(), &[address]);
    let place = server.stop();
    let output = place.run(&["verify"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let parts = [("Postgres", &database), ("Redis", &redis)]
        .map(|(sink, address)| format!("NOT CHECKED: {sink} at {address}: connection refused"));
    names(&said, &parts);
}
