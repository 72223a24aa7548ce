//! Who may not get in is told why in words that give nothing away.

use std::fs;
use std::path::PathBuf;

use crate::certificates::Authority;
use crate::load::{Bought, Load};
use crate::places::{
    place_with, place_with_both, postgres, redis, redis_password, server_with, use_postgres,
    use_redis,
};
use crate::postgres_server::{DATABASE, PASSWORD, Postgres};
use crate::redis_server::RedisServer;
use crate::server::{Place, Server};
use crate::sinks::judge::{all_is_well, settle, verify, wait_until_down, wait_until_up};

const WRONG: &str = "wrong-password-of-the-test";

fn file(place: &Place, name: &str, text: &str) -> PathBuf {
    let path = place.path().join(name);
    fs::write(&path, text).expect("a new file");
    path
}

fn passwords() -> [String; 3] {
    [PASSWORD.into(), WRONG.into(), redis_password()]
}

/// Nothing that the server says may hold a password or a code, and nothing that everybody sees an address, which is
/// for the log of whoever runs the server.
fn check_discretion(server: &Server, bought: &Bought) {
    let mut client = server.client();
    let shown = ["/health", "/metrics"].map(|path| client.get(path).ok().text().to_owned());
    let log = server.log();
    let codes = bought.sold.keys().chain(&bought.open);
    let codes = codes.map(|code| code.rsplit('-').next().expect("a secret"));
    let passwords = passwords();
    for text in shown.iter().chain([&log]) {
        for secret in passwords.iter().map(String::as_str).chain(codes.clone()) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let is_complaint = |line: &&str| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
    let complaints: Vec<_> = log.lines().filter(is_complaint).collect();
    assert!(!complaints.is_empty(), "{log}");
    for text in &shown {
        for address in ["127.0.0.1", "localhost", "no-such-host", "::1"] {
            assert!(!text.contains(address), "{address} in {text}");
        }
    }
}

/// The sink must be down for a reason of which everybody is `shown` this, and the log alone is `told` the
/// rest.
fn check_withheld(server: &Server, sink: &str, shown: &str, told: &str) {
    wait_until_down(server, sink, shown);
    let health = server.client().get("/health").ok();
    assert!(!health.text().contains(told), "{}", health.text());
    // What is logged comes behind what is shown.
    server.wait_for_log(told);
    let log = server.log();
    let told_of = |line: &str| line.contains("is not followed") && line.contains(told);
    assert!(log.lines().any(told_of), "{told}: {log}");
}

/// Starts the server with a setting that keeps it out; it sells, says why, and nothing else.
fn kept_out(mut place: Place, settings: &[(&str, &str)], sink: &str, why: &str) -> (Place, Bought) {
    for (key, value) in settings {
        place.set(key, value);
    }
    let server = Server::start_in(place);
    let bought = Load::purchases(&server, 20);
    wait_until_down(&server, sink, why);
    check_discretion(&server, &bought);
    let place = server.stop();
    let (code, report) = verify(&place, &[]);
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains("NOT CHECKED"), "{report}");
    for secret in passwords() {
        assert!(!report.contains(&secret), "{secret} in {report}");
    }
    (place, bought)
}

#[test]
fn a_server_that_the_database_keeps_out_sells_and_logs_no_secret() {
    let postgres = postgres();
    let mut place = place_with(&postgres);
    let mut bought = Bought::default();
    let cases = [
        ("DB_PASSWORD", WRONG, "password rejected (28P01)"),
        ("DB_HOST", "no-such-host.invalid", "host not found"),
        ("DB_PORT", "1", "connection refused"),
        ("DB_NAME", "elsewhere", "there is no such database"),
        ("DB_SSLMODE", "require", "the server offers none"),
    ];
    for (key, value, why) in cases {
        let (back, more) = kept_out(place, &[(key, value)], "database", why);
        place = back;
        bought.add(more);
        use_postgres(&mut place, postgres.port());
        place.set("DB_SSLMODE", "disable");
    }
    let server = Server::start_in(place);
    all_is_well(server, &postgres, &bought);
}

