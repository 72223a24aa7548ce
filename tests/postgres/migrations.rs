//! The schema's steps, by the binary and by the sink.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use flashsale::reconcile::postgres::{PostgresOptions, migrations};
use tempfile::TempDir;

use crate::postgres::driver::{Driver, migrations as repository, options, runtime};
use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};

const ALL: [&str; 16] = [
    "001_watermark.up.sql",
    "002_sales.up.sql",
    "003_checkouts.up.sql",
    "004_purchases.up.sql",
    "005_views.up.sql",
    "006_roles.up.sql",
    "007_seed_views.up.sql",
    "008_checkout_keys.up.sql",
    "009_checkouts_of_sale.up.sql",
    "010_releases.up.sql",
    "011_sale_changes.up.sql",
    "012_payments.up.sql",
    "013_stock_changes.up.sql",
    "014_cancellations.up.sql",
    "015_item_limits.up.sql",
    "016_openings.up.sql",
];

/// A server, and a copy of the migrations that may be changed.
struct Place {
    postgres: Postgres,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for entry in fs::read_dir(repository()).expect("migrations") {
            let from = entry.expect("a directory entry").path();
            let to = dir.path().join(from.file_name().expect("a file"));
            fs::copy(&from, &to).expect("a copy");
        }
        Self {
            postgres: Postgres::start_with(&["fsync=off"]),
            dir,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("our own directory");
    }

