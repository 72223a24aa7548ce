//! Several live in one database, each in a schema of its own.

use std::fs;

use crate::load::Load;
use crate::places::{place_with, postgres};
use crate::postgres_server::{DATABASE, Postgres};
use crate::server::{Place, Server};
use crate::sinks::judge::{agree_running, settle, verify};

fn place_in(postgres: &Postgres, schema: &str) -> Place {
    let mut place = place_with(postgres);
    place.set("DB_SCHEMA", schema);
    place
}

#[test]
fn two_servers_live_in_two_schemas_beside_a_foreign_view_of_purchases() {
    let postgres = postgres();
    postgres.query(
        DATABASE,
        "CREATE TABLE customers (id integer); CREATE VIEW purchases AS SELECT id FROM customers;
         CREATE TABLE items (id integer); CREATE TABLE migrations (id integer, migration text, batch integer)",
    );
    let foreign = "SELECT c.relkind, c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
                   WHERE relnamespace = 'public'::regnamespace AND attnum > 0 ORDER BY 2, 3";
    let before = postgres.query(DATABASE, foreign);
    let (code, said) = place_with(&postgres).failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("migrations (of another form)") && said.contains("DB_SCHEMA"),
        "{said}"
    );

    let names = ["shop_a", "Shop-B"];
    let servers = names.map(|schema| Server::start_in(place_in(&postgres, schema)));
    let bought = [40, 70]
        .iter()
        .zip(&servers)
        .map(|(&count, server)| Load::purchases(server, count));
    let bought: Vec<_> = bought.collect();
    for ((server, schema), bought) in servers.iter().zip(names).zip(&bought) {
        settle(server);
        agree_running(server);
        let rows = format!("SELECT count(*) FROM \"{schema}\".purchase_results WHERE sold");
        let units: usize = bought.sold.values().map(|items| items.len()).sum();
        assert_eq!(postgres.query(DATABASE, &rows), units.to_string());
    }
    for (server, schema) in servers.into_iter().zip(names) {
        let place = server.stop();
        let (code, report) = verify(&place, &[]);
        assert_eq!(code, Some(0), "{report}");
        fs::remove_dir_all(place.journal_dir()).expect("our own directory");
        place.report(&["recover", "--from", "postgres"]);
        assert!(
            !place.report(&["migrate", "status"]).contains("pending"),
            "{schema}"
        );
        place.report(&["migrate", "down", "--steps", "99", "--yes"]);
        let left = format!("SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text = quote_ident('{schema}')
                            AND relname NOT LIKE 'migrations%'");
        assert_eq!(postgres.query(DATABASE, &left), "0");
    }
    assert_eq!(postgres.query(DATABASE, foreign), before);
}

#[test]
fn a_schema_that_cannot_be_made_is_named_with_what_to_do() {
    let postgres = postgres();
    postgres.query(
        DATABASE,
        "CREATE ROLE guest LOGIN PASSWORD 'guest-pa55word'",
    );
    let mut place = place_in(&postgres, "shop");
    place.set("DB_USER", "guest");
    place.set("DB_PASSWORD", "guest-pa55word");
    let (code, said) = place.failure(&["migrate", "up"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("CREATE SCHEMA \"shop\" AUTHORIZATION"),
        "{said}"
    );
}
