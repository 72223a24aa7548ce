//! What dies, hangs, fills up and comes back of an etcd that keeps the log, while buyers buy.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flashsale::app::configured_log::open_log;
use rustix::process::Signal;

use super::buyers::{Buyers, ask};
use super::commands::{preflight, said};
use super::faults::{SOME, selling_on, settle};
use super::group::{Group, place};
use super::keeper::{Keeper, LogEngine, configured};
use crate::certificates::Authority;
use crate::etcd::{Etcd, EtcdFiles};
use crate::postgres_server::free_port;
use crate::server::{Server, wait_for};

const PASSWORD: &str = "a-pa55word-of-the-log";
const NEW_PASSWORD: &str = "another-pa55word-of-the-log";

#[test]
fn any_one_member_of_etcd_may_die_or_hang() {
    let (mut group, buyers) = selling_on(2, LogEngine::Etcd);
    for round in 0..2 {
        let etcd = group.keeper.etcd();
        let leader = etcd.wait_for_leader();
        // In the second round one that does not lead.
        let member = (leader + round) % 3;
        etcd.kill_9(member);
        buyers.wait_for_more(SOME);
        etcd.restart(member);
        let leader = etcd.wait_for_leader();
        let member = (leader + round) % 3;
        etcd.pause(member);
        buyers.wait_for_more(SOME);
        etcd.resume(member);
        buyers.wait_for_more(SOME);
    }
    settle(group, buyers);
}

#[test]
fn two_of_three_members_die_and_come_back() {
    let (mut group, buyers) = selling_on(2, LogEngine::Etcd);
    let leader = group.wait_for_leader();
    let addr = group.servers[leader].addr();
    let etcd = group.keeper.etcd();
    etcd.kill_9(0);
    etcd.kill_9(1);
    wait_for("a leader that does not sell", || {
        let target = "/readyz?role=leader";
        let answer = ask(addr, "GET", target, None, Duration::from_secs(2)).ok()?;
        (answer.0 == 503).then_some(())
    });
    etcd.restart(0);
    etcd.restart(1);
    buyers.wait_for_more(SOME);
    settle(group, buyers);
}

#[test]
fn a_member_is_replaced_by_one_with_an_empty_disk() {
    let (mut group, buyers) = selling_on(2, LogEngine::Etcd);
    for member in 0..2 {
        group.keeper.etcd().replace(member);
        buyers.wait_for_more(SOME);
    }
    // The servers know one of the three, and its neighbours no longer.
    let hosts = group.keeper.etcd().hosts();
    for index in 0..2 {
        group.servers[index].set("REPLICATION_HOSTS", &hosts);
        group.servers[index].terminate();
        group.servers[index].restart();
        group.wait_for_leader();
    }
    let etcd = group.keeper.etcd();
    etcd.kill_9(2);
    buyers.wait_for_more(SOME);
    etcd.restart(2);
    settle(group, buyers);
}

#[test]
fn a_standby_catches_up_behind_a_compaction() {
    let (mut group, buyers) = selling_on(2, LogEngine::Etcd);
    let leader = group.wait_for_leader();
    let standby = 1 - leader;
    group.servers[standby].signal(Signal::STOP);
    for _ in 0..3 {
        buyers.wait_for_more(SOME);
        compact(group.keeper.etcd());
    }
    group.servers[standby].signal(Signal::CONT);
    group.wait_for_standby(standby);
    settle(group, buyers);
}

fn compact(etcd: &Etcd) {
    let found = etcd.ctl(&["get", "x", "-w", "json"]);
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    let revision = found["header"]["revision"].to_string();
    etcd.ctl(&["compact", "--physical", &revision]);
    etcd.ctl(&["defrag", "--command-timeout=60s"]);
}

