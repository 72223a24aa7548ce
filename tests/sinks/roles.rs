//! The server in the name of a role that owns nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::load::{Bought, Load};
use crate::places::{place_with, postgres, server_with};
use crate::postgres_server::{DATABASE, Postgres};
use crate::server::{Place, Server};
use crate::sinks::judge::{agree_running, all_is_well, settle};

const SERVER: &str = "flashsale_server";
const READER: &str = "flashsale_reader";
const PASSWORDS: [(&str, &str); 3] = [
    ("DB_OWNER_PASSWORD", "owner's-pa55word"),
    ("DB_PASSWORD", "server-pa55word"),
    ("DB_READER_PASSWORD", "reader-pa55word"),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the file that makes the roles.
fn make_roles(postgres: &Postgres, environment: &[(&str, &str)]) -> Result<(), String> {
    let file = repository().join("docker/postgres/roles.sql");
    postgres.run_file(DATABASE, &file, environment)
}

/// A place that uses the database as one of the roles.
fn place_as(postgres: &Postgres, role: &str, password: &str) -> Place {
    let mut place = place_with(postgres);
    place.set("DB_USER", role);
    place.set("DB_PASSWORD", password);
    place
}

fn place_of_server(postgres: &Postgres) -> Place {
    place_as(postgres, SERVER, PASSWORDS[1].1)
}

fn place_of_owner(postgres: &Postgres) -> Place {
    place_as(postgres, "flashsale_owner", PASSWORDS[0].1)
}

/// A database with its roles, migrated by the owner.
fn migrated() -> Postgres {
    let postgres = postgres();
    make_roles(&postgres, &PASSWORDS).expect("a new database");
    place_of_owner(&postgres).report(&["migrate", "up"]);
    postgres
}

/// Sells generated items, and lets a sale of listed ones be announced.
fn sell(server: &Server, postgres: &Postgres) -> Bought {
    let bought = Load::purchases(server, 50);
    let tomorrow = "SELECT to_char(now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let sale = json!({
        "items": [{"id": "lamp", "name": "Lamp", "stock": 5}],
        "started_at": postgres.query(DATABASE, tomorrow),
    });
    let head = [("Content-Type", "application/json")];
    let answer = server
        .client()
        .send("POST", "/admin/sales", &head, sale.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    settle(server);
    bought
}

#[test]
fn a_server_that_owns_nothing_sells() {
    let postgres = migrated();
    let server = Server::start_in(place_of_server(&postgres));
    let mut bought = sell(&server, &postgres);
    agree_running(&server);
    // Again, because the roles and their rights stay as they are.
    make_roles(&postgres, &PASSWORDS).expect("nothing is done twice");
    bought.add(Load::purchases(&server, 20));
    let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.query(DATABASE, owners), "flashsale_owner");
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_database_that_a_superuser_has_migrated_is_given_to_the_owner() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);
    let mut place = server.stop();
    make_roles(&postgres, &PASSWORDS).expect("a database in use");
    for (key, value) in [("DB_USER", SERVER), ("DB_PASSWORD", PASSWORDS[1].1)] {
        place.set(key, value);
    }
    let server = Server::start_in(place);
    bought.add(sell(&server, &postgres));
    let up = place_of_owner(&postgres).report(&["migrate", "up"]);
    assert_eq!(up, "nothing to do: every migration is applied\n");
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_database_that_others_use_is_left_to_them() {
    let postgres = postgres();
    postgres.query(
        DATABASE,
        "CREATE ROLE other LOGIN; CREATE SCHEMA shop AUTHORIZATION other;
         CREATE TABLE shop.orders (); CREATE TABLE public.customers (); ALTER TABLE customers OWNER TO other;
         CREATE EXTENSION pgcrypto",
    );
    let said = make_roles(&postgres, &PASSWORDS).expect_err("it is not ours alone");
    assert!(
        said.contains("others use this database, too (customers, shop.orders): give flashsale"),
        "{said}"
    );
    let as_before =
        "SELECT relowner::regrole, has_database_privilege('other', 'flashsale', 'CONNECT'),
                            to_regrole('flashsale_owner') IS NULL
                     FROM pg_class WHERE relname = 'customers'";
    assert_eq!(postgres.query(DATABASE, as_before), "other|t|t");

    // What comes later stays whose it is, and is not shown to those who read ours.
    postgres.query(DATABASE, "DROP TABLE customers, shop.orders");
    make_roles(&postgres, &PASSWORDS).expect("there are only an empty schema and an extension");
    let later = "CREATE TABLE customers (); ALTER TABLE customers OWNER TO other";
    postgres.query(DATABASE, later);
    place_of_owner(&postgres).report(&["migrate", "up"]);
    make_roles(&postgres, &PASSWORDS).expect("it has become ours");
    let theirs = "SELECT relowner::regrole, has_table_privilege('flashsale_reader', oid, 'SELECT'),
                         has_table_privilege('flashsale_server', oid, 'SELECT')
                  FROM pg_class WHERE relname = 'customers'";
    assert_eq!(postgres.query(DATABASE, theirs), "other|f|f");
}

