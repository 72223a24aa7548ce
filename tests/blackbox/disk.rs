//! Disks that are full, and have room again, and one that does not answer.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::Client;
use crate::server::{Place, Server, wait_for};

/// A small file system in memory, unmounted with this.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one; `None` where that is not possible.
    pub fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(path).expect("a directory");
        let size = format!("size={mebibytes}m");
        let mounted = mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], path);
        mounted.then(|| Self {
            path: path.to_owned(),
        })
    }

    pub fn resize(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        assert!(mount(&["-o", &size], &self.path), "a larger disk");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the server that uses it may end only after this.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn mount(options: &[&str], path: &Path) -> bool {
    run(Command::new("mount").args(options).arg(path))
}

/// A file system of a kind of its own in a file, unmounted with this.
struct Volume {
    path: PathBuf,
}

impl Volume {
    /// Makes one with `make` and mounts it at `path`; `None` where that is not possible.
    fn mount(path: &Path, make: &[&str], mebibytes: u64) -> Option<Self> {
        let image = path.with_extension("image");
        let file = fs::File::create(&image).expect("a file");
        file.set_len(mebibytes << 20).expect("a long file");
        fs::create_dir_all(path).expect("a directory");
        let mut command = Command::new(make[0]);
        command.args(&make[1..]).arg(&image);
        run(&mut command).then_some(())?;
        let mut command = Command::new("mount");
        command.args(["-o", "loop"]).arg(&image).arg(path);
        run(&mut command).then(|| Self {
            path: path.to_owned(),
        })
    }

    /// Leaves no room for anybody.
    fn fill(&self) {
        let mut piece = 1 << 20;
        let mut file = fs::File::create(self.path.join("filler")).expect("a file");
        while piece > 0 {
            if file
                .write_all(&vec![1; piece])
                .and_then(|()| file.sync_data())
                .is_err()
            {
                piece /= 4;
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("filler")).expect("a file");
        let _ = run(Command::new("sync").arg("-f").arg(&self.path));
    }

    fn freeze(&self, how: &str) -> bool {
        run(Command::new("fsfreeze").arg(how).arg(&self.path))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = self.freeze("-u");
        let _ = run(Command::new("umount").arg("-l").arg(&self.path));
    }
}

/// Whether the program is there and succeeds.
fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The longest user id, so that the journal grows fast.
fn user(number: usize) -> String {
    format!("{number:0128}")
}

#[test]
fn a_start_on_too_small_a_disk_says_what_it_takes_and_which_setting_makes_it_less() {
    let place = Place::new(&[("JOURNAL_SEGMENT_MEBIBYTES", "8")]);
    let Some(_disk) = SmallDisk::mount(&place.journal_dir(), 4) else {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    };
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let what =
        "there is no room for journal/00000000000000000001.segment, which takes 8388608 bytes";
    assert!(said.contains(what), "{said}");
    assert!(
        said.contains("make journal.segment_mebibytes smaller"),
        "{said}"
    );
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let place = Place::new(&[("SALE_TOTAL_ITEMS", "100000")]);
    let Some(disk) = SmallDisk::mount(&place.journal_dir(), 9) else {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    };
    let mut server = Server::start_in(place);
    // Should this fail, it is unmounted before the server's directory is removed.
    let disk = disk;
    let mut client = server.client();
    let mut accepted = Vec::new();
    // More than fits into the two segments that there is room for.
    let refused = (0..100_000).find_map(|number| {
        let answer = client.checkout(&user(number), &format!("ITM-1-{number}"));
        if answer.status != 200 {
            return Some(answer);
        }
        accepted.push(answer.code());
        None
    });
    let refused = refused.expect("a full disk");
    refused.refused(503, "journal_unavailable", "");
    assert!(accepted.len() > 1_000, "{}", accepted.len());
    // Nothing that needs the journal, and everything that does not.
    let answer = client.purchase(&accepted[0]);
    answer.refused(503, "journal_unavailable", "");
    client
        .get("/readyz")
        .refused(503, "journal_unavailable", "");
    // The log counts buyers who were turned away: a probe is none.
    server.wait_for_log("\"last_route\":\"purchase\"");
    client.get("/livez").ok();
    client.get("/sales/active").ok();
    let journal = client.get("/health").ok().json()["journal"].clone();
    assert_eq!(
        (&journal["writable"], &journal["disk_full"]),
        (&false.into(), &true.into())
    );
    let validated = client.post("/checkout");
    validated.invalid(&["user_id", "id", "item_id"]);

    disk.resize(64);
    wait_for("the server to go on by itself", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    server.wait_for_log("there is room for the journal again");
    let first = client.purchase_with_key(&accepted[0], "k").ok();
    let last = client.checkout("late", "ITM-1-99999").ok().code();

    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(client.purchase_with_key(&accepted[0], "k"), first);
    client.purchase(&last).ok();
    for (number, code) in accepted.iter().enumerate().skip(1) {
        // Knowing the user and the item is knowing the checkout.
        let again = client.checkout(&user(number), &format!("ITM-1-{number}"));
        again.refused(400, "item_already_in_checkout", "already");
        if number % 100 == 0 {
            assert_eq!(client.purchase(code).ok().json()["total_purchased"], 1);
        }
    }
    drop(client);
    let place = server.stop();
    place.report(&["journal", "verify"]);
    drop(disk);
}

/// Where a write takes new room also where a segment is ready for it: a snapshot of the volume shares it.
#[test]
fn a_full_copy_on_write_disk_ends_neither_the_server_nor_its_start() {
    let mut place = Place::new(&[("SALE_TOTAL_ITEMS", "100000")]);
    let path = place.path().join("volume");
    let Some(volume) = Volume::mount(&path, &["mkfs.btrfs", "-q", "-M"], 160) else {
        eprintln!("SKIPPED: btrfs cannot be mounted here (it takes root and btrfs-progs)");
        return;
    };
    let subvolume = |arguments: &[&str]| {
        let mut command = Command::new("btrfs");
        command.arg("subvolume").args(arguments).current_dir(&path);
        assert!(run(&mut command), "{arguments:?}");
    };
    subvolume(&["create", "journal"]);
    place.set("JOURNAL_DIR", path.join("journal").to_str().expect("UTF-8"));
    let mut server = Server::start_in(place);
    let mut client = server.client();
    let first = client.checkout("first", "ITM-1-0").ok().code();
    volume.fill();
    // In place, as long as nobody shares the segment.
    client.checkout("second", "ITM-1-1").ok();
    volume.make_room();
    subvolume(&["snapshot", "-r", "journal", "snapshot"]);
    volume.fill();
    let (addr, is_over) = (server.addr(), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_over);
    let waiting = std::thread::spawn(move || {
        let mut client = Client::connect(addr).expect("a connection");
        for number in 100.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let answer = client.checkout(&user(number), &format!("ITM-1-{number}"));
            assert!([200, 503].contains(&answer.status), "{}", answer.text());
        }
    });
    wait_for("the disk to be full", || {
        (client.get("/readyz").status == 503).then_some(())
    });
    // Room may come back in small pieces.
    let answer = client.checkout("other", "ITM-1-3");
    assert!([200, 503].contains(&answer.status), "{}", answer.text());
    client.get("/livez").ok();
    client.get("/sales/active").ok();

    volume.make_room();
    wait_for("the server to go on by itself", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    is_over.store(true, Ordering::SeqCst);
    waiting.join().expect("whoever waited was answered");
    server.wait_for_log("there is room for the journal again");

    subvolume(&["snapshot", "-r", "journal", "again"]);
    server.kill_9();
    volume.fill();
    server.restart();
    let mut client = server.client();
    client.get("/livez").ok();
    client.get("/sales/active").ok();
    // What a start writes may just have found room.
    if client.get("/readyz").status == 503 {
        let answer = client.checkout("fifth", "ITM-1-4");
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
    }
    volume.make_room();
    wait_for("the server to go on by itself", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    client.purchase(&first).ok();
    client.checkout("fourth", "ITM-1-5").ok();
    drop(client);
    let place = server.stop();
    place.report(&["journal", "verify"]);
    drop(volume);
}

#[test]
fn a_disk_that_does_not_answer_makes_the_server_unready_and_is_logged() {
    let mut place = Place::new(&[("JOURNAL_STALL_SECONDS", "1")]);
    let path = place.path().join("volume");
    let volume = Volume::mount(&path, &["mkfs.ext4", "-q"], 64);
    let Some(volume) = volume.filter(|volume| volume.freeze("-f") && volume.freeze("-u")) else {
        eprintln!("SKIPPED: a file system cannot be frozen here (it takes root)");
        return;
    };
    place.set("JOURNAL_DIR", path.join("journal").to_str().expect("UTF-8"));
    let server = Server::start_in(place);
    // Should this fail, it is thawed before the server is waited for, which could not end.
    let volume = volume;
    let mut client = server.client();
    let code = client.checkout("first", "ITM-1-0").ok().code();
    client.get("/readyz").ok();
    assert!(volume.freeze("-f"));
    let addr = server.addr();
    let waiting = std::thread::spawn(move || {
        let mut client = Client::connect(addr).expect("a connection");
        client.purchase(&code)
    });
    server.wait_for_log("the disk of the journal does not answer");
    client
        .get("/readyz")
        .refused(503, "journal_unavailable", "");
    let verbose = client.get("/readyz?verbose");
    assert!(
        verbose.text().contains("[-]journal commits"),
        "{}",
        verbose.text()
    );
    client.get("/livez").ok();
    assert!(!waiting.is_finished());
    assert!(volume.freeze("-u"));
    waiting.join().expect("no panic").ok();
    server.wait_for_log("the disk of the journal answers again");
    client.get("/readyz").ok();
    drop(client);
    server.stop().report(&["journal", "verify"]);
    drop(volume);
}
