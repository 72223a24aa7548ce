//! The binary: flags, exit codes, files.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::place;

fn load(flags: &[&str]) -> Output {
    let binary = place::binary();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale-perf"));
    command.arg("load").args(flags);
    if flags.contains(&"--spawn") {
        command.arg("--server").arg(binary);
    }
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_run_leaves_everything_in_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = dir.path().join("result");
    let flags = [
        "--spawn",
        "--workload",
        "buy",
        "--seconds",
        "2",
        "--connections",
        "8",
        "--output",
    ];
    let done = load(&[&flags[..], &[output.to_str().expect("UTF-8")]].concat());
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}{}",
        text(&done.stdout),
        text(&done.stderr)
    );
    assert!(text(&done.stdout).contains("audit: passed"));
    assert!(
        text(&done.stderr).contains("2/2 s  planned"),
        "{}",
        text(&done.stderr)
    );

    let json = fs::read_to_string(output.join("result.json")).expect("result.json");
    let result: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(result["version"], 1);
    assert_eq!(
        (&result["valid"], &result["audit_passed"]),
        (&true.into(), &true.into())
    );
    assert_eq!(result["plan"]["duration_seconds"], 2.0);
    let answered = result["totals"]["answered"].as_u64().expect("a count");
    assert!(answered > 0);
    let seconds = result["seconds"].as_array().expect("seconds");
    let sum: u64 = seconds
        .iter()
        .filter_map(|second| second["answered"].as_u64())
        .sum();
    assert_eq!(sum, answered);
    assert!(result["server_cpu"]["us_per_request"].as_f64() > Some(0.0));

    for name in ["corrected.hgrm", "service.hgrm"] {
        let hgrm = fs::read_to_string(output.join(name)).expect(name);
        let total = hgrm
            .lines()
            .find_map(|line| line.split("Total count    =").nth(1));
        let total = total.expect("a foot").trim_end_matches(']').trim();
        assert_eq!(total.parse(), Ok(answered), "{name}");
    }
    let html = fs::read_to_string(output.join("report.html")).expect("report.html");
    for outside in [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("<svg") && html.contains("The books are right"));
}

#[test]
fn a_generator_that_is_late_is_told_by_the_exit_code() {
    let never_late = ["--late-us", "0", "--late-percent-max", "0"];
    let flags = [
        "--spawn",
        "--quiet",
        "--rate",
        "200",
        "--seconds",
        "1",
        "--connections",
        "4",
    ];
    let done = load(&[&flags[..], &never_late[..]].concat());
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(3), "{said}{}", text(&done.stderr));
    assert!(said.starts_with("INVALID: the generator itself"), "{said}");
    assert!(done.stderr.is_empty(), "{}", text(&done.stderr));
}

#[test]
fn all_figures_fit_in_a_line() {
    let flags = [
        "--spawn",
        "--quiet",
        "--workload",
        "realistic",
        "--seconds",
        "1",
        "--format",
        "json",
    ];
    let done = load(&flags);
    let said = text(&done.stdout);
    assert_eq!(said.lines().count(), 1, "{said}");
    let result: Value = serde_json::from_str(&said).expect("JSON");
    let windows = result["windows_p99_us"]["purchase"]
        .as_array()
        .expect("windows");
    assert_eq!(windows.len(), 1);
}

#[test]
fn what_cannot_be_done_is_said() {
    for (flags, code, expected) in [
        (&["--rate", "0"][..], 1, "--rate is 0; it must be"),
        (&["--address", "nowhere"], 2, "invalid value 'nowhere'"),
        (
            &["--address", "127.0.0.1:1"],
            1,
            "127.0.0.1:1 does not answer",
        ),
        (&["--workload", "steal"], 2, "possible values"),
    ] {
        let done = load(flags);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
}