#[test]
fn a_full_etcd_takes_nothing_and_says_so_until_there_is_room() {
    let etcd = Etcd::start_with(3, &["--quota-backend-bytes=16777216"]);
    let group = Group::start_on(2, Keeper::Etcd(etcd));
    let buyers = Buyers::start(group.addresses());
    buyers.wait_for_more(SOME);
    let leader = group.wait_for_leader();
    let mut group = group;
    fill_up(group.keeper.etcd());
    let server = &group.servers[leader];
    let health = wait_for("an error that names the quota", || {
        let health = server.client().get("/health").json();
        let error = health["replication"]["error"].as_str()?.to_owned();
        error.contains("--quota-backend-bytes").then_some(health)
    });
    assert_eq!(health["replication"]["role"], "leader", "{health}");
    let metrics = server.client().get("/metrics");
    assert!(metrics.text().contains("\nreplication_log_full 1\n"));
    // Who only reads is answered.
    let standby = &group.servers[1 - leader];
    standby.client().get("/sales").ok();
    let text = preflight(standby.place());
    assert!(
        text.contains("says: memberID:") && text.contains("NOSPACE"),
        "{text}"
    );
    let (code, text) = said(&standby.place().run(&["replication", "status"]));
    assert_eq!(code, Some(1), "no sign can be given: {text}");

    let etcd = group.keeper.etcd();
    etcd.ctl(&["del", "--prefix", "junk"]);
    compact(etcd);
    etcd.ctl(&["alarm", "disarm"]);
    buyers.wait_for_more(SOME);
    let metrics = group.servers[group.wait_for_leader()]
        .client()
        .get("/metrics");
    assert!(metrics.text().contains("\nreplication_log_full 0\n"));
    settle(group, buyers);
}

fn fill_up(etcd: &Etcd) {
    let junk = "x".repeat(120_000);
    wait_for("the quota", || {
        let keys = (0..9).map(|_| format!("put junk{} {junk}", free_port()));
        let keys: Vec<_> = keys.collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let said = etcd.try_txn(&keys);
        said.is_err_and(|error| error.contains("space exceeded"))
            .then_some(())
    });
}

#[test]
fn a_member_that_is_not_there_is_passed_over() {
    let mut keeper = LogEngine::Etcd.start();
    let hosts = keeper.etcd().hosts();
    let mut place = place(&keeper);
    let nobody = format!("127.0.0.1:{}", free_port());
    place.set("REPLICATION_HOSTS", &format!("{nobody},{hosts}"));
    let text = preflight(&place);
    assert!(
        text.contains(&format!("warn the member {nobody} does not answer")),
        "{text}"
    );
    assert!(
        text.contains("ok a change waits for most of 3 members; 1 may be lost"),
        "{text}"
    );
    assert!(
        text.contains("ok flashsale is made at the first start"),
        "{text}"
    );
    let group = Group {
        servers: vec![Server::start_in(place)],
        keeper,
    };
    group.wait_for_leader();
    group.servers[0].client().checkout("ada", "ITM-1-0").ok();
}

#[test]
fn a_single_member_is_warned_of() {
    let keeper = Keeper::Etcd(Etcd::start(1));
    let place = place(&keeper);
    let text = preflight(&place);
    assert!(text.contains("warn etcd has one member"), "{text}");
    let server = Server::start_in(place);
    server.wait_for_log("etcd has one member");
}

/// Makes the files of a certificate for 127.0.0.1 in `dir`.
fn files(dir: &Path) -> EtcdFiles {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("127.0.0.1");
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("our own directory");
        path
    };
    EtcdFiles {
        authority: write("ca.pem", &authority.pem),
        certificate: write("cert.pem", &certificate),
        key: write("key.pem", &key),
    }
}

