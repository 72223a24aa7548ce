//! A disk that is full, and has room again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

    fn resize(&self, mebibytes: u32) {
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
    let status = Command::new("mount")
        .args(options)
        .arg(path)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// The longest user id, so that the journal grows fast.
fn user(number: usize) -> String {
    format!("{number:0128}")
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
