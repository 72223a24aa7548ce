//! A journal that is lost is built again from the database, and everything goes on.

use std::fs;
use std::os::unix::fs::symlink;

use crate::load::Load;
use crate::places::{place_with_both, postgres, redis};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{all_is_well, figure, settle, verify, wait_until_down, wait_until_up};

#[test]
fn a_lost_journal_comes_back_from_the_database() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let mut bought = Load::purchases(&server, 150);
    settle(&server);
    let place = server.crash();
    // The disk was lost, and another one is where the journal is expected.
    fs::remove_dir_all(place.journal_dir()).expect("our own directory");
    fs::create_dir(place.path().join("disk")).expect("a directory");
    symlink("disk", place.journal_dir()).expect("a link");
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("flashsale recover --from postgres"), "{said}");
    // What that start has left holds no record, and so is not in the way; nor is the segment that it may have been
    // preparing.
    let preparing = place.journal_dir().join("00000000000000000002.preparing");
    fs::write(preparing, [0; 4096]).expect("room");
    let report = place.report(&["recover", "--from", "postgres"]);
    assert!(report.contains("written and checked"), "{report}");
    assert!(place.journal_dir().is_symlink());
    place.report(&["journal", "verify"]);
    let (_, said) = place.failure(&["recover", "--from", "postgres"]);
    assert!(said.contains("is not empty"), "{said}");
    let server = Server::start_in(place);
    let mut client = server.client();
    for code in bought.sold.keys().take(20) {
        let again = client.purchase(code);
        again.refused(409, "already_processed", "already processed");
    }
    let open = bought
        .open
        .pop_first()
        .expect("somebody left without buying");
    let answer = client.purchase(&open);
    assert!([200, 409].contains(&answer.status), "{}", answer.text());
    assert_ne!(answer.error_if_any().as_deref(), Some("already_processed"));
    bought.unknown.insert(open);
    drop(client);
    bought.add(Load::purchases(&server, 50));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_redis_that_has_more_than_was_recovered_is_rebuilt() {
    let (mut postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let bought = Load::purchases(&server, 50);
    settle(&server);
    postgres.kill_9();
    // What only the journal and Redis have goes with the journal.
    Load::purchases(&server, 20);
    wait_for("Redis", || {
        (figure(&server, "redis", "lag_records") == 0).then_some(())
    });
    let place = server.crash();
    fs::remove_dir_all(place.journal_dir()).expect("our own directory");
    postgres.restart();
    place.report(&["recover", "--from", "postgres"]);
    let server = Server::start_in(place);
    wait_until_up(&server, "database");
    wait_until_down(&server, "redis", "follows another journal");
    let (code, report) = verify(server.place(), &["--server", &server.addr().to_string()]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("DIFFERENT: Redis"), "{report}");
    server.place().report(&["rebuild", "redis", "--yes"]);
    all_is_well(server, &postgres, &bought);
}
