//! A load generator of the system, run against a server.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A script of `perf`.
pub fn script(path: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("perf").join(path)
}

/// Runs a generator to its end; what it said, for when a test fails, goes to the test's output.
pub fn run(command: &mut Command) -> (Output, String) {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("{name} is missing: scripts/test installs it"),
        _ => panic!("{name}: {error}"),
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    println!("{said}");
    (output, said)
}
