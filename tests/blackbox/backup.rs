//! Backups of a server that sells, and a server that goes on from each of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::server::{Place, Server, wait_for};

const BACKUPS: usize = 4;
const BUYERS: usize = 4;
const ANSWERS: usize = 30;

/// Short sales of few items, which leave memory at once.
const SETTINGS: [(&str, &str); 3] = [
    ("SALE_TOTAL_ITEMS", "400"),
    ("SALE_INTERVAL_SECONDS", "3"),
    ("SALE_KEEP_ENDED_SECONDS", "0"),
];

/// Codes of purchases that were answered 200, with the answers.
#[derive(Default)]
struct Answered {
    purchases: Mutex<Vec<(String, String)>>,
    over: AtomicBool,
}

impl Answered {
    fn count(&self) -> usize {
        self.purchases.lock().expect("no panic").len()
    }

    /// Buys until it is over.
    fn buy(&self, server: &Server, buyer: usize) {
        let mut client = server.client();
        let mut number = 0;
        while !self.over.load(Ordering::Relaxed) {
            number += 1;
            let (sale, _) = client.active_sale();
            let user = format!("buyer-{buyer}-{number}");
            let item = format!("ITM-{sale}-{}", (number * BUYERS + buyer) % 400);
            let chosen = client.checkout(&user, &item);
            if chosen.status != 200 {
                continue;
            }
            let code = chosen.code();
            let answer = client.purchase_with_key(&code, "k");
            if answer.status == 200 {
                let told = (code, answer.text().to_owned());
                self.purchases.lock().expect("no panic").push(told);
            }
        }
    }
}

/// A place whose journal is the backup `name` of `place`.
fn restored(place: &Place, name: &str) -> Place {
    let restored = Place::new(&SETTINGS);
    fs::rename(place.path().join(name), restored.journal_dir()).expect("one file system");
    restored
}

#[test]
fn a_server_goes_on_from_any_backup_of_one_that_was_selling() {
    let mut server = Server::start(&SETTINGS);
    let answered = Answered::default();
    let mut known = Vec::new();
    thread::scope(|scope| {
        for buyer in 0..BUYERS {
            let (server, answered) = (&server, &answered);
            scope.spawn(move || answered.buy(server, buyer));
        }
        let backed_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..BACKUPS {
                let before = answered.count() + ANSWERS;
                wait_for("answers", || (answered.count() >= before).then_some(()));
                known.push(answered.count());
                let name = format!("backup-{number}");
                let said = server.place().report(&["journal", "backup", "--to", &name]);
                assert!(said.contains("nothing oversold"), "{said}");
            }
        }));
        answered.over.store(true, Ordering::Relaxed);
        if let Err(panic) = backed_up {
            std::panic::resume_unwind(panic);
        }
    });
    server.kill_9();
    let purchases = answered.purchases.into_inner().expect("no panic");
    for (number, known) in known.into_iter().enumerate() {
        let place = restored(server.place(), &format!("backup-{number}"));
        let said = place.report(&["journal", "verify"]);
        assert!(said.contains("nothing oversold"), "{said}");
        let restored = Server::start_in(place);
        let mut client = restored.client();
        for (code, told) in &purchases[..known] {
            let again = client.purchase_with_key(code, "k");
            assert_eq!((again.status, again.text()), (200, told.as_str()), "{code}");
        }
        // It sells on, from where it is.
        wait_for("a sale with time left", || {
            let (sale, _) = client.active_sale();
            let chosen = client.checkout("late", &format!("ITM-{sale}-399"));
            let code = (chosen.status == 200).then(|| chosen.code())?;
            (client.purchase(&code).status == 200).then_some(())
        });
        restored.stop();
    }
}

