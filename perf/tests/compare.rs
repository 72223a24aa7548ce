//! The comparison, the curve and the opening, for real and in short: what they print and leave behind, and which flags
//! are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The server's binary, which a build of the workspace puts beside this one's.
fn server() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_flashsale-perf")).with_file_name("flashsale");
    assert!(
        path.is_file(),
        "{} is missing: build the whole workspace (cargo nextest run --workspace does)",
        path.display()
    );
    path
}

fn compare(dir: &Path, flags: &[&str]) -> Output {
    perf(dir, "compare", flags)
}

fn perf(dir: &Path, name: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale-perf"));
    command.arg(name).args(flags);
    command.current_dir(dir).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_quick_comparison_prints_its_table_and_leaves_every_turn() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = server().display().to_string();
    let flags = ["--quick", "--only", "checkout-os-64", "--journal-dir", "."];
    let output = ["--server", &server, "--output", "result"];
    let done = compare(dir.path(), &[&flags[..], &output].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let result = dir.path().join("result");

    let page = fs::read_to_string(result.join("README.md")).expect("a page");
    assert_eq!(text(&done.stdout).trim_end(), page.trim_end());
    let row = "| checkout, durability os | 64 | flashsale | bare hyper |";
    let row = page.lines().find(|line| line.starts_with(row));
    let cells: Vec<_> = row.expect("a row").split('|').map(str::trim).collect();
    for (cell, bar) in [(cells[5], "≤ 1.20"), (cells[6], "≥ 0.90")] {
        let ratio = cell.split(' ').next().and_then(|it| it.parse::<f64>().ok());
        assert!(ratio.is_some_and(|it| it > 0.0), "{cell}");
        assert!(cell.contains(bar) && cell.ends_with(['✓', '✗']), "{cell}");
    }
    assert_eq!(cells[8], "", "no unexpected answer");
    check_turns(&result.join("turns.json"));
    let left = fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(left, 1, "the journals are gone");
}

fn check_turns(path: &Path) {
    let raw = fs::read_to_string(path).expect("every turn");
    let raw: Value = serde_json::from_str(&raw).expect("JSON");
    let rounds = raw["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    for (number, round) in rounds.iter().enumerate() {
        assert!(round["disk_us"]["p50"].as_f64() > Some(0.0), "{round}");
        let turns = round["turns"].as_array().expect("turns");
        let label = |turn: &Value| turn["label"].as_str().map(str::to_owned);
        assert_eq!(label(&turns[0]).as_deref(), Some("bare hyper"));
        assert_eq!(label(&turns[1]).as_deref(), Some("flashsale"));
        assert_eq!(turns[number]["place"], 0, "another one begins each round");
        for turn in turns {
            assert!(turn["requests"].as_u64() > Some(0), "{turn}");
            assert_eq!(turn["unexpected"], 0, "{turn}");
            assert!(turn["cpu_us_per_request"].as_f64() > Some(0.0), "{turn}");
        }
        let journal = &turns[1]["journal"];
        assert!(
            journal["records_per_batch"].as_f64() >= Some(1.0),
            "{turns:?}"
        );
    }
}

/// The cells of a line of the page that begins with `start`.
fn cells<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    let line = page.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("no line {start}:\n{page}"));
    line.split('|').map(str::trim).collect()
}

#[test]
fn the_usual_designs_and_the_floor_are_measured_with_all_their_processes() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = server().display().to_string();
    let rows = ["usual-buy-64", "usual-hot-64", "checkout-disk-64"];
    let guests = ["floor", "redis-lua-always", "postgres-row"];
    let rows = rows.map(|row| ["--only", row]).concat();
    let guests = guests.map(|guest| ["--with", guest]).concat();
    let flags = ["--rounds", "1", "--seconds", "1", "--journal-dir", "."];
    let output = ["--server", &server, "--output", "result"];
    let done = compare(dir.path(), &[&rows[..], &guests, &flags, &output].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let page = text(&done.stdout);
    assert!(page.contains("without redis-lua-everysec, nginx"), "{page}");
    let titles = page.match_indices("\n## ").map(|(at, _)| &page[at + 4..]);
    let titles: Vec<_> = titles.filter_map(|it| it.lines().next()).collect();
    assert_eq!(
        titles[..2],
        [
            "Beside the usual designs",
            "Beside the floor of a durable answer"
        ]
    );
    for title in [
        "checkout with a hold and purchase",
        "checkout with a hold, one hot item",
    ] {
        for design in ["redis-lua, always", "postgres-row"] {
            let start = format!("| {title} | 64 | flashsale | {design} |");
            let cells = cells(&page, &start);
            let figures = cells[5..12]
                .iter()
                .filter_map(|cell| cell.split(' ').next());
            let figures: Vec<f64> = figures.filter_map(|it| it.parse().ok()).collect();
            assert_eq!(figures.len(), 7, "{cells:?}");
            assert_eq!(cells[12], "", "no unexpected answer: {cells:?}");
        }
    }
    for (who, beside) in [
        ("flashsale", "floor"),
        ("flashsale", "bare hyper"),
        ("floor", "bare hyper"),
    ] {
        let start = format!("| checkout, fsync, disk | 64 | {who} | {beside} |");
        assert_eq!(cells(&page, &start)[8], "", "no unexpected answer");
    }
    let raw = fs::read_to_string(dir.path().join("result/turns.json")).expect("every turn");
    let raw: Value = serde_json::from_str(&raw).expect("JSON");
    let turns = raw["rounds"][0]["turns"].as_array().expect("turns");
    let cpu = |label: &str| {
        let turn = turns.iter().find(|turn| turn["label"] == label);
        turn.expect("a turn")["cpu_us_per_request"].as_f64()
    };
    assert!(cpu("postgres-row") > cpu("bare hyper"), "{turns:?}");
}

