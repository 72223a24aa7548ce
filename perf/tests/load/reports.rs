//! What a report says of a run: apart by outcome, and nothing that was not measured.

use std::time::Duration;

use flashsale_perf::load::audit::Audit;
use flashsale_perf::load::report::Report;
use flashsale_perf::load::{Arrivals, Mode, Plan, Shape, Workload};
use serde_json::Value;

use crate::place::outcome;
use crate::stub;

/// A report of a crowd that is refused every other time.
fn report(mode: Mode, queue_too_short: bool) -> Report {
    let count = std::sync::atomic::AtomicU64::new(0);
    let sold_out = r#"{"message":"x","error":"item_sold_out"}"#;
    let address = stub::start(move |_| {
        if queue_too_short {
            std::thread::sleep(Duration::from_millis(50));
        }
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(match number % 2 {
            0 => stub::accepted(),
            _ => stub::response(409, sold_out),
        })
    });
    let outcome = outcome(&Plan {
        mode,
        workload: Workload::ManyUsers,
        ..stub::plan(address, 500)
    });
    Report::new(&outcome, Audit::of(&outcome, false, None))
}

fn open(rate: f64, queue: usize) -> Mode {
    Mode::Open {
        rate,
        arrivals: Arrivals::Uniform,
        shape: Shape::Steady,
        queue,
    }
}

fn json(report: &Report) -> Value {
    let mut line = Vec::new();
    report.write_json(&mut line).expect("into memory");
    serde_json::from_slice(&line).expect("JSON")
}

fn text(report: &Report) -> String {
    let mut text = Vec::new();
    report.summarize(&mut text).expect("into memory");
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn each_outcome_has_latencies_of_its_own() {
    let report = report(open(200.0, 1000), false);
    let result = json(&report);
    let rows = result["outcomes"].as_array().expect("outcomes");
    let names: Vec<_> = rows.iter().map(|row| row["outcome"].as_str()).collect();
    assert_eq!(names, [Some("accepted"), Some("item_sold_out")]);
    for row in rows {
        assert_eq!(row["count"], 50, "{row}");
        assert_eq!(row["corrected_us"]["count"], 50, "{row}");
        assert!(row["service_us"]["p99"].as_f64() > Some(0.0), "{row}");
    }
    let of = result["latency"].as_array().expect("rows").iter();
    let of: Vec<_> = of.map(|row| row["of"].as_str().expect("a name")).collect();
    assert_eq!(of, ["checkout", "ok", "refused", "all", "journey"]);
    let (text, html) = (text(&report), report.html());
    for name in ["checkout accepted", "checkout item_sold_out"] {
        assert!(text.contains(&format!("{name} corrected")), "{text}");
        assert!(html.contains(&format!("{name}, corrected")), "{name}");
    }
    assert!(text.contains("(50 ok: "), "{text}");
}

#[test]
fn a_closed_loop_has_no_corrected_figure() {
    let report = report(Mode::Closed, false);
    let result = json(&report);
    for row in result["latency"].as_array().expect("rows") {
        assert_eq!(row["corrected_us"], Value::Null, "{row}");
        assert!(row["service_us"]["count"].as_u64() > Some(0), "{row}");
    }
    for row in result["outcomes"].as_array().expect("outcomes") {
        assert_eq!(row["corrected_us"], Value::Null, "{row}");
    }
    for shown in [text(&report), report.html()] {
        assert!(!shown.to_lowercase().contains("corrected"), "{shown}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    report.write_files(dir.path()).expect("written");
    for (name, there) in [
        ("service.hgrm", true),
        ("service.hlog", true),
        ("corrected.hgrm", false),
        ("corrected.hlog", false),
    ] {
        assert_eq!(dir.path().join(name).exists(), there, "{name}");
    }
}

#[test]
fn logs_of_histograms_are_written_beside_the_curves() {
    let report = report(open(200.0, 1000), false);
    let dir = tempfile::tempdir().expect("a directory");
    report.write_files(dir.path()).expect("written");
    for name in ["service", "corrected"] {
        let log = std::fs::read_to_string(dir.path().join(name).with_extension("hlog"));
        let log = log.expect(name);
        assert!(
            log.starts_with("#[Histogram log format version 1.3]\n"),
            "{log}"
        );
        let tags: Vec<_> = log
            .lines()
            .filter_map(|line| line.strip_prefix("Tag=")?.split(',').next())
            .collect();
        assert_eq!(
            tags,
            ["checkout.accepted", "checkout.item_sold_out"],
            "{log}"
        );
        assert!(dir.path().join(name).with_extension("hgrm").exists());
    }
}

#[test]
fn no_share_is_above_100_percent() {
    // 40 a second are answered, and 400 come.
    let report = report(open(400.0, 2), true);
    let result = json(&report);
    let not_sent = &result["totals"]["not_sent"]["queue_full"];
    assert!(
        not_sent.as_u64() > result["totals"]["sent"].as_u64(),
        "{result}"
    );
    let html = report.html();
    let shares: Vec<f64> = html
        .split("</td>")
        .filter_map(|cell| cell.rsplit('>').next()?.strip_suffix(" %")?.parse().ok())
        .collect();
    assert!(shares.len() >= 3, "{html}");
    assert!(shares.iter().all(|&share| share <= 100.0), "{shares:?}");
    let said = text(&report);
    assert!(
        said.contains("arrivals not sent: the queue for a connection was full"),
        "{said}"
    );
}
