//! The scripts for k6, with few people for a short time.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::admin::{create, household};
use crate::load_scripts::tool::{run, script};
use crate::server::Server;

/// The exit code when a threshold was not met: on a busy machine those of time may not be.
const THRESHOLD_MISSED: i32 = 99;

/// The figures that a script ends with.
struct Summary(Value);

impl Summary {
    /// Runs a script. No request may fail, and every answer must be one that the script knows.
    fn of(server: &Server, name: &str) -> Self {
        Self::with(server, name, &[])
    }

    fn with(server: &Server, name: &str, environment: &[(&str, &str)]) -> Self {
        let file = server.place().path().join("summary.json");
        let mut k6 = k6(server, name);
        k6.arg("--summary-export").arg(&file);
        let (output, _) = run(k6.envs(environment.iter().copied()));
        let code = output.status.code();
        assert!(
            code == Some(0) || code == Some(THRESHOLD_MISSED),
            "{code:?}"
        );
        let summary = fs::read_to_string(file).expect("a summary");
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        let summary = Self(summary["metrics"].clone());
        assert_eq!(summary.0["http_req_failed"]["value"].as_f64(), Some(0.0));
        assert_eq!(summary.count("unknown_answers"), 0);
        summary
    }

    fn count(&self, metric: &str) -> u64 {
        self.0[metric]["count"].as_u64().unwrap_or(0)
    }

    fn outcome(&self, outcome: &str) -> u64 {
        self.count(&format!("answers{{outcome:{outcome}}}"))
    }
}

fn k6(server: &Server, name: &str) -> Command {
    let mut k6 = Command::new("k6");
    k6.args(["run", "--no-usage-report", "--no-color", "--quiet"])
        .args(["--address", ""])
        .arg(script(&format!("k6/{name}.js")))
        .env("K6_NO_USAGE_REPORT", "true")
        .env("BASE_URL", format!("http://{}", server.addr()))
        .envs([("RATE", "40"), ("DURATION", "2"), ("THINK", "0.2")]);
    k6
}

fn server() -> Server {
    Server::start(&[("SALE_TOTAL_ITEMS", "300")])
}

#[test]
fn checkouts_are_all_accepted() {
    let server = server();
    let summary = Summary::of(&server, "checkout");
    assert!(summary.outcome("accepted") > 0);
    assert_eq!(summary.outcome("accepted"), summary.count("answers"));
    assert_eq!(server.client().active_sale().1, 0);
}

#[test]
fn an_opening_sells_what_it_counts() {
    let server = server();
    let summary = Summary::of(&server, "sale");
    assert!(summary.outcome("sold") > 0);
    assert_eq!(server.client().active_sale().1, summary.count("units_sold"));
}

#[test]
fn all_kinds_of_people_get_what_they_came_for() {
    let server = server();
    let summary = Summary::of(&server, "realistic");
    assert!(summary.outcome("shown") > 0 && summary.outcome("sold") > 0);
    assert!(summary.outcome("user_limit_exceeded") + summary.outcome("item_sold_out") > 0);
    assert_eq!(server.client().active_sale().1, summary.count("units_sold"));
}

#[test]
fn a_sale_of_listed_items_is_told_before_the_run_and_another_can_be_named() {
    let server = server();
    let listed = create(&mut server.client(), &household());
    for sale in [None, Some(&*listed)] {
        let mut k6 = k6(&server, "checkout");
        let (output, said) = run(k6.envs(sale.map(|sale| ("SALE", sale))));
        assert!(!output.status.success(), "{said}");
        let why = format!("sale {listed} has items of its own, such as lamp");
        assert!(said.contains(&why), "{said}");
    }
    let (output, said) = run(k6(&server, "checkout").env("SALE", "99"));
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("sale 99 is not open"), "{said}");
    let summary = Summary::with(&server, "checkout", &[("SALE", "1")]);
    assert!(summary.outcome("accepted") > 0);
    assert_eq!(summary.outcome("accepted"), summary.count("answers"));
}
