//! Disks of the servers that are full for a while.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::buyers::{Buyers, ask};
use super::faults::{SOME, settle};
use super::group::{Group, place_on};
use super::keeper::Keeper;
use crate::admin::{JSON, in_seconds};
use crate::blackbox::disk::SmallDisk;
use crate::postgres_pair::PostgresPair;
use crate::server::{Server, wait_for};

/// Two segments have room.
const MEBIBYTES: u32 = 9;

/// Starts two servers, each with a small disk of its own; `None` where those cannot be made.
fn on_small_disks() -> Option<(Group, Vec<SmallDisk>)> {
    let pair = PostgresPair::start();
    let places = [(); 2].map(|()| place_on(&pair.hosts()));
    let directories: Vec<PathBuf> = places.iter().map(|place| place.journal_dir()).collect();
    let disks = directories
        .iter()
        .map(|dir| SmallDisk::mount(dir, MEBIBYTES));
    let Some(disks) = disks.collect::<Option<Vec<_>>>() else {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return None;
    };
    let servers = places.into_iter().map(Server::start_in).collect();
    let keeper = Keeper::Postgres(pair);
    let group = Group { servers, keeper };
    group.wait_for_leader();
    Some((group, disks))
}

/// Has the leader create sales with so many items that the disk of `full` has no room for them.
fn fill(leader: &Server, full: &Server) {
    let name = "n".repeat(200);
    let item = |number: u32| json!({"id": format!("item-{number}"), "name": name, "stock": 1});
    let items: Vec<_> = (0..8_000).map(item).collect();
    let sale =
        json!({"items": items, "started_at": in_seconds(3_600), "ended_at": in_seconds(7_200)});
    let sale = sale.to_string();
    let is_full = || {
        let answer = ask(full.addr(), "GET", "/readyz", None, Duration::from_secs(5)).ok()?;
        let is_unavailable = answer.0 == 503 && answer.1.contains("journal_unavailable");
        (is_unavailable && full.log().contains("new work is refused")).then_some(())
    };
    wait_for("a full disk", || {
        is_full().or_else(|| {
            let mut client = leader.client().with_token(leader.token());
            // Where the leader's own disk is full this is refused, and perhaps not read.
            let _ = client.try_send("POST", "/admin/sales", &[JSON], sale.as_bytes());
            None
        })
    });
}

#[test]
fn a_leader_whose_disk_is_full_goes_on_when_there_is_room() {
    let Some((group, disks)) = on_small_disks() else {
        return;
    };
    let leader = group.wait_for_leader();
    disks[1 - leader].resize(64);
    let buyers = Buyers::start(group.addresses());
    // It gives signs, so that nobody takes over.
    fill(&group.servers[leader], &group.servers[leader]);
    disks[leader].resize(64);
    group.servers[leader].wait_for_log("there is room for the journal again");
    buyers.wait_for_more(SOME);
    assert_eq!(group.wait_for_leader(), leader);
    settle(group, buyers);
    drop(disks);
}

#[test]
fn a_standby_whose_disk_is_full_stops_nobody_and_follows_when_there_is_room() {
    let Some((mut group, disks)) = on_small_disks() else {
        return;
    };
    let leader = group.wait_for_leader();
    disks[leader].resize(64);
    let buyers = Buyers::start(group.addresses());
    fill(&group.servers[leader], &group.servers[1 - leader]);
    buyers.wait_for_more(SOME);
    disks[1 - leader].resize(64);
    group.servers[1 - leader].wait_for_log("there is room for the journal again");
    // It has everything, and takes over.
    group.kill_and_restart(leader);
    buyers.wait_for_more(SOME);
    settle(group, buyers);
    drop(disks);
}