    fn options(&self) -> PostgresOptions {
        PostgresOptions {
            migrations: self.dir.path().to_owned(),
            ..options(&self.postgres)
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command
            .arg("migrate")
            .args(arguments)
            .env_clear()
            .env("DB_HOST", self.postgres.host())
            .env("DB_PORT", self.postgres.port().to_string())
            .env("DB_USER", USER)
            .env("DB_PASSWORD", PASSWORD)
            .env("DB_NAME", DATABASE)
            .env("DB_SSLMODE", "disable")
            .env("DB_MIGRATIONS_PATH", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Runs the binary, which must succeed; what it printed.
    fn report(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs the binary, which must fail; what it said.
    fn failure(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(!said.contains(PASSWORD));
        said
    }

    fn applied(&self) -> String {
        let names = "SELECT name FROM migrations ORDER BY id";
        self.postgres.query(DATABASE, names)
    }

    /// The schema, but for the table of the migrations.
    fn schema(&self) -> String {
        let all = "SELECT relkind, relname FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'migrations%'
                   UNION ALL SELECT 'f', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                   ORDER BY 1, 2";
        self.postgres.query(DATABASE, all)
    }
}

#[test]
fn up_is_in_order_and_does_nothing_twice() {
    let place = Place::new();
    let expected: Vec<_> = ALL.iter().map(|name| format!("applied {name}\n")).collect();
    assert_eq!(place.report(&["up"]), expected.concat());
    assert_eq!(place.applied(), ALL.join("\n"));
    let schema = place.schema();
    let again = "nothing to do: every migration is applied\n";
    assert_eq!(place.report(&["up"]), again);
    Driver::open(place.options());
    assert_eq!(place.schema(), schema);
    let columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns
                   WHERE table_schema = 'public' AND table_name = 'migrations' ORDER BY ordinal_position";
    assert_eq!(
        place.postgres.query(DATABASE, columns),
        "id|integer|NO\nname|character varying|NO\n\
         applied_at|timestamp without time zone|YES\nchecksum|text|NO"
    );
    // A file in the directory that is none of ours is left alone.
    place.write("README.md", "");
    assert_eq!(place.report(&["up"]), again);
}

#[test]
fn down_is_the_way_back() {
    let place = Place::new();
    let nothing = "nothing to do: no migration is applied\n";
    assert_eq!(place.report(&["down"]), nothing);
    place.report(&["up"]);
    let schema = place.schema();

    let warning = place.failure(&["down", "--steps", "13"]);
    assert_eq!(
        warning,
        "this would take back:\n  016_openings.up.sql\n  015_item_limits.up.sql\n  014_cancellations.up.sql, dropping with all they hold: cancellations\n  013_stock_changes.up.sql, dropping with all they hold: stock_changes\n  012_payments.up.sql, dropping with all they hold: payments\n  011_sale_changes.up.sql, dropping with all they hold: sale_changes\n  010_releases.up.sql, dropping with all they hold: releases\n  009_checkouts_of_sale.up.sql\n  008_checkout_keys.up.sql\n  007_seed_views.up.sql\n  006_roles.up.sql\n  005_views.up.sql\n  004_purchases.up.sql, dropping with all \
         they hold: purchase_results, purchases\nThe other tables are emptied with them: a server \
         fills all of them again, from its journal's first record on, if it still has that.\nadd \
         --yes to do it\n"
    );
    assert_eq!(place.schema(), schema);

    for arguments in [
        &["down", "--steps", "0"][..],
        &["down", "--steps", "0", "--yes"],
    ] {
        let said = place.failure(arguments);
        assert_eq!(
            said,
            "--steps 0 takes nothing back: give a number from 1 on\n"
        );
    }

    let done = place.report(&["down", "--yes"]);
    assert_eq!(done, "took back 016_openings.up.sql\n");
    assert_eq!(place.applied(), ALL[..15].join("\n"));
    place.report(&["up"]);
    assert_eq!(place.schema(), schema);
    place.report(&["down", "--steps", "99", "--yes"]);
    assert_eq!(place.schema(), "");
    place.report(&["up"]);
    assert_eq!(place.schema(), schema);
}

/// As a container of Postgres runs what lies in its directory of first steps.
#[test]
fn all_files_in_the_order_of_their_names_make_the_schema() {
    let place = Place::new();
    place.report(&["up"]);
    let schema = place.schema();
    place.report(&["down", "--steps", "99", "--yes"]);
    let mut files: Vec<_> = fs::read_dir(repository())
        .expect("migrations")
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    files.sort();
    let texts = files.iter().map(fs::read_to_string);
    let texts: Vec<_> = texts.map(|text| text.expect("UTF-8")).collect();
    for text in &texts {
        place.postgres.query(DATABASE, text);
    }
    assert_eq!(place.schema(), schema);
    // Each way back on its own, on an empty database.
    for text in texts.iter().step_by(2).rev().chain(texts.iter().step_by(2)) {
        place.postgres.query(DATABASE, text);
    }
    assert_eq!(place.schema(), "");
}

/// While the watermark says that rows are there, nobody writes them again.
#[test]
fn dropping_a_table_resets_the_watermark() {
    let place = Place::new();
    for steps in 4..=6 {
        place.report(&["up"]);
        // Openings; limits of items; what was cancelled; what was changed of stocks; payments; what was changed of sales; what was given back.
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        place.report(&["down", "--steps", "1", "--yes"]);
        // An index.
        place.report(&["down", "--steps", "1", "--yes"]);
        // The columns of the keys are gone, and with them what they had.
        place
            .postgres
            .query(DATABASE, "UPDATE watermark SET lsn = 9, fingerprint = 9");
        place.report(&["down", "--steps", "1", "--yes"]);
        let watermark = "SELECT lsn, fingerprint FROM watermark";
        assert_eq!(place.postgres.query(DATABASE, watermark), "0|0");
        place.postgres.query(
            DATABASE,
            "UPDATE watermark SET lsn = 9, fingerprint = 9;
             INSERT INTO sales VALUES (1, now(), now() + interval '1h', 1, 0, 1, 1, now(), 1);
             INSERT INTO pools VALUES (1, 0, 1)",
        );
        place.report(&["down", "--steps", "1", "--yes"]);
        assert_eq!(place.postgres.query(DATABASE, watermark), "9|9");
        place.report(&["down", "--steps", &(steps - 1).to_string(), "--yes"]);
        assert_eq!(place.postgres.query(DATABASE, watermark), "0|0");
        place.report(&["up"]);
        let rows = "SELECT (SELECT count(*) FROM sales) + (SELECT count(*) FROM pools)";
        assert_eq!(place.postgres.query(DATABASE, rows), "0");
    }
}

#[test]
fn status_says_where_each_one_stands() {
    let place = Place::new();
    let pending: Vec<_> = ALL
        .iter()
        .map(|name| format!("{name}: pending\n"))
        .collect();
    assert_eq!(place.report(&["status"]), pending.concat());
    assert_eq!(place.schema(), "", "looking changes nothing");
    place.report(&["up"]);
    let status = place.report(&["status"]);
    assert_eq!(status.lines().count(), ALL.len());
    assert!(
        status
            .lines()
            .all(|line| line.contains(".up.sql: applied 20"))
    );

    place.write(ALL[1], "SELECT 1");
    place.write("017_more.up.sql", "SELECT 1");
    place.write("017_more.down.sql", "SELECT 1");
    let output = place.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let status = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<_> = status.lines().collect();
    assert!(
        lines[1].ends_with(", changed after it was applied"),
        "{status}"
    );
    assert_eq!(lines[16], "017_more.up.sql: pending");
}

#[test]
fn a_changed_or_missing_file_is_named() {
    let place = Place::new();
    place.report(&["up"]);
    let text = fs::read_to_string(place.file(ALL[2])).expect("a file");
    place.write(ALL[2], &format!("{text}\n-- changed"));
    for arguments in [&["up"][..], &["down", "--yes"]] {
        let said = place.failure(arguments);
        assert!(
            said.starts_with("003_checkouts.up.sql was changed after"),
            "{said}"
        );
    }
    let opened = runtime().block_on(async {
        use flashsale::reconcile::Sink;
        let mut sink = flashsale::reconcile::postgres::PostgresSink::new(place.options());
        sink.open().await
    });
    let said = opened.expect_err("a changed file").to_string();
    assert!(
        said.starts_with("003_checkouts.up.sql was changed after"),
        "{said}"
    );
    place.write(ALL[2], &text);
    place.report(&["up"]);

    fs::remove_file(place.file("004_purchases.down.sql")).expect("it is there");
    let said = place.failure(&["up"]);
    assert!(
        said.contains("004_purchases.down.sql: is missing"),
        "{said}"
    );
    fs::remove_file(place.file(ALL[3])).expect("it is there");
    let said = place.failure(&["up"]);
    assert!(
        said.contains("005_views: the number after 003 must be 004"),
        "{said}"
    );
    fs::remove_file(place.file(ALL[4])).expect("it is there");
    fs::remove_file(place.file("005_views.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[5])).expect("it is there");
    fs::remove_file(place.file("006_roles.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[6])).expect("it is there");
    fs::remove_file(place.file("007_seed_views.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[7])).expect("it is there");
    fs::remove_file(place.file("008_checkout_keys.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[8])).expect("it is there");
    fs::remove_file(place.file("009_checkouts_of_sale.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[9])).expect("it is there");
    fs::remove_file(place.file("010_releases.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[10])).expect("it is there");
    fs::remove_file(place.file("011_sale_changes.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[11])).expect("it is there");
    fs::remove_file(place.file("012_payments.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[12])).expect("it is there");
    fs::remove_file(place.file("013_stock_changes.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[13])).expect("it is there");
    fs::remove_file(place.file("014_cancellations.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[14])).expect("it is there");
    fs::remove_file(place.file("015_item_limits.down.sql")).expect("it is there");
    fs::remove_file(place.file(ALL[15])).expect("it is there");
    fs::remove_file(place.file("016_openings.down.sql")).expect("it is there");
    let said = place.failure(&["up"]);
    assert!(
        said.starts_with("004_purchases.up.sql was applied to this database, but"),
        "{said}"
    );
}

#[test]
fn a_migration_that_fails_leaves_nothing() {
    let place = Place::new();
    place.write(
        "017_bad.up.sql",
        "CREATE TABLE half ();\nCREATE TABLE items ();",
    );
    place.write("017_bad.down.sql", "DROP TABLE half;");
    let said = place.failure(&["up"]);
    let address = place.options().address();
    let expected = format!(
        "Postgres at {address}: 017_bad.up.sql: 42P07: relation \"items\" already exists; nothing of this \
         migration was kept: remove the cause, then start again or run `flashsale migrate up`\n"
    );
    assert_eq!(said, expected);
    assert_eq!(place.applied(), ALL.join("\n"));
    assert!(!place.schema().contains("half"));
    place.write("017_bad.up.sql", "CREATE TABLE half ();");
    assert_eq!(place.report(&["up"]), "applied 017_bad.up.sql\n");
}

#[test]
fn many_at_once_migrate_once() {
    let place = Place::new();
    let options = place.options();
    let up = || runtime().block_on(migrations::up(&options));
    std::thread::scope(|scope| {
        let all = [(); 6].map(|()| scope.spawn(up));
        let mut done: Vec<_> = all
            .into_iter()
            .flat_map(|one| one.join().expect("no panic").expect("migrated"))
            .collect();
        done.sort();
        assert_eq!(done, ALL);
    });
    assert_eq!(place.applied(), ALL.join("\n"));
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(place.postgres.query(DATABASE, locks), "0");
}

#[test]
fn a_process_that_never_ends_migrating_is_named() {
    let place = Place::new();
    let options = place.options();
    let key = i64::from_be_bytes(*b"flashsal");
    let hold = format!("SELECT pg_advisory_lock({key}), pg_sleep(30)");
    std::thread::scope(|scope| {
        let holding = scope.spawn(|| place.postgres.try_query(DATABASE, &hold));
        let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while place.postgres.query(DATABASE, held) == "0" {}
        let opened = runtime().block_on(async {
            use flashsale::reconcile::Sink;
            let mut sink = flashsale::reconcile::postgres::PostgresSink::new(options.clone());
            sink.open().await
        });
        let said = opened.expect_err("somebody migrates").to_string();
        assert!(
            said.starts_with("another process has been migrating"),
            "{said}"
        );
        place.postgres.query(
            DATABASE,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        );
        assert!(holding.join().expect("no panic").is_err());
    });
    Driver::open(options);
}

#[test]
fn the_table_of_the_earlier_service_is_taken_over() {
    let place = Place::new();
    place.postgres.query(
        DATABASE,
        "CREATE TABLE migrations (
             id SERIAL PRIMARY KEY,
             name VARCHAR(255) NOT NULL UNIQUE,
             applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
    );
    // Applied by hand, and written down as the earlier service did.
    let text = fs::read_to_string(place.file(ALL[0])).expect("a file");
    place.postgres.query(DATABASE, &text);
    let insert = format!("INSERT INTO migrations (name) VALUES ('{}')", ALL[0]);
    place.postgres.query(DATABASE, &insert);
    let output = place.run(&["status"]);
    let status = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(status.contains("its checksum was not recorded"), "{status}");
    assert_eq!(place.report(&["up"]).lines().count(), ALL.len() - 1);
    assert_eq!(place.applied(), ALL.join("\n"));
    place.report(&["status"]);

    // One that we know nothing of stops everything, and changes nothing.
    let other = "ALTER TABLE migrations DROP COLUMN checksum;
                 INSERT INTO migrations (name) VALUES ('001_initial.up.sql')";
    place.postgres.query(DATABASE, other);
    let said = place.failure(&["up"]);
    assert!(
        said.starts_with("001_initial.up.sql was applied to this database, but"),
        "{said}"
    );
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'migrations'";
    assert_eq!(place.postgres.query(DATABASE, columns), "3");
}

#[test]
fn a_database_that_cannot_be_migrated_is_reported_with_the_reason() {
    let place = Place::new();
    let mut command = place.command(&["up"]);
    let output = command.env_remove("DB_HOST").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("no database is configured"), "{said}");

    let mut command = place.command(&["status"]);
    let output = command
        .env("DB_PASSWORD", "wrong")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let address = place.options().address();
    let expected = format!("Postgres at {address}: password rejected (28P01)\n");
    assert_eq!(said, expected);

    let mut options = place.options();
    options.migrations = place.file("nowhere");
    let error = runtime()
        .block_on(migrations::up(&options))
        .expect_err("no files");
    let said = error.to_string();
    assert!(
        said.contains("nowhere: No such file or directory"),
        "{said}"
    );
    assert!(said.contains("database.migrations_path"), "{said}");
}

/// `CREATE … IF NOT EXISTS` would take them for ours, and some would fail half-way.
#[test]
fn a_foreign_database_is_left_as_it_is() {
    let place = Place::new();
    place.postgres.query(
        DATABASE,
        "CREATE TABLE customers (id integer); CREATE VIEW purchases AS SELECT id FROM customers;
         CREATE TABLE items (id integer); CREATE INDEX sold_once ON items (id);
         CREATE TABLE checkouts_1000 (id integer); CREATE TABLE checkouts_archive (id integer);
         CREATE TYPE sales AS ENUM ('spring'); CREATE VIEW violations AS SELECT 1 AS id;
         CREATE FUNCTION abandon_sale(integer) RETURNS void LANGUAGE sql AS '';
         CREATE SCHEMA seed; CREATE TABLE seed.items (id integer); CREATE TABLE seed.rows (id integer)",
    );
    let before = place.schema();
    let said = place.failure(&["up"]);
    let expected = "the schema public has what flashsale did not make, of names that it needs: abandon_sale (a \
                    function), checkouts_1000 (a table), items (a table), purchases (a view), sales (a type), \
                    seed.items (a table), sold_once (an index), violations (a view); nothing was changed: set database.schema \
                    (DB_SCHEMA)";
    assert!(said.contains(expected), "{said}");
    assert_eq!(place.schema(), before);
    let migrations = "SELECT to_regclass('migrations') IS NULL";
    assert_eq!(place.postgres.query(DATABASE, migrations), "t");

    // The table of other tools of migration.
    place.postgres.query(
        DATABASE,
        "CREATE TABLE migrations (id serial, migration text, batch integer)",
    );
    let said = place.failure(&["up"]);
    assert!(
        said.contains("of names that it needs: migrations (of another form); nothing"),
        "{said}"
    );
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'migrations'";
    assert_eq!(place.postgres.query(DATABASE, columns), "3");

    // The way out that is named.
    let output = place
        .command(&["up"])
        .env("DB_SCHEMA", "Flash-1")
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(place.schema(), before);
    let made = "SELECT count(*) FROM pg_class WHERE relnamespace = '\"Flash-1\"'::regnamespace AND relname = 'items'";
    assert_eq!(place.postgres.query(DATABASE, made), "1");
}

#[test]
fn every_name_that_a_migration_makes_is_checked() {
    let place = Place::new();
    place.report(&["up"]);
    // Names that Postgres chooses give way to others.
    let names = "SELECT relname FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'i', 'I')
                   AND relname NOT LIKE 'migrations%'
                   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = pg_class.oid)
                 ORDER BY 1";
    let names = place.postgres.query(DATABASE, names);
    place.postgres.create_database("foreign_one");
    for name in names.lines() {
        place.postgres.query(
            "foreign_one",
            &format!("CREATE VIEW {name} AS SELECT 1 AS id"),
        );
    }
    let mut command = place.command(&["up"]);
    let output = command
        .env("DB_NAME", "foreign_one")
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in names.lines() {
        assert!(
            said.contains(&format!(" {name} (a view)")),
            "{name}: {said}"
        );
    }
    assert!(names.lines().count() > 18, "{names}");
}
