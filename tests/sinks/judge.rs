//! Whether everything agrees, and what a server says about its sinks.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::load::Bought;
use crate::postgres_server::{DATABASE, Postgres};
use crate::server::{Place, Server, wait_for};

/// What `/health` says about a sink: `database`, or `redis`.
pub fn figures(server: &Server, sink: &str) -> Value {
    let health = server.client().get("/health").ok().json();
    assert_eq!(
        health["services_status"][sink],
        health["reconcile"][sink]["status"]
    );
    health["reconcile"][sink].clone()
}

/// A figure of [`figures`].
pub fn figure(server: &Server, sink: &str, name: &str) -> u64 {
    let figures = figures(server, sink);
    figures[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} in {figures}"))
}

/// A sample of `/metrics`.
pub fn metric(server: &Server, name: &str) -> String {
    let metrics = server.client().get("/metrics").ok();
    let value = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in {}", metrics.text()));
    value.to_owned()
}

/// Waits until every sink that is configured has everything.
pub fn settle(server: &Server) {
    let mut last = String::new();
    wait_for_or("the sinks", &mut last, |last| {
        let health = server.client().get("/health").ok().json();
        let sinks = &health["reconcile"];
        *last = sinks.to_string();
        let is_done = |sink: &Value| {
            sink["status"] == "DISABLED" || (sink["status"] == "UP" && sink["lag_records"] == 0)
        };
        let done = [&sinks["database"], &sinks["redis"]]
            .into_iter()
            .all(is_done);
        done.then_some(())
    });
}

/// Waits until the sink is down for this reason; what `/health` says then.
pub fn wait_until_down(server: &Server, sink: &str, reason: &str) -> Value {
    let mut last = String::new();
    let what = format!("{sink} to be down: {reason}");
    wait_for_or(&what, &mut last, |last| {
        let figures = figures(server, sink);
        *last = figures.to_string();
        let said = figures["reason"].as_str().expect("text");
        let is_down = figures["status"] == "DOWN" && said.contains(reason);
        is_down.then(|| figures.clone())
    })
}

/// Waits until the sink takes what it is given.
pub fn wait_until_up(server: &Server, sink: &str) {
    let mut last = String::new();
    wait_for_or(&format!("{sink} to be up"), &mut last, |last| {
        let figures = figures(server, sink);
        *last = figures.to_string();
        (figures["status"] == "UP").then_some(())
    });
}

/// As [`wait_for`], and shows `last` when that takes too long.
fn wait_for_or<T>(
    what: &str,
    last: &mut String,
    mut look: impl FnMut(&mut String) -> Option<T>,
) -> T {
    struct Show<'a>(&'a mut String);
    impl Drop for Show<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("--- at last: {}", self.0);
            }
        }
    }
    let show = Show(last);
    wait_for(what, || look(show.0))
}

/// Runs `flashsale verify`; its exit code and its report.
pub fn verify(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.run(&[&["verify"], arguments].concat());
    let report = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!report.contains("CHK-"), "a code: {report}");
    (output.status.code(), report + &errors)
}

/// Everything must agree. What cannot be checked, because a sink is only just there again, is checked once more.
fn agrees(place: &Place, arguments: &[&str]) {
    let (code, report) = wait_for("a verdict", || {
        let (code, report) = verify(place, arguments);
        (code != Some(2) || !report.contains("NOT CHECKED")).then_some((code, report))
    });
    assert_eq!(code, Some(0), "{report}");
}

/// Everything must agree while the server runs.
pub fn agree_running(server: &Server) {
    settle(server);
    agrees(server.place(), &["--server", &server.addr().to_string()]);
}

/// The sinks must come to hold what was bought and nothing else; then stops the server, after which
/// everything must still agree.
pub fn all_is_well(server: Server, postgres: &Postgres, bought: &Bought) -> Place {
    agree_running(&server);
    check_rows(&server, postgres, bought);
    let place = server.stop();
    agrees(&place, &[]);
    place
}

fn check_rows(server: &Server, postgres: &Postgres, bought: &Bought) {
    let query = |sql| postgres.query(DATABASE, sql);
    assert_eq!(query("SELECT * FROM violations"), "");
    let rows = query(
        "SELECT 'CHK-' || sale_id || '-' || replace(secret::text, '-', ''), item_index
         FROM purchase_results WHERE sold",
    );
    let rows: BTreeSet<&str> = rows.lines().collect();
    let mut answered = 0;
    for (code, items) in &bought.sold {
        for item in items {
            let row = format!("{code}|{item}");
            assert!(rows.contains(&*row), "{row} was answered, and is not there");
            answered += 1;
        }
    }
    assert!(answered > 0, "nothing was bought");
    let (_, sold) = server.client().active_sale();
    assert_eq!(rows.len() as u64, sold, "as many rows as units are sold");
    if bought.unknown.is_empty() {
        assert_eq!(answered, sold, "as many answers as units are sold");
    }
}