#[test]
fn flags_that_make_no_sense_are_refused_with_what_is_allowed() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = server().display().to_string();
    let cases: [(&[&str], &[&str]); 7] = [
        (
            &["--only", "teapot"],
            &["teapot", "sold-out-64", "flat-users-known"],
        ),
        (&["--with", "teapot"], &["teapot", "redis-lua-always"]),
        (&["--rounds", "0"], &["--rounds", "1..=1000"]),
        (&["--seconds", "601"], &["--seconds", "1..=600"]),
        (&["--quick", "--rounds", "3"], &["--quick", "--rounds"]),
        (&["--server", "/no/server"], &["/no/server", "binary"]),
        (
            &["--server", &server, "--journal-dir", "/no/dir"],
            &["--journal-dir", "/no/dir"],
        ),
    ];
    for (flags, wanted) in cases {
        let done = compare(dir.path(), flags);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{flags:?}: {said}");
        for part in wanted {
            assert!(said.contains(part), "{flags:?}: {said}");
        }
    }
    let left = fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(left, 0, "nothing was begun");
}

/// Runs a command that writes `file`, and returns its text and what was printed.
fn written(dir: &Path, name: &str, flags: &[&str], file: &str) -> (Value, String) {
    let server = server().display().to_string();
    let place = [
        "--server",
        &server,
        "--output",
        "result",
        "--journal-dir",
        ".",
    ];
    let done = perf(dir, name, &[flags, &place].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let raw = fs::read_to_string(dir.join("result").join(file)).expect("every turn");
    let left = fs::read_dir(dir).expect("readable").count();
    assert_eq!(left, 1, "the journals are gone");
    (
        serde_json::from_str(&raw).expect("JSON"),
        text(&done.stdout),
    )
}

#[test]
fn the_curve_has_each_contestant_at_shares_of_its_own_rate() {
    let dir = tempfile::tempdir().expect("a directory");
    let only = ["bare", "flashsale"].map(|name| ["--only", name]).concat();
    let flags = [&only[..], &["--rounds", "1", "--seconds", "1"]].concat();
    let (raw, page) = written(dir.path(), "curve", &flags, "curve.json");
    let maxima = raw["maxima"].as_array().expect("maxima");
    let turns = raw["turns"].as_array().expect("turns");
    assert_eq!((maxima.len(), turns.len()), (2, 8));
    for maximum in maxima {
        let name = &maximum["contestant"];
        let rate = maximum["requests_per_second"]["median"].as_f64();
        let its = turns.iter().filter(|turn| &turn["contestant"] == name);
        let asked: Vec<_> = its.map(|it| it["asked_per_second"].as_f64()).collect();
        let shares = [0.25, 0.5, 0.75, 0.9].map(|share| rate.map(|rate| rate * share));
        for (asked, expected) in asked.iter().zip(shares) {
            let apart = asked.zip(expected).map(|(asked, it)| (asked - it).abs());
            assert!(apart < Some(1e-3), "{asked:?} {expected:?}");
        }
    }
    for turn in turns {
        assert!(turn["latency_us"]["p50"].as_f64() > Some(0.0), "{turn}");
        assert!(!turn["invalid"].to_string().contains("sold out"), "{turn}");
    }
    assert!(page.contains("| flashsale | 90 % |"), "{page}");
    let figure = fs::read_to_string(dir.path().join("result/curve.svg")).expect("a figure");
    assert!(figure.contains("flashsale answers at most"), "{figure}");
}

#[test]
fn everybody_who_comes_at_the_opening_is_sold_an_item() {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = ["--clients", "300", "--rounds", "2"];
    let (raw, page) = written(dir.path(), "opening", &flags, "opening.json");
    let turns = raw["turns"].as_array().expect("turns").iter();
    let turns: Vec<_> = turns.filter_map(Value::as_array).flatten().collect();
    assert_eq!(turns.len(), 4);
    for turn in turns {
        assert_eq!(turn["bought"], 300, "{turn}");
        assert_eq!(turn["connected"], 300, "{turn}");
        for none in [
            "server_errors",
            "resets",
            "unanswered",
            "refused",
            "malformed",
        ] {
            assert_eq!(turn[none], 0, "{none}: {turn}");
        }
        assert!(turn["last_answer_ms"].as_f64() > Some(0.0), "{turn}");
    }
    assert!(
        page.contains("| flashsale | 600 | 600 | 0 | 0 | 0 |"),
        "{page}"
    );
}
