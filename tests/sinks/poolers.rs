//! Behind a pooler every session is somebody else's a moment later.

use std::fs;

use crate::load::Load;
use crate::places::{place, postgres, use_postgres};
use crate::pooler::Pooler;
use crate::postgres_server::Postgres;
use crate::server::{Place, Server};
use crate::sinks::judge::{agree_running, settle, verify, wait_until_up};

/// Everything that a session can be left with. (Those of plpgsql are there once a function has been called.)
const SESSION: &str = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%'
     UNION ALL SELECT 'prepared', name || ' ' || statement FROM pg_prepared_statements
     UNION ALL SELECT 'lock', objid::text FROM pg_locks WHERE locktype = 'advisory'
     UNION ALL SELECT 'table', relname FROM pg_class WHERE relpersistence = 't'
     UNION ALL SELECT 'channel', pg_listening_channels()
     ORDER BY 1, 2";

fn place_behind(pooler: &Pooler) -> Place {
    let mut place = place();
    use_postgres(&mut place, pooler.port());
    place
}

/// Lets everything of ours use the pooler, beside another application.
fn nothing_is_left(postgres: &Postgres, pooler: &Pooler) {
    pooler.query("CREATE TABLE orders (id integer)");
    let before = pooler.query(SESSION);
    let place = place_behind(pooler);
    place.report(&["migrate", "up"]);
    place.report(&["migrate", "status"]);
    let server = Server::start_in(place);
    let bought = Load::purchases(&server, 60);
    settle(&server);
    agree_running(&server);
    let output = server.place().run(&["preflight"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let failed = |line: &&str| line.starts_with("FAIL") && line.contains("postgres");
    assert!(said.contains("migrations are applied"), "{said}");
    assert_eq!(said.lines().find(failed), None, "{said}");
    wait_until_up(&server, "database");
    let place = server.stop();
    let (code, report) = verify(&place, &[]);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        !bought.sold.is_empty() && report.contains("records are the journal's, field by field")
    );
    fs::remove_dir_all(place.journal_dir()).expect("our own directory");
    place.report(&["recover", "--from", "postgres"]);
    place.report(&["migrate", "down", "--yes"]);

    // Each of the sessions, all of them at once.
    for _ in 0..4 {
        pooler.query("INSERT INTO orders VALUES (1)");
        let after = pooler.query(SESSION);
        let left: Vec<_> = after
            .lines()
            .filter(|line| !before.contains(line))
            .collect();
        assert!(after == before, "left behind: {left:?}");
    }
    let log = postgres.log();
    for complaint in [
        "read-only transaction",
        "does not exist",
        "already a transaction",
        "no transaction",
        "in transaction blocks",
    ] {
        assert!(!log.contains(complaint), "{log}");
    }
}

#[test]
fn verify_through_a_pooler_in_transaction_mode_leaves_sessions_as_they_were() {
    let postgres = postgres();
    let pooler = Pooler::start(&postgres, "transaction", 1);
    nothing_is_left(&postgres, &pooler);
}

#[test]
fn a_pooler_in_session_mode_is_used_as_the_database_itself() {
    let postgres = postgres();
    let pooler = Pooler::start(&postgres, "session", 8);
    nothing_is_left(&postgres, &pooler);
}

/// Another client of the same library numbers its statements as ours does.
#[test]
fn names_of_statements_that_others_have_left_in_a_session_are_not_in_the_way() {
    let postgres = postgres();
    let pooler = Pooler::start(&postgres, "transaction", 1);
    let prepare: Vec<_> = (0..40)
        .map(|number| format!("PREPARE s{number} AS SELECT 1"))
        .collect();
    pooler.query(&prepare.join("; "));
    let server = Server::start_in(place_behind(&pooler));
    let _bought = Load::purchases(&server, 20);
    agree_running(&server);
    assert_eq!(
        pooler.query("SELECT count(*) FROM pg_prepared_statements"),
        "40"
    );
    server.stop();
}

#[test]
fn a_pooler_in_statement_mode_is_refused_with_the_reason() {
    let postgres = postgres();
    let pooler = Pooler::start(&postgres, "statement", 4);
    let place = place_behind(&pooler);
    let (code, said) = place.failure(&["migrate", "up"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("pool_mode = statement") && said.contains("pool_mode = transaction"),
        "{said}"
    );
}
