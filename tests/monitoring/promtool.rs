//! What Prometheus' own checker says.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::monitoring::dashboard::{MONITORING, files_in};

/// Runs promtool on files of the repository, or on `input`; it must find nothing.
#[track_caller]
pub fn promtool(arguments: &[&str], files: &[impl AsRef<Path>], input: &str) {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .args(files.iter().map(AsRef::as_ref));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut pipe = child.stdin.take().expect("piped");
    // It reads to the end before it says anything.
    let written = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("a child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let clean = output.status.success() && written.is_ok();
    assert!(clean, "promtool {arguments:?}: {said}\n{input}");
}

#[test]
fn configuration_and_rules_are_valid() {
    let configuration = [Path::new(MONITORING).join("prometheus/prometheus.yml")];
    promtool(&["check", "config"], &configuration, "");
    let rules = files_in("prometheus/rules", "yml");
    promtool(&["check", "rules"], &rules, "");
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let tests = files_in("prometheus/tests", "yml");
    assert!(!tests.is_empty());
    promtool(&["test", "rules"], &tests, "");
}