#[test]
fn whose_migrations_are_pending_is_said() {
    let postgres = postgres();
    make_roles(&postgres, &PASSWORDS).expect("a new database");
    let place = place_of_server(&postgres);
    let how = "this user may not do so: run `flashsale migrate up` with DB_USER=flashsale_owner, to \
               whom the schema belongs";
    for arguments in [&["serve"][..], &["migrate", "up"]] {
        let (code, said) = place.failure(arguments);
        assert_eq!(code, Some(1), "{said}");
        let what = "001_watermark.up.sql and 15 more are not applied to this database, and";
        assert!(said.contains(&format!("{what} {how}")), "{said}");
    }
    place_of_owner(&postgres).report(&["migrate", "up"]);
    let server = Server::start_in(place);
    let bought = Load::purchases(&server, 5);
    let mut place = all_is_well(server, &postgres, &bought);

    // A version with one more.
    let dir: PathBuf = place.path().join("migrations");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(repository().join("migrations"))
        .arg(&dir)
        .status();
    assert!(copied.expect("cp runs").success());
    for way in ["up", "down"] {
        let file = dir.join(format!("017_more.{way}.sql"));
        std::fs::write(file, "SELECT 1").expect("our own directory");
    }
    place.set("DB_MIGRATIONS_PATH", "migrations");
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let what = "017_more.up.sql is not applied to this database, and";
    assert!(said.contains(&format!("{what} {how}")), "{said}");
}

/// Runs every statement in the name of `role`. Each must be refused for want of rights, and nothing else.
fn all_are_denied(postgres: &Postgres, role: &str, statements: &[String]) {
    let quoted: Vec<_> = statements.iter().map(|it| format!("$q${it}$q$")).collect();
    let sql = format!(
        "SET SESSION AUTHORIZATION {role};
         SET default_transaction_read_only = off;
         DO $$ DECLARE tried text; BEGIN
             FOREACH tried IN ARRAY ARRAY[{}] LOOP
                 BEGIN
                     EXECUTE tried;
                 EXCEPTION WHEN insufficient_privilege THEN CONTINUE;
                 END;
                 RAISE EXCEPTION 'this may be done: %', tried;
             END LOOP;
         END $$",
        quoted.join(", ")
    );
    let tried = postgres.try_query(DATABASE, &sql);
    tried.unwrap_or_else(|said| panic!("{role}: {said}"));
}

/// What neither the server nor readers may do.
fn forbidden(postgres: &Postgres) -> Vec<String> {
    let relations = postgres.query(
        DATABASE,
        "SELECT relkind, relname FROM pg_class
         WHERE relkind IN ('r', 'p', 'v') AND relnamespace = 'public'::regnamespace",
    );
    let mut statements = Vec::new();
    for relation in relations.lines() {
        match relation.split_once('|').expect("two columns") {
            ("v", view) => statements.push(format!("DROP VIEW {view}")),
            (_, table) => statements.extend([
                format!("DROP TABLE {table}"),
                format!("TRUNCATE {table}"),
                format!("DELETE FROM {table}"),
                format!("ALTER TABLE {table} ADD oops int"),
            ]),
        }
    }
    assert!(statements.len() > 70, "{statements:?}");
    let others = [
        "CREATE TABLE mine ()",
        "CREATE TEMP TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "SELECT reset_projection()",
        "INSERT INTO migrations (name, checksum) VALUES ('999_x.up.sql', '')",
        "INSERT INTO watermark (lsn, fingerprint) VALUES (0, 0)",
        "UPDATE purchase_results SET sold = true",
        "UPDATE pools SET item_index = 9",
        "UPDATE sales SET ended_at = now()",
        "ALTER FUNCTION ensure_partitions(integer) SECURITY INVOKER",
        "SET ROLE flashsale_owner",
        "COPY sales TO '/tmp/x'",
    ];
    statements.extend(others.map(str::to_owned));
    statements
}

