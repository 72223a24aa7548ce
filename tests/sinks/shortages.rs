//! A database that answers, but not with what is asked of it: the sale goes on, and says why.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::load::Load;
use crate::places::{place_with, postgres, server_with};
use crate::postgres_server::{DATABASE, Postgres, give_away};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{all_is_well, figures, settle, wait_until_down, wait_until_up};
use crate::sinks::session::Session;

#[test]
fn a_table_that_somebody_locks_is_waited_for() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let load = Load::start(&server);
    load.wait_for_more(50);
    let mut other = Session::open(&postgres).expect("room");
    let locked = other.run("BEGIN; LOCK TABLE purchase_results IN ACCESS EXCLUSIVE MODE");
    assert!(locked);
    wait_until_down(&server, "database", "no answer for 2 s");
    wait_until_down(&server, "database", "somebody holds a lock for too long");
    load.wait_for_more(50);
    assert!(other.run("COMMIT"));
    wait_until_up(&server, "database");
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_database_is_away_while_it_is_read_only_or_a_standby() {
    let mut postgres = postgres();
    let server = server_with(&postgres);
    let load = Load::start(&server);
    load.wait_for_more(50);
    // As those who run databases for others do when one is full.
    let read_only = |on| {
        let setting = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
        postgres.query("postgres", &setting);
        postgres.query("postgres", "SELECT pg_reload_conf()");
    };
    read_only("on");
    wait_until_down(&server, "database", "the database is read-only");
    load.wait_for_more(50);
    read_only("off");
    wait_until_up(&server, "database");

    postgres.stop();
    let signal = postgres.data().join("standby.signal");
    File::create(&signal).expect("our own directory");
    give_away(&signal);
    postgres.restart();
    let why = "the database is a standby, and read-only";
    wait_until_down(&server, "database", why);
    load.wait_for_more(50);
    postgres.query("postgres", "SELECT pg_promote()");
    wait_until_up(&server, "database");
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_database_without_connections_is_asked_again() {
    let limit = ["fsync=off", "max_connections=8", "max_wal_senders=0"];
    let postgres = Postgres::start_with(&limit);
    let server = server_with(&postgres);
    let load = Load::start(&server);
    load.wait_for_more(50);
    let mut others = vec![Session::open(&postgres).expect("room")];
    let reason = "the database has no connection to spare";
    wait_for("all connections to be taken", || {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE application_name = 'flashsale'";
        assert!(others[0].run(&format!("\\o /dev/null\n{cut}")));
        others.extend(Session::open(&postgres));
        let figures = figures(&server, "database");
        let said = figures["reason"].as_str().expect("text");
        said.contains(reason).then_some(())
    });
    load.wait_for_more(50);
    wait_until_down(&server, "database", reason);
    drop(others);
    wait_until_up(&server, "database");
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

/// A small file system in memory, unmounted with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one for the database; `None` where that is not possible.
    fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(path).expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={mebibytes}m"))
            .arg("tmpfs")
            .arg(path)
            .stderr(Stdio::null())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        let disk = mounted.then(|| Self(path.to_owned()))?;
        give_away(path);
        Some(disk)
    }

    /// Takes all the room that is left; the file that does so.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a new file");
        for piece in [1 << 20, 4096] {
            while file.write_all(&vec![1; piece]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the database that uses it may end only after this.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_of_the_database_stops_no_sale() {
    let postgres = postgres();
    let dir = tempfile::tempdir().expect("a temporary directory");
    give_away(dir.path());
    let path = dir.path().join("disk");
    let Some(disk) = SmallDisk::mount(&path, 64) else {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    };
    let location = path.display();
    postgres.query(
        "postgres",
        &format!("CREATE TABLESPACE small LOCATION '{location}'"),
    );
    let moved = format!("ALTER DATABASE {DATABASE} SET TABLESPACE small");
    postgres.query("postgres", &moved);
    let server = Server::start_in(place_with(&postgres));
    let mut bought = Load::purchases(&server, 50);
    settle(&server);
    let filler = disk.fill();
    let load = Load::start(&server);
    wait_until_down(&server, "database", "the database's disk is full");
    for _ in 0..10 {
        load.wait_for_more(10);
        // It lets us in and answers, but does not seem to come and go.
        assert_eq!(figures(&server, "database")["status"], "DOWN");
    }
    fs::remove_file(filler).expect("our own file");
    wait_until_up(&server, "database");
    bought.add(load.stop());
    all_is_well(server, &postgres, &bought);
    drop(postgres);
    drop(disk);
}