#[test]
fn a_stopped_journal_is_copied_byte_for_byte_where_it_was_used() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let place = server.stop();
    place.report(&["journal", "backup", "--to", "copy"]);
    let inspect = |dir: &str| place.report(&["journal", "inspect", "--records", "--dir", dir]);
    let used = |text: String| {
        let lines = text.lines().filter(|line| !line.contains("not used yet"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(used(inspect("journal")), used(inspect("copy")));
    // The copy does not lean on the source.
    fs::remove_dir_all(place.journal_dir()).expect("it is there");
    place.report(&["journal", "verify", "--dir", "copy"]);
}

fn fails(place: &Place, to: &str, dir: &str, expected: &str) {
    let (code, said) = place.failure(&["journal", "backup", "--to", to, "--dir", dir]);
    assert_eq!(code, Some(1));
    assert!(said.contains(expected), "{said}");
    assert!(
        !exists(&place.path().join(format!("{to}.copying"))),
        "{said}"
    );
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn a_backup_that_cannot_be_made_names_the_obstacle_and_leaves_nothing() {
    let place = Server::start(&[]).stop();
    fs::create_dir(place.path().join("full")).expect("a directory");
    fs::write(place.path().join("full/file"), "mine").expect("a file");
    fails(&place, "full", "journal", "is not empty");
    fails(&place, "journal", "journal", "is not empty");
    fails(&place, "full/file", "journal", "Not a directory");
    fails(&place, "new", "nowhere", "nowhere");
    assert!(!exists(&place.path().join("new")));
    fs::create_dir(place.path().join("none")).expect("a directory");
    fails(&place, "new", "none", "find a journal");
    assert!(!exists(&place.path().join("new")));
    assert_eq!(
        fs::read_to_string(place.path().join("full/file")).expect("untouched"),
        "mine"
    );
    // What a killed backup has left is no backup, and in nobody's way; nor is an empty directory.
    fs::create_dir(place.path().join("new.copying")).expect("a directory");
    fs::write(place.path().join("new.copying/rest"), "old").expect("a file");
    fs::create_dir(place.path().join("new")).expect("a directory");
    let said = place.report(&["journal", "backup", "--to", "new"]);
    assert!(said.contains("copied journal to new"), "{said}");
    assert!(!exists(&place.path().join("new/rest")) && !exists(&place.path().join("new.copying")));
}

#[test]
fn a_backup_is_refused_inside_of_the_journal_and_below_a_directory_that_is_missing() {
    let place = Server::start(&[]).stop();
    let before = fs::read_dir(place.journal_dir())
        .expect("a journal")
        .count();
    let link = place.path().join("link");
    symlink(place.journal_dir(), &link).expect("a link");
    for inside in ["journal/today", "link/today", "elsewhere/../journal/today"] {
        let _ = fs::create_dir(place.path().join("elsewhere"));
        fails(
            &place,
            inside,
            "journal",
            "inside of the journal's directory, journal",
        );
    }
    assert_eq!(
        fs::read_dir(place.journal_dir())
            .expect("a journal")
            .count(),
        before
    );
    fails(
        &place,
        "disk/backups/today",
        "journal",
        "disk/backups: make it first",
    );
    assert!(!exists(&place.path().join("disk")));
    symlink("nothing", place.path().join("dangling")).expect("a link");
    fails(&place, "dangling", "journal", "symbolic link");
}

#[test]
fn a_backup_goes_where_a_link_leads_to() {
    let place = Server::start(&[]).stop();
    fs::create_dir(place.path().join("disk")).expect("a directory");
    symlink("disk", place.path().join("link")).expect("a link");
    place.report(&["journal", "backup", "--to", "link"]);
    place.report(&["journal", "verify", "--dir", "disk"]);
    assert!(place.path().join("link").is_symlink());
    assert!(!exists(&place.path().join("link.copying")));
    assert!(!exists(&place.path().join("disk.copying")));
}

/// A file system in memory, unmounted with this.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_backup_goes_into_a_mounted_disk_and_not_in_its_place() {
    let place = Server::start(&[]).stop();
    let mounted = Mounted(place.path().join("disk"));
    fs::create_dir(&mounted.0).expect("a directory");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "tmpfs"]).arg(&mounted.0);
    if !mount
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    }
    fails(
        &place,
        "disk",
        "journal",
        "give a directory in it, as --to disk/NAME",
    );
    place.report(&["journal", "backup", "--to", "disk/today"]);
    place.report(&["journal", "verify", "--dir", "disk/today"]);
}
