//! Keeps the map of the parts true: who may use whom, and who may touch the world outside.
//!
//! Reads the paths in all sources below `src`, and follows re-exports to the parts that their names come from. Modules under `#[cfg(test)]` are exempt from the
//! rules about paths, and from no other.

mod map;
mod reexports;
mod scan;
mod wording;

use std::fs;
use std::path::Path;

use syn::visit::Visit;

use map::{FILE_LINES_MAX, UNCHECKED_FILES};
use reexports::Reexports;
use scan::{Scan, paths_in};

/// Where the workspace has sources.
const SOURCE_DIRS: &[&str] = &[
    "src",
    "tests",
    "benches",
    "perf/src",
    "perf/tests",
    "perf/benches",
    "simulation/src",
    "simulation/tests",
];

/// A source file: its path below the directory that was searched, and its text.
type Source = (String, String);

#[test]
fn the_sources_keep_the_rules() {
    let mut sources = Vec::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&src, &src, &mut sources);
    sources.sort();
    assert!(!sources.is_empty());
    let broken = check(&sources);
    assert!(
        broken.is_empty(),
        "{} rules broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn one_file_of_the_workspace_has_code_that_the_compiler_cannot_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for dir in SOURCE_DIRS.iter().map(|dir| root.join(dir)) {
        if dir.exists() {
            collect(root, &dir, &mut sources);
        }
    }
    let unchecked: Vec<&str> = sources
        .iter()
        .filter(|(_, text)| !unchecked_lines(text).is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(unchecked, UNCHECKED_FILES);
}

/// The lines with code that the compiler cannot check, or with leave for it. What stands in comments
/// and strings is neither.
fn unchecked_lines(text: &str) -> Vec<usize> {
    let paths = paths_in(text.parse().unwrap_or_default());
    let before = |i: usize| paths[..i].last().and_then(|(path, _)| path.last());
    let is_refusal = |i| before(i).is_some_and(|word| word == "forbid" || word == "deny");
    let lines = paths.iter().enumerate().filter(|(i, (path, _))| {
        let [word] = path.as_slice() else {
            return false;
        };
        word == "unsafe" || word == "unsafe_code" && !is_refusal(*i)
    });
    lines.map(|(_, (_, line))| *line).collect()
}

#[test]
fn code_that_the_compiler_cannot_check_is_found() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "macro_rules! m { () => { unsafe { g() } } }",
        "#[unsafe(no_mangle)] fn f() {}",
        "#![allow(unsafe_code)]",
        "#[expect(unused, unsafe_code)] fn f() {}",
        "#![cfg_attr(test, allow(unsafe_code))]",
    ] {
        assert_eq!(unchecked_lines(text), [1], "{text}");
    }
    let fine =
        "// unsafe\n#![forbid(unsafe_code)]\n#![deny(unsafe_code)] fn f() { g(\"unsafe\"); }";
    assert!(unchecked_lines(fine).is_empty());
}

fn collect(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .expect("it is below src")
                .display()
                .to_string();
            sources.push((
                name,
                fs::read_to_string(&path).expect("the file can be read"),
            ));
        }
    }
}

/// Returns the breaches in the sources, one line for each.
fn check(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut exempt = Vec::new();
    let mut scans = Vec::new();
    for (name, text) in sources {
        check_text(name, text, &mut broken);
        match syn::parse_file(text) {
            Ok(file) => {
                let mut scan = Scan::new(name);
                scan.visit_file(&file);
                exempt.append(&mut scan.test_modules);
                scans.push(scan);
            }
            Err(error) => broken.push(format!("{name}: does not parse: {error}")),
        }
    }
    let is_exempt = |module: &[String]| exempt.iter().any(|test| module.starts_with(test));
    scans.retain(|scan| !is_exempt(&scan.module));
    let reexports = Reexports::of(scans.iter());
    for scan in scans {
        broken.extend(reexports.breaches(&scan));
        broken.extend(scan.broken);
    }
    broken
}

fn check_text(name: &str, text: &str, broken: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        broken.push(format!("{name}: {lines} lines, over {FILE_LINES_MAX}"));
    }
    for (index, line) in text.lines().enumerate() {
        for mark in ["TODO", "FIXME"]
            .iter()
            .filter(|mark| line.contains(**mark))
        {
            broken.push(format!("{name}:{}: {mark}", index + 1));
        }
    }
    let tokens = text.parse().unwrap_or_default();
    for (_, line) in paths_in(tokens).iter().filter(|(path, _)| path == &["dbg"]) {
        broken.push(format!("{name}:{line}: dbg"));
    }
}

/// The breaches in a made-up file.
fn breaches(name: &str, text: &str) -> Vec<String> {
    check(&[(name.to_owned(), text.to_owned())])
}

#[test]
fn the_journal_sees_envelopes_and_no_record() {
    let frame = "journal/frame.rs";
    let envelope = "use crate::record::envelope::{self, Encode, Entry};";
    assert_eq!(breaches(frame, envelope), Vec::<String>::new());
    for text in [
        "use crate::record::Record;",
        "use crate::record::{self, envelope};",
        "use crate::{record::*};",
        "fn f(lsn: crate::record::Entry) {}",
        "use super::super::record::codec;",
    ] {
        assert_eq!(breaches(frame, text).len(), 1, "{text}");
        assert!(breaches("sale/stock.rs", text).is_empty(), "{text}");
    }
    let test = "#[cfg(test)] mod tests { use crate::record::Record; }";
    assert!(breaches(frame, test).is_empty(), "{test}");
}

