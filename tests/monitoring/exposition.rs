//! `/metrics` in both formats, as Prometheus' own checker reads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::monitoring::promtool::promtool;
use crate::monitoring::shoppers::journey;
use crate::places::{place_with_both, postgres, redis};
use crate::server::{Server, wait_for};

const NO_FILES: [&str; 0] = [];
/// What Prometheus sends.
const ACCEPT_OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// `/metrics` in Prometheus' own format.
pub fn metrics(server: &Server) -> String {
    let answer = server.client().get("/metrics").ok();
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text().to_owned()
}

/// The names of samples that the families of an exposition may have.
pub fn names(metrics: &str) -> BTreeSet<String> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.flat_map(|line| {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let suffixes: &[_] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    });
    names.collect()
}

/// The values of all samples by their names and labels.
fn samples(metrics: &str) -> BTreeMap<&str, f64> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name, value.parse().expect("a number"))
    });
    samples.collect()
}

/// Checks both formats of one server.
fn check(server: &Server) -> String {
    let metrics = metrics(server);
    promtool(&["check", "metrics"], &NO_FILES, &metrics);
    let accept = [("Accept", ACCEPT_OPEN_METRICS)];
    let open = server.client().send("GET", "/metrics", &accept, b"").ok();
    let kind = open.header("content-type");
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(kind, Some(expected));
    assert!(open.text().ends_with("\n# EOF\n"));
    let names = |text: &str| -> BTreeSet<_> {
        let names = samples(text).into_keys();
        names
            .map(|it| it.split('{').next().map(str::to_owned))
            .collect()
    };
    assert_eq!(names(&metrics), names(open.text()), "the same in both");
    metrics
}

#[test]
fn a_server_without_sinks_has_clean_metrics() {
    let server = Server::start(&[]);
    let idle = check(&server);
    for sink in ["db_", "redis_"] {
        let name = format!("\n# TYPE {sink}");
        assert!(!idle.contains(&name), "{sink} is not configured");
    }
    let mut client = server.client();
    (0..20).for_each(|turn| journey(&mut client, turn));
    let text = check(&server);
    adds_up(&samples(&text));
}

#[test]
fn a_server_with_sinks_has_clean_metrics() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let mut place = place_with_both(&postgres, &redis);
    place.set("SALE_HOLD_SECONDS", "600");
    let server = Server::start_in(place);
    check(&server);
    let mut client = server.client();
    (0..20).for_each(|turn| journey(&mut client, turn));
    wait_for("the sinks", || {
        let text = metrics(&server);
        let samples = samples(&text);
        let is = |name: String, value: f64| samples.get(&*name) == Some(&value);
        let done = |sink| is(format!("{sink}_up"), 1.0) && is(format!("{sink}_lag_records"), 0.0);
        (done("db") && done("redis")).then_some(())
    });
    let text = check(&server);
    adds_up(&samples(&text));
}

/// Every attempt is a success or a failure, and none is lost between the families.
fn adds_up(samples: &BTreeMap<&str, f64>) {
    let sum = |begin: &str| -> f64 {
        let matching = samples.iter().filter(|(name, _)| name.starts_with(begin));
        matching.map(|(_, value)| value).sum()
    };
    for (attempts, parts) in [
        (
            "checkout_attempts_total",
            &["checkout_success_total", "checkout_failure_total"][..],
        ),
        (
            "purchase_attempts_total",
            &[
                "purchase_success_total",
                "purchase_replayed_total",
                "purchase_failure_total",
            ],
        ),
        (
            "http_requests_total{route=\"checkout\"",
            &["checkout_attempts_total"],
        ),
        (
            "http_requests_total{route=\"purchase\"",
            &["purchase_attempts_total"],
        ),
        (
            "http_request_duration_seconds_count{route=\"purchase\"",
            &["purchase_attempts_total"],
        ),
    ] {
        let parts: f64 = parts.iter().map(|part| sum(part)).sum();
        assert!(
            sum(attempts) > 0.0 && sum(attempts) == parts,
            "{attempts}: {samples:?}"
        );
    }
}
