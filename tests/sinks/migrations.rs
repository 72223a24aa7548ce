//! The schema, while servers use it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::load::Load;
use crate::places::{place_with, postgres, server_with};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{
    agree_running, all_is_well, figure, figures, settle, wait_until_down, wait_until_up,
};

#[test]
fn a_changed_migration_stops_the_start() {
    let postgres = postgres();
    let mut place = place_with(&postgres);
    let ours = place.path().join("migrations");
    let theirs = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&theirs)
        .arg(&ours)
        .status();
    assert!(copied.expect("cp runs").success());
    place.set("DB_MIGRATIONS_PATH", "migrations");
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);
    let place = server.stop();
    let path = ours.join("003_checkouts.up.sql");
    let text = fs::read_to_string(&path).expect("a migration");
    fs::write(&path, format!("{text}-- changed\n")).expect("our own file");
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let why = "003_checkouts.up.sql was changed after it was applied";
    assert!(said.contains(why), "{said}");
    let (code, _) = place.failure(&["migrate", "status"]);
    assert_eq!(code, Some(1));
    let (code, said) = place.failure(&["migrate", "up"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(why), "{said}");
    fs::write(&path, text).expect("our own file");
    let server = Server::start_in(place);
    bought.add(Load::purchases(&server, 20));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn the_schema_may_be_taken_away_while_a_server_uses_it() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let load = Load::start(&server);
    load.wait_for_more(50);
    wait_until_up(&server, "database");
    let migrate = |arguments: &[&str]| server.place().report(&[&["migrate"], arguments].concat());
    assert!(!migrate(&["status"]).contains("pending"));
    let (_, said) = server.place().failure(&["migrate", "down"]);
    assert!(said.contains("add --yes"), "{said}");

    // Openings; limits of items; what was cancelled; changes of stocks; payments; changes of sales; what was given back; an index; the keys of checkouts, with which the projection begins again; the views of the former service, the rights of
    // roles that are not there, and our views: nobody writes to them.
    let taken = migrate(&["down", "--steps", "12", "--yes"]);
    assert!(taken.contains("took back 005_views"), "{taken}");
    load.wait_for_more(50);
    // The server may have been faster: it begins again, and applies what is pending.
    migrate(&["up"]);
    assert!(!migrate(&["status"]).contains("pending"));
    wait_until_up(&server, "database");
    let mut bought = load.stop();
    agree_running(&server);

    // Some of the tables, or all: they come back by themselves, and everything is filled again.
    for steps in 12..=15 {
        let load = Load::start(&server);
        load.wait_for_more(20);
        let before = figure(&server, "database", "rebuilds");
        migrate(&["down", "--steps", &steps.to_string(), "--yes"]);
        wait_for("the database to be filled again", || {
            (figure(&server, "database", "rebuilds") > before).then_some(())
        });
        load.wait_for_more(20);
        bought.add(load.stop());
        agree_running(&server);
    }
    all_is_well(server, &postgres, &bought);
}

#[test]
fn of_servers_that_start_at_once_one_gets_the_database() {
    let postgres = postgres();
    let starting = [(); 3].map(|()| {
        let place = place_with(&postgres);
        thread::spawn(move || Server::try_start_in(place))
    });
    let started = starting.map(|it| it.join().expect("no panic"));
    let mut servers = Vec::new();
    for result in started {
        match result {
            Ok(server) => servers.push(server),
            Err((code, said)) => {
                assert_eq!(code, Some(1), "{said}");
                assert!(said.contains("does not fit this journal"), "{said}");
            }
        }
    }
    let is_winner = |server: &Server| {
        let figures = figures(server, "database");
        figures["status"] == "UP" && figures["lag_records"] == 0
    };
    wait_for("one of them to have the database", || {
        servers.iter().any(is_winner).then_some(())
    });
    let place = servers.iter().position(is_winner).expect("one of them");
    let winner = servers.remove(place);
    for loser in &servers {
        wait_until_down(loser, "database", "follows another journal");
    }
    agree_running(&winner);
    let bought = Load::purchases(&winner, 50);
    all_is_well(winner, &postgres, &bought);
    for loser in servers {
        loser.stop();
    }
}
