//! What containers are made of and how they are put together, as far as it can be read; and with
//! `CHECK_IMAGE=1` in the environment `scripts/check-image`, which builds and runs them.

mod compose;
mod dockerfile;
mod kubernetes;

use std::path::Path;
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    let text = std::fs::read_to_string(repository().join(file));
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// It takes a quarter of an hour, root, and tools that not every machine has.
#[test]
fn the_image_is_built_and_runs_where_that_is_asked_for() {
    if std::env::var_os("CHECK_IMAGE").is_none() {
        return;
    }
    let status = Command::new(repository().join("scripts/check-image")).status();
    assert!(status.expect("bash runs").success());
}
