//! The binary: flags, exit codes, files.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{place, stub};

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
        "--rate",
        "100",
        "--seconds",
        "2",
        "--connections",
        "8",
        // The machine may be busy.
        "--late-percent-max",
        "100",
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
    assert_eq!(result["version"], 2);
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
fn a_goal_that_is_not_met_is_told_by_the_exit_code() {
    let flags = ["--spawn", "--quiet", "--seconds", "1", "--connections", "2"];
    for (goal, code, expected) in [
        (
            ["--p99-ms", "600000"],
            0,
            "goal met: 99 % of the answers within 600000 ms (ok: ",
        ),
        (
            ["--p999-ms", "0.001"],
            5,
            "GOAL NOT MET: 99.9 % of the answers within 0.001 ms (ok: ",
        ),
    ] {
        let done = load(&[&flags[..], &goal[..]].concat());
        let said = text(&done.stdout);
        assert_eq!(
            done.status.code(),
            Some(code),
            "{said}{}",
            text(&done.stderr)
        );
        assert!(said.starts_with(expected), "{said}");
    }
    let help = text(&load(&["--help"]).stdout);
    assert!(
        help.contains("Exit codes:") && help.contains("--max-refused-percent"),
        "{help}"
    );
}

#[test]
fn a_run_that_is_refused_is_told_by_the_exit_code() {
    let sold_out = r#"{"message":"x","error":"item_sold_out"}"#;
    let address = stub::start(move |_| Some(stub::response(409, sold_out))).to_string();
    let flags = ["--sale", "1", "--items", "100", "--seconds", "1", "--quiet"];
    let asked = ["--workload", "checkout", "--address", address.as_str()];
    let done = load(&[&flags[..], &asked[..]].concat());
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(3), "{said}{}", text(&done.stderr));
    assert!(
        said.contains("INVALID: ") && said.contains("item_sold_out"),
        "{said}"
    );
}

#[test]
fn the_script_takes_binaries_that_are_there_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let release = dir.path().join("release");
    fs::create_dir(&release).expect("writable");
    let load = env!("CARGO_BIN_EXE_flashsale-perf");
    std::os::unix::fs::symlink(load, release.join("flashsale-perf")).expect("writable");
    let sold_out = r#"{"message":"x","error":"item_sold_out"}"#;
    let address = stub::start(move |_| Some(stub::response(409, sold_out))).to_string();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = |address: &str| {
        let mut command = Command::new(root.join("scripts/load-testing/run"));
        command
            .args([
                "light",
                "--sale",
                "1",
                "--items",
                "1000",
                "--workload",
                "hot-item",
            ])
            .args(["--seconds", "1", "--quiet"])
            .env("CARGO_TARGET_DIR", dir.path())
            // There is no cargo.
            .env("PATH", "/usr/bin:/bin")
            .env("ADDRESS", address);
        command.output().expect("the script runs")
    };
    let done = script(&address);
    let said = text(&done.stderr);
    assert!(said.contains("taking flashsale-perf of "), "{said}");
    assert!(text(&done.stdout).contains("item_sold_out"), "{said}");
    fs::remove_file(release.join("flashsale-perf")).expect("removable");
    let said = text(&script(&address).stderr);
    assert!(said.contains("building flashsale-perf in "), "{said}");
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