#[test]
fn each_part_uses_what_the_map_allows() {
    let allowed = [
        (
            "journal/frame.rs",
            "use crate::{types::Lsn, env::{Disk, self}, limits, sync::Mutex};",
        ),
        (
            "sale/stock.rs",
            "use crate::record::Record; use super::buyers::Buyers;",
        ),
        ("schedule/wheel.rs", "use crate::sale::Engine;"),
        (
            "http/route.rs",
            "use crate::{sale, schedule}; use hyper::Request;",
        ),
        (
            "runtime/worker.rs",
            "use crate::http::Service; use tokio::time::sleep;",
        ),
        (
            "reconcile/redis.rs",
            "use crate::journal::Reader; use redis::Script;",
        ),
        ("config/file.rs", "use std::fs::File; use super::keys;"),
        (
            "env/clock.rs",
            "use std::time::Instant; fn f() { Instant::now(); }",
        ),
        ("app.rs", "use crate::{config::Config, http, reconcile};"),
        ("main.rs", "use flashsale::app;"),
        (
            "sale/mod.rs",
            "use std::time::Duration; fn f(redis: u8) -> u8 { redis }",
        ),
    ];
    for (name, text) in allowed {
        assert_eq!(breaches(name, text), Vec::<String>::new());
    }
}

#[test]
fn each_breach_of_the_map_is_found() {
    let refused = [
        ("types.rs", "use crate::sale::Engine;"),
        ("env/disk.rs", "fn f() -> crate::config::Config {}"),
        ("config/mod.rs", "use crate::journal::Lsn;"),
        (
            "journal/frame.rs",
            "use crate::{types::Lsn, sale::{a, b::c}};",
        ),
        ("sale/stock.rs", "fn f() { crate::http::serve(); }"),
        ("sale/stock.rs", "use super::super::schedule;"),
        (
            "sale/stock.rs",
            "mod inner { use super::super::super::schedule; }",
        ),
        ("sale/stock.rs", "use self::super::super::schedule;"),
        ("schedule/wheel.rs", "use crate::journal::Lsn;"),
        ("http/route.rs", "use crate::config as c;"),
        ("http/route.rs", "use crate::*;"),
        (
            "runtime/worker.rs",
            "fn f() { assert!(x == crate::sale::LIMIT); }",
        ),
        ("reconcile/batch.rs", "impl crate::sale::Sink for X {}"),
        ("reconcile/batch.rs", "use crate::http;"),
        ("sale/stock.rs", "use crate::helpers::x;"),
        ("helpers.rs", "fn f() {}"),
    ];
    for (name, text) in refused {
        assert!(!breaches(name, text).is_empty(), "{name}: {text}");
    }
    assert_eq!(
        breaches("sale/stock.rs", "\nuse crate::{types::A, http::{B, C}};"),
        [
            "sale/stock.rs:2: crate::http::B: sale may not use http",
            "sale/stock.rs:2: crate::http::C: sale may not use http",
        ]
    );
}

#[test]
fn each_name_from_outside_is_found_in_the_wrong_part() {
    let refused = [
        ("sale/stock.rs", "use hyper;"),
        ("app.rs", "fn f(body: hyper::body::Incoming) {}"),
        ("app.rs", "use redis::Client;"),
        (
            "http/page.rs",
            "use {deadpool_postgres as pool, tokio_postgres::Row};",
        ),
        ("journal/segment.rs", "use std::{fs, io};"),
        ("journal/segment.rs", "use std::*;"),
        ("journal/segment.rs", "use rustix::fs::fallocate;"),
        ("sale/stock.rs", "use std::time::{Duration, Instant};"),
        ("sale/stock.rs", "use std::time::*;"),
        (
            "sale/stock.rs",
            "use std::time; fn f() { time::SystemTime::now(); }",
        ),
        (
            "sale/stock.rs",
            "fn f() { info!(at = %jiff::Timestamp::now()); }",
        ),
        ("sale/checkout.rs", "fn f() { getrandom::fill(&mut x); }"),
        ("http/route.rs", "use tokio::time::sleep;"),
        ("cli.rs", "fn f() { tokio::fs::read(x); }"),
    ];
    for (name, text) in refused {
        assert!(!breaches(name, text).is_empty(), "{name}: {text}");
    }
    assert!(breaches("sale/stock.rs", "use hyperdrive::X; use redis_like::Y;").is_empty());
}

#[test]
fn test_modules_are_exempt_wherever_they_live() {
    let inline = "#[cfg(test)] mod tests { use std::fs; use crate::http; }";
    assert!(breaches("sale/mod.rs", inline).is_empty());
    assert!(!breaches("sale/mod.rs", &inline.replace("test)", "unix)")).is_empty());
    assert!(!breaches("sale/mod.rs", &inline.replace("test)", "not(test))")).is_empty());
    let parent = (
        "sale/mod.rs".to_owned(),
        "#[cfg(all(test, unix))] mod model;".to_owned(),
    );
    let child = ("sale/model/case.rs".to_owned(), "use std::fs;".to_owned());
    assert!(check(&[child.clone(), parent]).is_empty());
    assert!(!check(&[child]).is_empty());
}

#[test]
fn forbidden_code_in_a_source_is_found() {
    let refused = [
        ("sale/mod.rs", "fn f() { g(dbg!(1)); }".to_owned()),
        ("sale/mod.rs", "// TODO: later".to_owned()),
        ("sale/mod.rs", "/* FIXME */".to_owned()),
        ("sale/mod.rs", "\n".repeat(FILE_LINES_MAX + 1)),
        ("sale/mod.rs", "fn {".to_owned()),
    ];
    for (name, text) in refused {
        assert_eq!(breaches(name, &text).len(), 1, "{text}");
    }
    let fine = "// \"dbg!\" in words\nconst A: &str = \"dbg!\";";
    assert!(
        breaches(
            "lib.rs",
            &format!("{fine}{}", "\n".repeat(FILE_LINES_MAX - 2))
        )
        .is_empty()
    );
}
