//! Passwords that are changed while the server runs: it comes back without a restart.

use std::fs;

use rustix::process::Signal;

use crate::load::Load;
use crate::places::{place_with, place_with_both, postgres, redis};
use crate::postgres_server::{DATABASE, Postgres};
use crate::redis_server::RedisServer;
use crate::server::{Place, Server};
use crate::sinks::judge::{agree_running, all_is_well, settle, wait_until_down};

const PASSWORDS: [&str; 3] = [
    "first-pa55word-of-the-test",
    "second-pa55word-of-the-test",
    "third-pa55word-of-the-test",
];

/// Puts a password into the file that the server was given.
fn write(place: &Place, password: &str) {
    fs::write(place.path().join("password"), format!("{password}\n")).expect("room");
}

/// Lets a variable name that file, with the first password in it.
fn use_file(place: &mut Place, variable: &str) {
    write(place, PASSWORDS[0]);
    let path = place.path().join("password");
    place.set(variable, "");
    let path = path.to_str().expect("UTF-8").to_owned();
    place.set(&format!("{variable}_FILE"), &path);
}

fn check_discretion(server: &Server) {
    let mut client = server.client();
    let shown = ["/health", "/metrics"].map(|path| client.get(path).ok().text().to_owned());
    for text in shown.iter().chain([&server.log()]) {
        for password in PASSWORDS {
            assert!(!text.contains(password), "{text}");
        }
    }
}

/// Cuts the connections of `shop`.
fn cut_postgres(postgres: &Postgres) {
    let cut =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'shop'";
    assert_ne!(postgres.query(DATABASE, cut), "0");
}

fn change_postgres(postgres: &Postgres, password: &str) {
    let alter = format!("ALTER ROLE shop PASSWORD '{password}'");
    postgres.query(DATABASE, &alter);
    cut_postgres(postgres);
}

#[test]
fn a_changed_password_of_postgres_needs_no_restart() {
    let postgres = postgres();
    let create = format!(
        "CREATE ROLE shop LOGIN SUPERUSER PASSWORD '{}'",
        PASSWORDS[0]
    );
    postgres.query(DATABASE, &create);
    let mut place = place_with(&postgres);
    place.set("DB_USER", "shop");
    use_file(&mut place, "DB_PASSWORD");
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);

    // First the database, then the file.
    change_postgres(&postgres, PASSWORDS[1]);
    bought.add(Load::purchases(&server, 20));
    wait_until_down(&server, "database", "password rejected");
    write(server.place(), PASSWORDS[1]);
    settle(&server);
    server.wait_for_log("Postgres: the password was rejected, and another one accepted");

    // First the file: until the database knows the new one, the one before is right.
    write(server.place(), PASSWORDS[2]);
    server.signal(Signal::HUP);
    server.wait_for_log("the password of Postgres was read anew");
    cut_postgres(&postgres);
    bought.add(Load::purchases(&server, 20));
    settle(&server);
    change_postgres(&postgres, PASSWORDS[2]);
    bought.add(Load::purchases(&server, 20));
    settle(&server);

    // A file that is wrong keeps the old one.
    write(server.place(), "");
    server.signal(Signal::HUP);
    server.wait_for_log("DB_PASSWORD_FILE: ");
    server.wait_for_log("the secret stays as it was");
    cut_postgres(&postgres);
    bought.add(Load::purchases(&server, 20));
    settle(&server);
    check_discretion(&server);
    write(server.place(), PASSWORDS[2]);
    all_is_well(server, &postgres, &bought);
}

fn change_redis(redis: &RedisServer, password: &str) {
    let password = format!(">{password}");
    let answer = redis.command(&["ACL", "SETUSER", "shop", "resetpass", &password]);
    assert!(!answer.is_error(), "{answer:?}");
    redis.command(&["CLIENT", "KILL", "USER", "shop"]);
}

#[test]
fn a_changed_password_of_redis_needs_no_restart() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let first = format!(">{}", PASSWORDS[0]);
    let answer = redis.command(&["ACL", "SETUSER", "shop", "on", &first, "~*", "&*", "+@all"]);
    assert!(!answer.is_error(), "{answer:?}");
    let mut place = place_with_both(&postgres, &redis);
    place.set("REDIS_USER", "shop");
    use_file(&mut place, "REDIS_PASSWORD");
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);

    change_redis(&redis, PASSWORDS[1]);
    bought.add(Load::purchases(&server, 20));
    wait_until_down(&server, "redis", "the password was rejected");
    write(server.place(), PASSWORDS[1]);
    settle(&server);
    server.wait_for_log("Redis: the password was rejected, and another one accepted");

    write(server.place(), PASSWORDS[2]);
    server.signal(Signal::HUP);
    server.wait_for_log("the password of Redis was read anew");
    redis.command(&["CLIENT", "KILL", "USER", "shop"]);
    bought.add(Load::purchases(&server, 20));
    settle(&server);
    change_redis(&redis, PASSWORDS[2]);
    bought.add(Load::purchases(&server, 20));
    agree_running(&server);
    check_discretion(&server);
    all_is_well(server, &postgres, &bought);
}
