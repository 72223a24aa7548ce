//! The commands that measure maintenance, connections and handshakes, for real and in short: what they print and leave behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place;

/// Runs a command with the server, and returns its output and its JSON.
fn run(command: &str, flags: &[&str]) -> (String, Value) {
    let dir = tempfile::tempdir().expect("a directory");
    let output = dir.path().join("result");
    let done = Command::new(env!("CARGO_BIN_EXE_flashsale-perf"))
        .arg(command)
        .args(flags)
        .arg("--server")
        .arg(place::binary())
        .arg("--output")
        .arg(&output)
        .current_dir(dir.path())
        .output()
        .expect("the binary runs");
    let [printed, errors] =
        [&done.stdout, &done.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    assert!(done.status.success(), "{printed}{errors}");
    (printed, json(&output.join(format!("{command}.json"))))
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("the file is there");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().expect("a list")
}

#[test]
fn maintenance_is_told_second_by_second() {
    let flags = "--seconds 6 --users 1000 --items 1000 --connections 4 --journal-dir .";
    let flags: Vec<_> = flags.split(' ').collect();
    let (printed, found) = run("maintenance", &flags);
    let seconds = list(&found, "seconds");
    assert!(seconds.len() >= 3, "{found}");
    assert!(seconds.iter().all(|it| it["p99_ms"].is_f64()));
    assert!(list(&found, "samples").len() > 3);
    let kinds: Vec<_> = list(&found, "tasks").iter().map(|it| &it["kind"]).collect();
    for kind in ["creation", "closing", "backup"] {
        assert!(kinds.iter().any(|it| *it == kind), "{kind}: {kinds:?}");
    }
    assert!(printed.contains("\n| sale created | 1 | "), "{printed}");
    assert!(printed.contains("memory of a snapshot: "), "{printed}");
}

#[test]
fn connections_are_counted_and_buyers_spread_among_them() {
    let flags = "--connections 300 --few 10 --rate 50 --rounds 2 --seconds 2 --journal-dir .";
    let flags: Vec<_> = flags.split(' ').collect();
    let (printed, found) = run("connections", &flags);
    assert_eq!(found["idle"]["connections"], 300);
    assert!(found["kib_each"].as_f64() > Some(0.0), "{found}");
    let turns = list(&found, "turns");
    let connections: Vec<_> = turns.iter().map(|it| &it["connections"]).collect();
    assert_eq!(connections, [10, 300, 300, 10]);
    assert!(turns.iter().all(|it| it["requests"].as_u64() > Some(0)));
    assert!(
        printed.contains("a million connections, computed:"),
        "{printed}"
    );
}

#[test]
fn handshakes_of_both_kinds_are_compared() {
    let flags = ["--rounds", "1", "--seconds", "1", "--clients", "2"];
    let (printed, found) = run("handshakes", &flags);
    let turns = list(&found, "turns");
    assert_eq!(turns.len(), 4);
    assert!(turns.iter().all(|it| it["connections"].as_u64() > Some(0)));
    let findings = list(&found, "findings");
    let kinds: Vec<_> = findings.iter().map(|it| &it["handshake"]).collect();
    assert_eq!(kinds, ["full", "resumed"]);
    assert!(printed.contains("\n| resumed | "), "{printed}");
}
