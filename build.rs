//! Tells the compiler which revision of the sources it builds from, as `FLASHSALE_REVISION`.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// Says the revision where there is no repository to ask, as in a container's build.
const VARIABLE: &str = "FLASHSALE_REVISION";

/// The longest revision that may be given, in bytes.
const REVISION_BYTES_MAX: usize = 64;

/// What the binary is made of: a change of anything else does not make it another one.
const INPUTS: [&str; 5] = ["src", "migrations", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let revision = match std::env::var(VARIABLE) {
        Ok(given) if !given.is_empty() => checked(given),
        _ => {
            watch();
            revision().unwrap_or_else(|| "unknown".to_owned())
        }
    };
    println!("cargo::rustc-env={VARIABLE}={revision}");
}

fn checked(given: String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+/".contains(&byte);
    assert!(
        given.len() <= REVISION_BYTES_MAX && given.bytes().all(is_plain),
        "{VARIABLE}={given:?}: must be at most {REVISION_BYTES_MAX} letters, digits, and any of - _ . + /"
    );
    given
}

/// Has this run again when the sources change, and when another commit is checked out or made: each is
/// another revision. A path that is not there would have it run every time.
fn watch() {
    let git_paths = ["HEAD", "logs/HEAD"].map(|name| git(&["rev-parse", "--git-path", name]));
    let inputs = INPUTS.map(|input| Some(input.to_owned()));
    for path in inputs.into_iter().chain(git_paths).flatten() {
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// The commit, and whether the sources are as it has them. `None` outside of a repository, and in a
/// repository that only lies around these sources.
fn revision() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&[&["status", "--porcelain", "--"], &INPUTS[..]].concat())?;
    let mark = if changed.is_empty() { "" } else { "-dirty" };
    Some(commit + mark)
}

/// What git prints; `None` where it fails, or is not there.
fn git(arguments: &[&str]) -> Option<String> {
    // It must not write its index while somebody else works with it.
    let git = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .output();
    let output = git.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
