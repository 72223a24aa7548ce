//! A journal whose files are removed or exchanged under the server that writes to them.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::server::{Place, Server};

/// What somebody does to a path, and how that is called.
type Deed<'a> = (&'a str, &'a dyn Fn(&Path));

/// The exit code of a journal that has failed.
const FAILED: Option<i32> = Some(74);

fn started() -> Server {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    let mut client = server.client();
    let code = client.choose("user", &["ITM-1-1"]);
    client.purchase(&code).ok();
    server
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a journal") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

#[test]
fn a_removed_lock_file_lets_no_second_server_in() {
    let mut server = started();
    // So that it cannot notice and leave before the second one is there.
    server.signal(Signal::STOP);
    fs::remove_file(server.place().journal_dir().join("lock")).expect("a lock file");
    let (code, said) = server.place().failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by another process"), "{said}");
    let (_, said) = server.place().failure(&["journal", "verify"]);
    assert!(said.contains("is in use by another process"), "{said}");
    server.signal(Signal::CONT);
    assert_eq!(server.wait().code(), FAILED);
    // The second one made it again, and went.
    server.wait_for_log("lock was re");
    server.restart();
    server.terminate();
}

#[test]
fn a_server_whose_files_are_exchanged_stops() {
    let exchange: [Deed<'_>; 6] = [
        ("journal was removed", &|dir| {
            fs::rename(dir, dir.with_extension("away")).expect("a directory");
        }),
        ("journal was replaced", &|dir| {
            let away = dir.with_extension("away");
            fs::rename(dir, &away).expect("a directory");
            copy_dir(&away, dir);
        }),
        ("1.segment was replaced", &|dir| {
            let (segment, copy) = (dir.join(segment(1)), dir.join("copy"));
            fs::copy(&segment, &copy).expect("a copy");
            fs::rename(&copy, &segment).expect("a segment");
        }),
        ("1.segment was removed", &|dir| {
            fs::remove_file(dir.join(segment(1))).expect("a segment");
        }),
        ("2.segment was removed", &|dir| {
            fs::remove_file(dir.join(segment(2))).expect("a prepared segment");
        }),
        ("lock was replaced", &|dir| {
            fs::remove_file(dir.join("lock")).expect("a lock file");
            fs::write(dir.join("lock"), "").expect("a lock file");
        }),
    ];
    for (what, exchange) in exchange {
        let mut server = started();
        let dir = server.place().journal_dir();
        crate::server::wait_for("the prepared segment", || {
            dir.join(segment(2)).exists().then_some(())
        });
        exchange(&dir);
        assert_eq!(server.wait().code(), FAILED, "{what}");
        server.wait_for_log(what);
    }
}

/// A stop right behind the exchange reports it, too.
#[test]
fn a_server_does_not_end_well_whose_directory_is_gone() {
    let mut server = started();
    let dir = server.place().journal_dir();
    fs::rename(&dir, dir.with_extension("away")).expect("a directory");
    assert_eq!(server.terminate().code(), FAILED);
}

#[test]
fn what_is_no_regular_file_is_named_by_verify_and_the_start_alike() {
    let place = started().stop();
    let dir = place.journal_dir();
    let names = [
        "lock".to_owned(),
        segment(3),
        "00000000000000000009.snapshot".to_owned(),
        "00000000000000000009-1.sale".to_owned(),
        "00000000000000000009.preparing".to_owned(),
    ];
    for name in names {
        let path = dir.join(&name);
        let _ = fs::remove_file(&path);
        let make: [Deed<'_>; 3] = [
            ("a FIFO", &|path| {
                mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
            }),
            ("a directory", &|path| {
                fs::create_dir(path).expect("a directory");
            }),
            ("a symbolic link", &|path| {
                std::os::unix::fs::symlink("nowhere", path).expect("a link");
            }),
        ];
        for (kind, make) in make {
            make(&path);
            check_named(&place, &format!("{name} is {kind}"));
            match kind {
                "a directory" => fs::remove_dir(&path),
                _ => fs::remove_file(&path),
            }
            .expect("it is there");
        }
    }
    place.report(&["journal", "verify"]);
}

fn check_named(place: &Place, what: &str) {
    for arguments in [
        &["journal", "verify"][..],
        &["journal", "inspect"],
        &["serve"],
        &["preflight"],
    ] {
        let output = place.run(arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(what), "{arguments:?}: {what}: {said}");
    }
}

fn segment(number: u64) -> String {
    format!("{number:020}.segment")
}
