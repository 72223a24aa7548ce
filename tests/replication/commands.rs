//! The commands beside a group: they say who leads, hand the leadership over, and check before a sale.

use std::fs;
use std::process::Output;

use rustix::process::Signal;
use serde_json::Value;

use super::group::Group;
use super::keeper::{Keeper, LogEngine, on_each_engine};
use crate::postgres_pair::PostgresPair;
use crate::postgres_server::{DATABASE, PASSWORD};
use crate::server::{Place, Server, wait_for};

on_each_engine!(
    a_leadership_is_shown_and_handed_over,
    a_leader_that_nobody_follows_takes_its_leadership_back,
    a_journal_that_does_not_fit_the_log_is_found_before_the_start,
);

/// Exit code, and standard output with standard error behind it.
pub fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8(text).expect("UTF-8"),
    )
}

/// Exit code and document of `replication status --json`.
fn status(place: &Place) -> (Option<i32>, Value) {
    let (code, text) = said(&place.run(&["replication", "status", "--json"]));
    let document = serde_json::from_str(&text);
    (code, document.unwrap_or_else(|_| panic!("{text}")))
}

/// What `preflight` says of the replicated log: each finding with its level before it.
pub fn preflight(place: &Place) -> String {
    let (_, text) = said(&place.run(&["preflight", "--json"]));
    assert!(!text.contains(PASSWORD), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    let findings = document["findings"].as_array().expect("a list");
    let of_log = findings.iter().filter(|it| it["check"] == "replicated log");
    let line = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(it["level"] == "ok", it["do"].is_null(), "{it}");
        format!("{} {}\n", text("level"), text("found"))
    };
    of_log.map(line).collect()
}

fn a_leadership_is_shown_and_handed_over(engine: LogEngine) {
    let group = Group::start(2, engine);
    let leader = group.wait_for_leader();
    group.wait_for_standby(1 - leader);
    let (one, other) = (&group.servers[leader], &group.servers[1 - leader]);
    let name = one.addr().to_string();

    let (code, found) = status(one.place());
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["leader"], *name);
    assert_eq!(found["server"]["role"], "leader");
    let epoch = found["epoch"].as_u64().expect("a number");
    let (code, found) = status(other.place());
    assert_eq!(
        (code, &found["server"]["role"]),
        (Some(0), &"standby".into())
    );
    let text = other.place().report(&["replication", "status"]);
    assert!(
        text.contains(&format!("{name}, epoch {epoch}: gave a sign")),
        "{text}"
    );

    // It is as well as a standby can be.
    let verbose = other.client().get("/readyz?verbose");
    let conditions = String::from_utf8(verbose.body.clone()).expect("UTF-8");
    assert_eq!(verbose.status, 503, "{conditions}");
    let missing: Vec<_> = conditions
        .lines()
        .filter(|it| it.starts_with("[-]"))
        .collect();
    assert_eq!(missing, ["[-]leader"], "{conditions}");
    for server in [one, other] {
        server.place().report(&["healthcheck"]);
    }

    // Asked for in the wrong place.
    let hand_over = ["replication", "hand-over"];
    let (code, text) = said(&other.place().run(&hand_over));
    assert!(code == Some(1) && text.contains("does not lead"), "{text}");
    let mut stranger = other.client().with_token(None);
    let answer = stranger.post("/admin/replication/hand-over");
    answer.refused(401, "unauthorized", "token");
    let mut client = other.client().with_token(other.token());
    let answer = client.post("/admin/replication/hand-over");
    let answer = answer.refused(409, "not_leader", "does not lead");
    assert_eq!(answer.header("leader"), Some(&*name));

    // On a machine that is slow the one that gave it away may be back before the other one has seen that.
    let text = wait_for("a standby that is faster", || {
        let (code, text) = said(&one.place().run(&hand_over));
        (code == Some(0)).then_some(text)
    });
    assert!(text.contains(&other.addr().to_string()), "{text}");
    group.wait_for_leader_among([1 - leader].into_iter());
    group.wait_for_standby(leader);
    let (_, found) = status(one.place());
    assert_eq!(found["leader"], *other.addr().to_string());
    assert!(found["epoch"].as_u64() > Some(epoch), "{found}");

    // The places are left, the leader's last: what it has offered nobody takes.
    let (places, _keeper) = group.stop();
    let (code, found) = status(&places[0]);
    assert_eq!((code, &found["leader"]), (Some(1), &"".into()), "{found}");
    assert_eq!(found["server"], Value::Null);
    let (code, text) = said(&places[0].run(&hand_over));
    assert_eq!(code, Some(2), "nobody listens: {text}");
    for place in &places {
        let text = place.report(&["journal", "inspect"]);
        assert!(
            text.contains("replicated in the log \"flashsale\" ("),
            "{text}"
        );
        place.report(&["journal", "verify"]);
        place.report(&["verify"]);
        let text = preflight(place);
        assert!(text.contains("ok the journal fits flashsale"), "{text}");
    }
}

