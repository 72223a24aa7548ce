//! The etcd of these tests itself: it goes on without one member, and takes a new one.

use crate::etcd::Etcd;

#[test]
fn a_member_of_etcd_is_killed_and_replaced() {
    let mut etcd = Etcd::start(3);
    etcd.ctl(&["put", "a", "1"]);
    let leader = etcd.wait_for_leader();
    etcd.kill_9(leader);
    assert_ne!(etcd.wait_for_leader(), leader);
    etcd.ctl(&["put", "a", "2"]);
    etcd.restart(leader);
    let other = etcd.wait_for_leader();
    etcd.replace((other + 1) % 3);
    etcd.pause(other);
    assert_ne!(etcd.wait_for_leader(), other);
    etcd.resume(other);
    assert_eq!(etcd.ctl(&["get", "a", "--print-value-only"]), "2");
}
