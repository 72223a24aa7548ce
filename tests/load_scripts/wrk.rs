//! The scripts for wrk, for a second each.

use std::collections::BTreeMap;
use std::process::Command;

use crate::admin::{create, household};
use crate::load_scripts::tool::{run, script};
use crate::server::{Server, wait_for};

const CONNECTIONS: u64 = 8;

/// What a script has counted, by status and code.
struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Runs a script. No request may fail for another reason than the interface has.
    fn of(server: &Server, name: &str, items: u32) -> Self {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t2", "-d1s", "--timeout", "30s"])
            .arg(format!("-c{CONNECTIONS}"))
            .arg("-s")
            .arg(script(&format!("wrk/{name}.lua")))
            .arg(format!("http://{}", server.addr()))
            .args(["--", "1", &items.to_string(), name])
            .env("COUNT", "1");
        let (output, said) = run(&mut wrk);
        assert!(output.status.success());
        let no_errors = "socket errors: connect 0 read 0 write 0 timeout 0";
        assert!(said.contains(no_errors), "{name}: {said}");
        let counted = said.lines().filter_map(|line| {
            let (count, label) = line.trim_start().split_once("  ")?;
            Some((label.to_owned(), count.parse().ok()?))
        });
        Self(counted.collect())
    }

    fn get(&self, label: &str) -> u64 {
        self.0.get(label).copied().unwrap_or(0)
    }

    /// That there were answers, and only these.
    #[track_caller]
    fn only(&self, labels: &[&str]) {
        let known: u64 = labels.iter().map(|label| self.get(label)).sum();
        assert!(known > 0, "no answers");
        assert_eq!(known, self.0.values().sum::<u64>(), "{:?}", self.0);
    }
}

fn server(items: u32) -> Server {
    Server::start(&[("SALE_TOTAL_ITEMS", &items.to_string())])
}

#[test]
fn checkouts_are_all_accepted() {
    let server = server(1_000);
    Counts::of(&server, "checkout", 1_000).only(&["200 accepted"]);
    assert_eq!(server.client().active_sale().1, 0);
}

#[test]
fn bought_units_equal_sold_units() {
    let server = server(1_000_000);
    let counts = Counts::of(&server, "buy", 1_000_000);
    // Two may want the same item, and the later of them gets none.
    counts.only(&[
        "200 accepted",
        "200 sold",
        "409 item_sold_out",
        "409 all_items_sold",
    ]);
    let (_, sold) = server.client().active_sale();
    // wrk ends without waiting for the last answer on each connection.
    let counted = counts.get("200 sold");
    assert!((counted..=counted + CONNECTIONS).contains(&sold));
}

#[test]
fn a_sale_that_is_bought_up_is_sold_out() {
    let server = server(20);
    wait_for("the end of the stock", || {
        Counts::of(&server, "buy", 20);
        (server.client().active_sale().1 == 20).then_some(())
    });
    Counts::of(&server, "sold_out", 20).only(&["409 item_sold_out"]);
}

#[test]
fn a_sale_that_is_not_sold_out_is_told_to_need_buyers_first() {
    let server = server(1_000);
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c2", "-d1s", "-s"])
        .arg(script("wrk/sold_out.lua"))
        .arg(format!("http://{}", server.addr()))
        .args(["--", "1", "1000", "early"]);
    let (output, said) = run(&mut wrk);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("let buy.lua buy it up first"), "{said}");
}

#[test]
fn one_user_gets_no_more_than_the_limit() {
    let server = server(1_000);
    let counts = Counts::of(&server, "one_user", 1_000);
    let refused = ["400 user_limit_exceeded", "400 item_already_in_checkout"];
    counts.only(&["200 accepted", refused[0], refused[1]]);
    assert!((1..=10).contains(&counts.get("200 accepted")));
}

#[test]
fn everybody_may_look() {
    Counts::of(&server(10), "active", 10).only(&["200 ok"]);
}

#[test]
fn a_sale_of_listed_items_is_told_before_the_run() {
    let server = server(10);
    let listed = create(&mut server.client(), &household());
    let why = format!("sale {listed} has items of its own");
    for (sale, why) in [(&*listed, &*why), ("99", "sale 99 is not there (404)")] {
        for name in ["checkout", "buy", "sold_out", "one_user"] {
            let mut wrk = Command::new("wrk");
            wrk.args(["-t1", "-c2", "-d1s", "-s"])
                .arg(script(&format!("wrk/{name}.lua")))
                .arg(format!("http://{}", server.addr()))
                .args(["--", sale, "3", "early"]);
            let (output, said) = run(&mut wrk);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }
}
