//! The corpus of the fuzzers, given to the same functions: what was found once stays mended, and the fuzzers
//! themselves go on to work.

#[path = "../../fuzz/src/client.rs"]
mod client;
#[path = "../../fuzz/src/config.rs"]
mod config;
#[path = "../../fuzz/src/disk.rs"]
mod disk;
#[path = "../../fuzz/src/http.rs"]
mod http;
#[path = "../../fuzz/src/journal.rs"]
mod journal;
#[path = "../../fuzz/src/record.rs"]
mod record;
#[path = "../../fuzz/src/sale_file.rs"]
mod sale_file;
#[path = "../../fuzz/src/token.rs"]
mod token;

use std::fs;
use std::path::Path;

fn replay(target: &str, take: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("a corpus") {
        let path = entry.expect("a directory entry").path();
        println!("{}", path.display());
        take(&fs::read(path).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "{target} has a corpus");
    take(&[]);
}

#[test]
fn requests() {
    replay("http", http::take);
}

#[test]
fn records() {
    replay("record", record::take);
}

#[test]
fn segments_and_snapshots() {
    replay("journal", journal::take);
}

#[test]
fn files_of_ended_sales() {
    replay("sale_file", sale_file::take);
}

#[test]
fn configurations() {
    replay("config", config::take);
}

#[test]
fn addresses_of_clients() {
    replay("client", client::take);
}

#[test]
fn tokens() {
    replay("token", token::take);
}
