//! Settings of the database that void the promise stop the start, and say which and why.

use super::group::{place, place_on};
use super::keeper::Keeper;
use crate::postgres_pair::PostgresPair;
use crate::server::{Server, wait_for};

#[test]
fn a_database_that_may_lose_what_it_acknowledged_is_refused() {
    let mut keeper = Keeper::Postgres(PostgresPair::start());
    for (setting, value, word) in [
        ("synchronous_standby_names", "", "no standby"),
        ("synchronous_standby_names", "ANY 1 (second, third)", "ANY"),
        (
            "synchronous_standby_names",
            "second, third",
            "require all of them",
        ),
        ("synchronous_commit", "local", "on the standby's disk"),
        (
            "synchronous_commit",
            "remote_write",
            "on the standby's disk",
        ),
        ("fsync", "off", "certain to be on a disk"),
        ("full_page_writes", "off", "power cut"),
    ] {
        let before = keeper.pair().query(&format!("SHOW {setting}"));
        keeper.pair().primary.set(setting, value);
        let started = Server::try_start_in(place(&keeper));
        let (code, said) = started.map(|_| ()).expect_err("refused");
        assert_eq!(code, Some(1), "{said}");
        let is_named = said.contains(&format!("{setting} is '{value}'"));
        assert!(
            is_named && said.contains(word),
            "{setting} = {value}: {said}"
        );
        keeper.pair().primary.set(setting, &before);
    }
}

/// Patroni sets it in strict mode from the loss of the standby until there is another one.
#[test]
fn a_start_waits_while_the_database_has_no_standby() {
    let pair = PostgresPair::start();
    pair.primary.set("synchronous_standby_names", "*");
    let mut server = Server::begin_in(place_on(&pair.hosts()));
    server.wait_for_log("waiting for the replicated log");
    let log = server.log();
    assert!(log.contains("synchronous_standby_names is '*'"), "{log}");
    pair.primary.set("synchronous_standby_names", "second");
    server.wait_until_listening();
    wait_for("the leadership", || {
        let answer = server.client().get("/readyz?role=leader");
        (answer.status == 200).then_some(())
    });
}
