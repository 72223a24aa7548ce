//! `flashsale journal`, on a sound journal and on a damaged one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::client::Client;
use crate::server::{Place, Server};

const USERS: usize = 30;

/// A stopped server's directory after every user has bought an item, and the codes in their order.
fn sold() -> (Place, Vec<String>) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    let mut client = server.client();
    let codes = (0..USERS).map(|user| buy(&mut client, user)).collect();
    drop(client);
    (server.stop(), codes)
}

fn buy(client: &mut Client, user: usize) -> String {
    let code = client.choose(&format!("user-{user}"), &[&format!("ITM-1-{user}")]);
    client.purchase(&code).ok();
    code
}

/// Bytes of the first segment that are in use, as the inspection says.
fn used_bytes(report: &str) -> u64 {
    let line = report.lines().find(|line| line.starts_with("segment 1:"));
    let line = line.expect("the first segment");
    let (before, _) = line.split_once(" of ").expect("used of all");
    let (_, used) = before.rsplit_once(' ').expect("a number");
    used.parse().expect("a number")
}

fn flip(path: &Path, offset: u64) {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("a segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("a byte");
    byte[0] ^= 0x10;
    file.write_all_at(&byte, offset).expect("a byte");
}

#[test]
fn a_sound_journal_is_reported() {
    let (place, codes) = sold();
    let inspected = place.report(&["journal", "inspect"]);
    for count in [
        "1 sale created",
        "30 checkouts",
        "30 purchases",
        "61 records",
    ] {
        assert!(inspected.contains(count), "{count}: {inspected}");
    }
    let listed = place.report(&["journal", "inspect", "--records"]);
    assert_eq!(
        listed.matches("\" purchases 1 of item").count(),
        USERS,
        "{listed}"
    );
    assert!(
        codes.iter().all(|code| !listed.contains(&code[6..])),
        "a code is shown"
    );
    let verified = place.report(&["journal", "verify", "--dir", "journal"]);
    let figures = "sale 1: 100 units = 30 sold + 0 held + 70 free";
    assert!(verified.contains(figures), "{verified}");
    let before: Vec<_> = place
        .segments()
        .iter()
        .map(std::fs::read)
        .map(Result::unwrap)
        .collect();
    let repaired = place.report(&["journal", "repair"]);
    assert!(repaired.contains("nothing is damaged"), "{repaired}");
    let after: Vec<_> = place
        .segments()
        .iter()
        .map(std::fs::read)
        .map(Result::unwrap)
        .collect();
    assert!(before == after, "the journal has changed");
}

#[test]
fn damage_stops_the_start_until_it_is_repaired() {
    let (place, codes) = sold();
    let used = used_bytes(&place.report(&["journal", "inspect"]));
    let segment = place.segments()[0].clone();
    flip(&segment, used / 2);
    let damaged = std::fs::read(&segment).expect("a segment");
    let name = segment
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8");
    for arguments in [
        &["serve"][..],
        &["journal", "verify"],
        &["journal", "inspect"],
    ] {
        let (code, said) = place.failure(arguments);
        assert_eq!(code, Some(1), "{said}");
        for part in [name, "damaged at offset", "journal repair"] {
            assert!(said.contains(part), "{arguments:?}: {part}: {said}");
        }
    }
    assert!(
        std::fs::read(&segment).expect("a segment") == damaged,
        "it was changed"
    );

    let repaired = place.report(&["journal", "repair"]);
    // A sale, and a checkout and a purchase of every user.
    let until = format!(" to {} are lost", 1 + 2 * USERS);
    for part in ["kept every record up to", &until] {
        assert!(repaired.contains(part), "{part}: {repaired}");
    }
    let aside = format!("{name}.damaged");
    assert!(repaired.contains(&aside), "{repaired}");
    let kept = std::fs::read(place.journal_dir().join(aside)).expect("the damaged part");
    assert!(kept == damaged, "a copy of what was damaged");

    let server = Server::start_in(place);
    let mut client = server.client();
    let known = |client: &mut Client, code: &String| client.purchase(code).status != 404;
    assert!(known(&mut client, &codes[0]), "the intact beginning");
    assert!(
        !known(&mut client, &codes[USERS - 1]),
        "what was behind the damage"
    );
    let intact = codes.iter().filter(|code| known(&mut client, code)).count();
    assert!((USERS / 4..USERS * 3 / 4).contains(&intact), "{intact}");
    buy(&mut client, USERS - 1);
    drop(client);
    let place = server.stop();
    place.report(&["journal", "verify"]);
}

#[test]
fn inspecting_a_directory_without_a_journal_is_no_error() {
    let place = Place::new(&[]);
    std::fs::create_dir(place.journal_dir()).expect("a directory");
    let inspected = place.report(&["journal", "inspect"]);
    assert!(inspected.contains("holds no journal"), "{inspected}");
    assert!(place.segments().is_empty());
}

#[test]
fn a_journal_that_is_not_there_is_not_made() {
    let place = Place::new(&[]);
    for command in ["inspect", "verify", "repair"] {
        let (code, message) = place.failure(&["journal", command, "--dir", "nowhere"]);
        assert_eq!(code, Some(1), "{command}: {message}");
        assert!(message.contains("nowhere"), "{command}: {message}");
        assert!(!place.path().join("nowhere").exists(), "{command}");
    }
}
