//! The table of the instructions.

use std::collections::HashSet;
use std::fmt::Write;

use super::budget::Budget;
use super::counted::Counted;
use super::row::{ROWS, Row};

/// The most characters of a function's name in a table.
const NAME_CHARS_MAX: usize = 110;

/// Returns the table of all rows that were counted.
#[must_use]
pub fn rows(measured: &Budget) -> String {
    let mut text = String::from(
        "| instructions per request, user space | flashsale | bare hyper | difference |\n|---|--:|--:|--:|\n",
    );
    for row in &ROWS {
        if let Some(figures) = measured.rows.get(row.name) {
            let (ours, bare) = (figures.flashsale, figures.bare_hyper);
            let beyond = i64::from(ours) - i64::from(bare);
            // Writing into memory cannot fail.
            let _ = writeln!(text, "| {} | {ours} | {bare} | {beyond} |", row.title);
        }
    }
    text
}

/// Returns the table of the `count` functions that differ most between the server and bare hyper.
#[must_use]
pub fn functions(row: &Row, counted: &Counted, count: usize) -> String {
    let requests = f64::from(counted.requests);
    let both = [&counted.flashsale, &counted.bare_hyper];
    let names: HashSet<_> = both.iter().flat_map(|it| it.functions.keys()).collect();
    let differences = names.into_iter().map(|name| {
        let [ours, bare] = both.map(|it| it.functions.get(name).copied().unwrap_or(0));
        (name, ours as f64 / requests, bare as f64 / requests)
    });
    let mut differences: Vec<_> = differences.collect();
    differences.sort_by(|a, b| (b.1 - b.2).abs().total_cmp(&(a.1 - a.2).abs()));
    let mut text = format!(
        "| {}: function | flashsale | bare hyper | difference |\n|---|--:|--:|--:|\n",
        row.title
    );
    for (name, ours, bare) in differences.into_iter().take(count) {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let beyond = ours - bare;
        let _ = writeln!(text, "| `{name}` | {ours:.0} | {bare:.0} | {beyond:.0} |");
    }
    text
}
