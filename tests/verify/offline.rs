//! A journal that nobody uses, and nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::server::Place;
use crate::verify::fixture::{agrees, fill, verify};

#[test]
fn a_journal_alone_is_enough() {
    let place = Place::new(&[]);
    fill(&place.journal_dir());
    let said = agrees(&place, &["--dir", "journal"]);
    for part in [
        "intact, in order",
        "nothing oversold, nobody over the limit, every code used once",
        "memory: no server runs on this journal",
        "Postgres: not configured",
        "Redis: not configured",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(agrees(&place, &[]), said, "the directory as configured");
}

#[test]
fn damage_is_a_difference() {
    let place = Place::new(&[]);
    fill(&place.journal_dir());
    let segment = File::options().write(true).open(&place.segments()[0]);
    let segment = segment.expect("a segment");
    segment.write_all_at(&[0xff; 64], 6000).expect("writable");
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 1, "{said}");
    for part in [
        "DIFFERENT: journal:",
        "is damaged at offset",
        "NOT CHECKED: everything else",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("verdict: WRONG"), "{said}");
}

#[test]
fn no_journal_is_not_taken_for_a_good_one() {
    let place = Place::new(&[]);
    let (code, said) = verify(&place, &["--dir", "nowhere"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("NOT CHECKED") && said.contains("nowhere"),
        "{said}"
    );
    assert!(!place.path().join("nowhere").exists());
}

#[test]
fn a_server_of_another_journal_is_told() {
    let place = Place::new(&[]);
    fill(&place.journal_dir());
    let (code, said) = verify(&place, &["--server", "127.0.0.1:1"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nobody uses this journal"), "{said}");
    let (code, said) = verify(&place, &["--server", "nonsense"]);
    assert_eq!(code, 2, "{said}");
}