fn a_leader_that_nobody_follows_takes_its_leadership_back(engine: LogEngine) {
    let group = Group::start(1, engine);
    let (code, text) = said(&group.servers[0].place().run(&["replication", "hand-over"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("leads again"), "{text}");
    group.wait_for_leader();
}

#[test]
fn nothing_is_handed_over_where_nothing_is_replicated() {
    let server = Server::start(&[]);
    for command in ["status", "hand-over"] {
        let (code, text) = said(&server.place().run(&["replication", command]));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("replication.engine"), "{text}");
    }
    let mut client = server.client().with_token(server.token());
    let answer = client.post("/admin/replication/hand-over");
    answer.refused(409, "not_replicated", "replication.engine");
    let text = preflight(server.place());
    assert!(text.starts_with("ok off"), "{text}");
}

#[test]
fn preflight_says_what_is_wrong_with_the_log() {
    let pair = PostgresPair::start();
    let mut place = super::group::place_on(&pair.hosts());
    let text = preflight(&place);
    for part in [
        "a commit waits for second\n",
        "ok the standby second follows",
        "ok its tables are made at the first start",
        "ok flashsale is made at the first start",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("fail") && !text.contains("warn"), "{text}");
    let (code, found) = said(&place.run(&["replication", "status"]));
    assert_eq!(code, Some(2), "{found}");
    assert!(
        found.contains("there is no replicated log \"flashsale\" yet"),
        "{found}"
    );

    // One who may do nothing here, and sees nothing of others.
    pair.query("CREATE ROLE stranger LOGIN PASSWORD 'stranger-and-no-more'");
    place.set("REPLICATION_USER", "stranger");
    place.set("REPLICATION_PASSWORD", "stranger-and-no-more");
    let text = preflight(&place);
    assert!(
        text.contains("fail its tables are not there, and the user may not make them"),
        "{text}"
    );
    assert!(
        text.contains("warn the standby second is connected"),
        "{text}"
    );
    place.set("REPLICATION_PASSWORD", "not-the-right-one");
    let text = preflight(&place);
    assert!(
        text.starts_with("fail ") && text.contains("28P01"),
        "{text}"
    );
    assert!(!text.contains("not-the-right-one"), "{text}");

    place = super::group::place_on(&pair.hosts());
    pair.primary.set("synchronous_commit", "local");
    let text = preflight(&place);
    assert!(text.contains("synchronous_commit is 'local'"), "{text}");
    pair.primary.set("synchronous_commit", "on");
    pair.primary
        .set("synchronous_standby_names", "FIRST 2 (second, third)");
    let text = preflight(&place);
    assert!(
        text.contains("fail the standby third is not connected"),
        "{text}"
    );
    pair.primary.set("synchronous_standby_names", "second");

    let standby = format!("127.0.0.1:{}", pair.standby.port());
    place.set("REPLICATION_HOSTS", &standby);
    let text = preflight(&place);
    assert!(
        text.contains("takes no changes") && text.contains("warn one server"),
        "{text}"
    );
}

fn a_journal_that_does_not_fit_the_log_is_found_before_the_start(engine: LogEngine) {
    let group = Group::start(1, engine);
    let (mut places, keeper) = group.stop();
    let mut replicated = places.remove(0);
    replicated.set("REPLICATION_LOG", "another");
    assert!(preflight(&replicated).contains("ok another is made at the first start"));

    // It was never replicated.
    let mut sold = Server::start(&[]).stop();
    for (key, value) in keeper.settings() {
        sold.set(key, &value);
    }
    let text = preflight(&sold);
    assert!(
        text.contains("fail the journal holds") && text.contains("never replicated"),
        "{text}"
    );

    // The log is gone.
    replicated.set("REPLICATION_LOG", "flashsale");
    assert!(preflight(&replicated).contains("ok the journal fits"));
    keeper.remove_log();
    let text = preflight(&replicated);
    assert!(
        text.contains("fail the replicated log \"flashsale\" ends with record 0"),
        "{text}"
    );
    let started = Server::try_start_in(replicated);
    let (code, text) = started.map(|_| ()).expect_err("refused");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("lost records"), "{text}");
}

#[test]
fn the_password_of_the_log_is_exchanged_without_a_restart() {
    const NEW: &str = "another-pa55word-of-the-log";
    let pair = PostgresPair::start();
    pair.query(&format!(
        "CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE {DATABASE} TO keeper"
    ));
    let mut place = super::group::place_on(&pair.hosts());
    let file = place.path().join("password");
    fs::write(&file, PASSWORD).expect("a new file");
    place.set("REPLICATION_USER", "keeper");
    place.set("REPLICATION_PASSWORD", "");
    place.set("REPLICATION_PASSWORD_FILE", file.to_str().expect("UTF-8"));
    let server = Server::start_in(place);
    let mut group = Group {
        servers: vec![server],
        keeper: Keeper::Postgres(pair),
    };
    group.wait_for_leader();
    group
        .pair()
        .query(&format!("ALTER ROLE keeper PASSWORD '{NEW}'"));
    fs::write(&file, NEW).expect("our own");
    group.servers[0].signal(Signal::HUP);
    group.servers[0].wait_for_log("SIGHUP: the password of the replicated log was read anew");
    // From now on nobody gets in with the old one.
    group
        .pair()
        .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'");
    group.wait_for_leader();
    let server = &group.servers[0];
    server.client().checkout("ada", "ITM-1-0").ok();
    let log = server.log();
    assert!(!log.contains(NEW) && !log.contains(PASSWORD), "{log}");
    let text = server.place().report(&["replication", "status"]);
    assert!(text.contains("gave a sign"), "{text}");
}
