//! PromQL, as far as it takes to see which metrics an expression names.

use std::collections::BTreeSet;

/// Words of the language that are neither functions nor metrics.
const WORDS: [&str; 8] = [
    "and", "or", "unless", "bool", "offset", "atan2", "inf", "nan",
];
/// Words before a list of labels.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// An expression of a dashboard as Prometheus gets it, over windows that suit a short test.
pub fn filled_in(expression: &str) -> String {
    let filled_in = expression
        .replace("$__rate_interval", "5s")
        .replace("$__interval", "1s")
        .replace("$instance", ".+")
        .replace("$sale", ".+");
    assert!(!filled_in.contains('$'), "unknown here: {expression}");
    filled_in
}

/// The metrics that an expression names.
pub fn metrics_of(expression: &str) -> BTreeSet<String> {
    let text = without_values(expression);
    let mut metrics = BTreeSet::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_first) {
        // A letter behind a digit belongs to a number, such as `5m`.
        let in_number = rest[..start].ends_with(|before: char| before.is_ascii_digit());
        let word = &rest[start..];
        let word = &word[..word.find(|it| !is_further(it)).unwrap_or(word.len())];
        rest = &rest[start + word.len()..];
        let next = rest.trim_start();
        let called = ["(", "by ", "without "]
            .iter()
            .any(|it| next.starts_with(it));
        if LISTS.contains(&word) && called {
            let end = rest.find(')').expect("a list that ends");
            rest = &rest[end..];
        } else if !(in_number || called || WORDS.contains(&word)) {
            metrics.insert(word.to_owned());
        }
    }
    metrics
}

/// The expression without texts, and without all that selects series of a metric.
fn without_values(expression: &str) -> String {
    let mut text = String::new();
    let (mut quoted, mut depth) = (false, 0);
    for char in expression.chars() {
        match char {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ if depth == 0 => text.push(char),
            _ => {}
        }
    }
    text
}

fn is_first(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_'
}

fn is_further(char: char) -> bool {
    is_first(char) || char.is_ascii_digit() || char == ':'
}

#[test]
fn metrics_are_told_from_everything_else() {
    for (expression, expected) in [
        ("up", &["up"][..]),
        (
            "sum by (le) (rate(a_bucket{x=~\"b|c{}\", y=\"z\"}[$__rate_interval]))",
            &["a_bucket"],
        ),
        (
            "a:b:rate5m > 14.4 * 0.001 and on (x) increase(c_total[5m]) == 0",
            &["a:b:rate5m", "c_total"],
        ),
        (
            "label_replace(vector(0), \"sink\", \"database\", \"\", \"\") or d",
            &["d"],
        ),
        ("time() - 1e3 - max(e) or vector(0)", &["e"]),
    ] {
        let expected = expected.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(metrics_of(expression), expected, "{expression}");
    }
}
