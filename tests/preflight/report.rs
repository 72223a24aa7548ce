//! Runs the command, and finds its way through what it says.

use serde_json::Value;

use crate::server::Place;

/// What was found, as JSON has it.
pub struct Report {
    pub code: i32,
    pub text: String,
    document: Value,
}

/// Runs `flashsale preflight --json` with more arguments.
pub fn preflight(place: &Place, arguments: &[&str]) -> Report {
    let all: Vec<_> = ["preflight", "--json"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let output = place.run(&all);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let document = serde_json::from_str(&text).expect("one JSON document");
    let code = output.status.code().expect("an exit code");
    Report {
        code,
        text,
        document,
    }
}

impl Report {
    /// The level and the words of the findings of a check.
    pub fn of(&self, check: &str) -> Vec<(String, String)> {
        let all = self.document["findings"].as_array().expect("a list");
        let found = all.iter().filter(|it| it["check"] == check);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found
            .map(|it| {
                let advice = text(&it["do"]);
                let level = text(&it["level"]);
                assert_eq!(level == "ok", advice.is_empty(), "{it}");
                (level, format!("{} / {advice}", text(&it["found"])))
            })
            .collect()
    }

    /// A finding of `check` with this level contains `part`.
    #[track_caller]
    pub fn has(&self, level: &str, check: &str, part: &str) {
        let found = self.of(check);
        let is_it = |(is, words): &(String, String)| is == level && words.contains(part);
        assert!(
            found.iter().any(is_it),
            "{level} {check} {part:?}: {found:?}"
        );
    }

    /// Nothing has failed but what `check` is about.
    #[track_caller]
    pub fn fails_only_in(&self, check: &str) {
        let all = self.document["findings"].as_array().expect("a list");
        let failed = all.iter().filter(|it| it["level"] == "fail");
        let failed: Vec<_> = failed.map(|it| it["check"].clone()).collect();
        assert!(
            !failed.is_empty() && failed.iter().all(|it| it == check),
            "{}",
            self.text
        );
        assert_eq!(self.code, 1);
    }
}