#[test]
fn a_role_may_do_what_it_must_and_no_more() {
    let postgres = migrated();
    let server = Server::start_in(place_of_server(&postgres));
    let bought = sell(&server, &postgres);
    let statements = forbidden(&postgres);
    all_are_denied(&postgres, SERVER, &statements);
    all_are_denied(&postgres, READER, &statements);
    let writes = [
        "INSERT INTO sales DEFAULT VALUES",
        "INSERT INTO purchases DEFAULT VALUES",
        "UPDATE watermark SET lsn = 0",
        "UPDATE sales SET closed_at = now()",
        "SELECT ensure_partitions(1)",
        "SELECT abandon_sale(1)",
    ];
    all_are_denied(&postgres, READER, &writes.map(str::to_owned));

    // What the owner does in the server's name is bounded, too.
    let abandon = "SET SESSION AUTHORIZATION flashsale_server; SELECT abandon_sale(1)";
    let said = postgres.try_query(DATABASE, abandon);
    let said = said.expect_err("a sale that is there");
    assert!(said.contains("sale 1 is there: its items stay"), "{said}");
    for purchases in ["purchases", "seed.purchases"] {
        let read = format!(
            "SET SESSION AUTHORIZATION flashsale_reader; SELECT count(*) > 49 FROM {purchases}"
        );
        assert_eq!(postgres.query(DATABASE, &read), "t");
    }
    all_is_well(server, &postgres, &bought);
}

/// Beside others nothing is taken from them.
#[test]
fn roles_of_a_schema_leave_the_rest_of_the_database_alone() {
    let postgres = postgres();
    postgres.query(
        DATABASE,
        "CREATE ROLE other LOGIN; CREATE TABLE purchases (id integer)",
    );
    let variables = [&PASSWORDS[..], &[("DB_SCHEMA", "shop")]].concat();
    make_roles(&postgres, &variables).expect("a schema of its own");
    let mut owner = place_of_owner(&postgres);
    owner.set("DB_SCHEMA", "shop");
    owner.report(&["migrate", "up"]);
    make_roles(&postgres, &variables).expect("nothing is done twice");
    let mut place = place_of_server(&postgres);
    place.set("DB_SCHEMA", "shop");
    let server = Server::start_in(place);
    let _bought = sell(&server, &postgres);
    agree_running(&server);
    server.stop();
    let others = "SELECT has_database_privilege('other', current_database(), 'CONNECT'),
                         (SELECT nspowner::regrole <> 'flashsale_owner'::regrole FROM pg_namespace WHERE nspname = 'public'),
                         (SELECT array_agg(DISTINCT tableowner) FROM pg_tables WHERE schemaname = 'shop'),
                         has_schema_privilege('flashsale_reader', 'shop', 'USAGE'),
                         has_table_privilege('flashsale_reader', 'shop_seed.items', 'SELECT'),
                         to_regnamespace('seed') IS NULL";
    assert_eq!(
        postgres.query(DATABASE, others),
        "t|t|{flashsale_owner}|t|t|t"
    );
    postgres.query(DATABASE, "CREATE SCHEMA busy; CREATE TABLE busy.orders ()");
    let said = make_roles(
        &postgres,
        &[&PASSWORDS[..], &[("DB_SCHEMA", "busy")]].concat(),
    );
    let said = said.expect_err("it is not ours");
    assert!(
        said.contains("others use this schema, too (busy.orders)"),
        "{said}"
    );
}

#[test]
fn what_the_roles_need_is_said() {
    let postgres = postgres();
    let said = make_roles(&postgres, &PASSWORDS[..2]).expect_err("a password is missing");
    assert!(
        said.contains("passwords are missing: DB_OWNER_PASSWORD"),
        "{said}"
    );
    let superuser = [&PASSWORDS[..], &[("DB_USER", "flashsale")]].concat();
    let said = make_roles(&postgres, &superuser).expect_err("it may do everything");
    assert!(said.contains("DB_USER is a superuser"), "{said}");
    let named = [&PASSWORDS[..], &[("DB_USER", "shop")]].concat();
    make_roles(&postgres, &named).expect("a new database");
    place_of_owner(&postgres).report(&["migrate", "up"]);
    let server = Server::start_in(place_as(&postgres, "shop", PASSWORDS[1].1));
    let bought = Load::purchases(&server, 5);
    let log = postgres.log();
    assert!(
        PASSWORDS
            .iter()
            .all(|(_, password)| !log.contains(password))
    );
    all_is_well(server, &postgres, &bought);
}