#[test]
fn only_the_database_with_the_right_certificate_is_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("127.0.0.1");
    let postgres = Postgres::start_tls(&certificate, &key);
    let mut place = place_with(&postgres);
    let ours = file(&place, "ours.pem", &ours.pem);
    let theirs = file(&place, "theirs.pem", &theirs.pem);
    place.set("DB_SSLMODE", "verify-full");
    let root = ("DB_SSLROOTCERT", theirs.to_str().expect("UTF-8"));
    let why = "no trusted authority has signed it";
    let (place, mut bought) = kept_out(place, &[root], "database", why);
    let host = ("DB_HOST", "localhost");
    let root = ("DB_SSLROOTCERT", ours.to_str().expect("UTF-8"));
    let why = "it is for another host name";
    let (mut place, more) = kept_out(place, &[host, root], "database", why);
    bought.add(more);
    place.set("DB_HOST", "127.0.0.1");
    let server = Server::start_in(place);
    settle(&server);
    bought.add(Load::purchases(&server, 20));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_server_that_redis_keeps_out_sells_and_logs_no_secret() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let mut place = place_with_both(&postgres, &redis);
    let mut bought = Bought::default();
    let cases = [
        ("REDIS_PASSWORD", WRONG, "the password was rejected"),
        ("REDIS_HOST", "no-such-host.invalid", "host not found"),
        ("REDIS_PORT", "1", "connection refused"),
        ("REDIS_DB", "300", "it has no database of that number"),
    ];
    for (key, value, why) in cases {
        let (back, more) = kept_out(place, &[(key, value)], "redis", why);
        place = back;
        bought.add(more);
        use_redis(&mut place, &redis);
        place.set("REDIS_DB", "0");
    }
    let server = Server::start_in(place);
    all_is_well(server, &postgres, &bought);
}

#[test]
fn only_the_redis_with_the_right_certificate_is_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("localhost");
    let password = format!("requirepass {}", redis_password());
    let redis = RedisServer::start_tls(&certificate, &key, &[&password]);
    let postgres = postgres();
    let mut place = place_with_both(&postgres, &redis);
    let ours = file(&place, "ours.pem", &ours.pem);
    let theirs = file(&place, "theirs.pem", &theirs.pem);
    place.set("REDIS_HOST", "rediss://localhost");
    let root = ("REDIS_SSLROOTCERT", theirs.to_str().expect("UTF-8"));
    let why = "its certificate is not trusted";
    let (place, mut bought) = kept_out(place, &[root], "redis", why);
    let host = ("REDIS_HOST", "rediss://127.0.0.1");
    let root = ("REDIS_SSLROOTCERT", ours.to_str().expect("UTF-8"));
    let why = "its certificate is for another host";
    let (mut place, more) = kept_out(place, &[host, root], "redis", why);
    bought.add(more);
    place.set("REDIS_HOST", "rediss://localhost");
    let server = Server::start_in(place);
    bought.add(Load::purchases(&server, 20));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn where_the_authorities_are_is_for_the_log_alone() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let password = format!("requirepass {}", redis_password());
    let redis = RedisServer::start_tls(&certificate, &key, &[&password]);
    let mut postgres = Postgres::start_tls(&certificate, &key);
    let mut place = place_with_both(&postgres, &redis);
    place.set("DB_HOST", "localhost");
    place.set("DB_SSLMODE", "verify-full");
    let found = file(&place, "found.pem", &authority.pem);
    place.set("DB_SSLROOTCERT", found.to_str().expect("UTF-8"));
    place.set("REDIS_HOST", "rediss://localhost");
    let missing = place.path().join("missing.pem");
    let missing = missing.to_str().expect("UTF-8");
    place.set("REDIS_SSLROOTCERT", missing);
    let server = Server::start_in(place);
    let shown = "sslrootcert cannot be used: the log says why";
    check_withheld(&server, "redis", shown, missing);

    wait_until_up(&server, "database");
    fs::remove_file(&found).expect("our own file");
    postgres.stop();
    postgres.restart();
    check_withheld(&server, "database", shown, found.to_str().expect("UTF-8"));
    server.stop();
}

#[test]
fn a_notice_of_the_database_is_logged_with_its_name() {
    let postgres = postgres();
    let server = server_with(&postgres);
    settle(&server);
    postgres.query(
        DATABASE,
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE WARNING 'mind the gap';
             RETURN NEW;
         END $$;
         CREATE TRIGGER warn BEFORE UPDATE ON watermark FOR EACH STATEMENT EXECUTE FUNCTION warn()",
    );
    let bought = Load::purchases(&server, 5);
    server.wait_for_log("Postgres says: WARNING: mind the gap");
    let log = server.log();
    let nameless = |line: &&str| line.contains("mind the gap") && !line.contains("Postgres");
    assert_eq!(log.lines().find(nameless), None);
    postgres.query(DATABASE, "DROP FUNCTION warn CASCADE");
    all_is_well(server, &postgres, &bought);
}

#[test]
fn messages_of_the_database_are_for_the_log_alone() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);
    postgres.query(
        DATABASE,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE 'could not open /srv/secret/16384' USING ERRCODE = 'io_error';
         END $$;
         CREATE TRIGGER fail BEFORE UPDATE ON watermark EXECUTE FUNCTION fail()",
    );
    bought.add(Load::purchases(&server, 20));
    check_withheld(
        &server,
        "database",
        "the database failed (58030)",
        "/srv/secret/16384",
    );
    postgres.query(DATABASE, "DROP FUNCTION fail CASCADE");
    all_is_well(server, &postgres, &bought);
}