/// Lets only users in: one that may do everything, and one that has this right to the logs.
fn ask_for_passwords(etcd: &mut Etcd, right: &str) {
    etcd.ctl(&["user", "add", "root:root-pa55word"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["role", "add", "flashsale"]);
    etcd.ctl(&[
        "role",
        "grant-permission",
        "flashsale",
        "--prefix=true",
        right,
        "flashsale/replication/",
    ]);
    etcd.ctl(&["user", "add", &format!("flashsale:{PASSWORD}")]);
    etcd.ctl(&["user", "grant-role", "flashsale", "flashsale"]);
    etcd.ctl(&["auth", "enable"]);
    etcd.log_in("root:root-pa55word");
}

#[test]
fn a_user_who_may_not_change_the_log_is_named_at_the_start() {
    let mut etcd = Etcd::start(1);
    ask_for_passwords(&mut etcd, "read");
    let keeper = Keeper::Etcd(etcd);
    let user = [
        ("REPLICATION_USER", "flashsale"),
        ("REPLICATION_PASSWORD", PASSWORD),
    ];
    let named = "the user flashsale may not read and change the keys that begin with flashsale/replication/flashsale/";

    let mut settings = keeper.settings();
    settings.extend(user.map(|(key, value)| (key, value.to_owned())));
    let mut log = open_log(&configured(&settings)).expect("it can be asked");
    for _ in 0..3 {
        let error = log.prepare().expect_err("it may not be changed");
        assert!(error.to_string().contains(named), "{error}");
    }
    let addr = keeper.settings()[1].1.parse().expect("one address");
    let (_, figures) = ask(addr, "GET", "/metrics", None, Duration::from_secs(5)).expect("figures");
    let logins = figures.lines().find(|line| {
        line.starts_with("grpc_server_handled_total{")
            && line.contains("\"Authenticate\"")
            && line.contains("\"OK\"")
    });
    let logins = logins.expect("a user logs in");
    assert!(
        logins.ends_with(" 1"),
        "a refusal ends no session: {logins}"
    );

    let mut place = place(&keeper);
    for (key, value) in user {
        place.set(key, value);
    }
    let text = preflight(&place);
    assert!(
        text.contains(&format!("fail {}", keeper.settings()[1].1)) && text.contains(named),
        "{text}"
    );
    let (code, said) = Server::try_start_in(place).err().expect("it ends");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(named), "{said}");
}

#[test]
fn certificates_and_passwords_are_checked_and_tokens_renewed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = files(dir.path());
    let mut etcd = Etcd::start_tls(3, &[], files.clone());
    ask_for_passwords(&mut etcd, "readwrite");
    let keeper = Keeper::Etcd(etcd);
    let mut place = place(&keeper);

    // Each of what is needed is missed.
    let text = preflight(&place);
    assert!(
        text.starts_with("warn the member"),
        "without encryption: {text}"
    );
    assert!(text.contains("fail 127.0.0.1:"), "{text}");
    place.set("REPLICATION_TLS", "true");
    let text = preflight(&place);
    assert!(
        text.contains("encryption: invalid peer certificate: UnknownIssuer"),
        "{text}"
    );
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    place.set("REPLICATION_SSLROOTCERT", &path(&files.authority));
    let text = preflight(&place);
    assert!(
        text.contains("fail 127.0.0.1:"),
        "without a certificate: {text}"
    );
    place.set("REPLICATION_SSLCERT", &path(&files.certificate));
    place.set("REPLICATION_SSLKEY", &path(&files.authority));
    let text = preflight(&place);
    assert!(text.contains("replication.sslkey cannot be used"), "{text}");
    place.set("REPLICATION_SSLKEY", &path(&files.key));
    let text = preflight(&place);
    // The certificate says who it is, and nobody knows that name.
    assert!(text.contains("permission denied"), "{text}");
    place.set("REPLICATION_USER", "flashsale");
    place.set("REPLICATION_PASSWORD", "not-the-right-one");
    let text = preflight(&place);
    assert!(text.contains("invalid user ID or password"), "{text}");
    assert!(!text.contains("not-the-right-one"), "{text}");

    let file = place.path().join("password");
    fs::write(&file, PASSWORD).expect("a new file");
    place.set("REPLICATION_PASSWORD", "");
    place.set("REPLICATION_PASSWORD_FILE", &path(&file));
    let text = preflight(&place);
    assert!(!text.contains("fail"), "{text}");
    let mut group = Group {
        servers: vec![Server::start_in(place)],
        keeper,
    };
    group.wait_for_leader();
    let buyers = Buyers::start(group.addresses());
    buyers.wait_for_more(SOME);

    // Their tokens are gone with them.
    for member in 0..3 {
        let etcd = group.keeper.etcd();
        etcd.kill_9(member);
        etcd.restart(member);
        buyers.wait_for_more(SOME);
    }
    // A new password, which ends the tokens, too.
    let user = ["user", "passwd", "--interactive=false", "flashsale"];
    group.keeper.etcd().ctl_with_input(&user, NEW_PASSWORD);
    fs::write(&file, NEW_PASSWORD).expect("our own");
    buyers.wait_for_more(SOME);
    group.servers[0].signal(Signal::HUP);
    group.servers[0].wait_for_log("SIGHUP: the password of the replicated log");
    let log = group.servers[0].log();
    assert!(
        !log.contains(NEW_PASSWORD) && !log.contains(PASSWORD),
        "{log}"
    );
    settle(group, buyers);
}
