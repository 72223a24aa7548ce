//! Two servers on one database: one of them is told, and the database is the other's.

use std::process::Command;

use crate::load::Load;
use crate::places::{place, place_with, place_with_both, postgres, redis, server_with, use_redis};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{
    agree_running, all_is_well, figure, figures, settle, verify, wait_until_down,
};

#[test]
fn a_server_with_another_journal_does_not_start() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 50);
    settle(&server);
    let stranger = place_with(&postgres);
    let (code, said) = stranger.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    for words in ["does not fit this journal", "flashsale recover"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Whoever tries again is told again, also with more records than the database has.
    let mut alone = place_with(&postgres);
    alone.set("DB_HOST", "");
    let other = Server::start_in(alone);
    Load::purchases(&other, 300);
    let mut alone = other.stop();
    alone.set("DB_HOST", "127.0.0.1");
    let (code, said) = alone.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not the one of this journal"), "{said}");
    assert!(said.contains("flashsale recover"), "{said}");
    let (code, report) = verify(&alone, &[]);
    assert_eq!(code, Some(1), "{report}");

    bought.add(Load::purchases(&server, 50));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn of_two_servers_with_one_journal_one_is_fenced() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let bought = Load::purchases(&server, 50);
    let place = all_is_well(server, &postgres, &bought);
    let twin = place_with(&postgres);
    let copied = Command::new("cp")
        .arg("-a")
        .arg(place.journal_dir())
        .arg(twin.journal_dir())
        .status();
    assert!(copied.expect("cp runs").success());

    let servers = [Server::start_in(place), Server::start_in(twin)];
    for server in &servers {
        settle(server);
    }
    let loads = servers.each_ref().map(Load::start);
    let is_fenced = |server: &Server| {
        let figures = figures(server, "database");
        let reason = figures["reason"].as_str().expect("text");
        figures["status"] == "DOWN" && reason.contains("follows another journal")
    };
    wait_for("one of them to be fenced", || {
        servers.iter().any(is_fenced).then_some(())
    });
    // It goes on selling, and nothing of that reaches the database.
    for load in &loads {
        load.wait_for_more(100);
    }
    let fenced = servers.each_ref().map(is_fenced);
    assert_ne!(fenced[0], fenced[1], "one, and one only");
    let [first, second] = loads.map(Load::stop);
    let [a, b] = servers;
    let (winner, loser, more) = match fenced[1] {
        true => (a, b, first),
        false => (b, a, second),
    };
    agree_running(&winner);
    wait_until_down(&loser, "database", "follows another journal");
    let address = loser.addr().to_string();
    let (code, report) = verify(loser.place(), &["--server", &address]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("DIFFERENT: Postgres"), "{report}");

    let mut all = bought;
    all.add(more);
    loser.stop();
    all_is_well(winner, &postgres, &all);
}

#[test]
fn a_server_with_another_journal_changes_nothing_in_redis() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let mut bought = Load::purchases(&server, 50);
    settle(&server);
    let mut place = place();
    use_redis(&mut place, &redis);
    let stranger = Server::start_in(place);
    Load::purchases(&stranger, 20);
    wait_until_down(&stranger, "redis", "follows another journal");
    // Nor when it has more to tell than the other.
    Load::purchases(&stranger, 200);
    wait_until_down(&stranger, "redis", "follows another journal");
    bought.add(Load::purchases(&server, 20));
    agree_running(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    stranger.stop();
    all_is_well(server, &postgres, &bought);
}
