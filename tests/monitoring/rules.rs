//! Whether every alert has been thought through.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::monitoring::dashboard::{files_in, list, text};

/// The alerts among the rules that Prometheus has loaded.
pub fn alerts(groups: &Value) -> Vec<&Value> {
    rules(groups)
        .filter(|rule| rule["type"] == "alerting")
        .collect()
}

/// All rules that Prometheus has loaded.
pub fn rules(groups: &Value) -> impl Iterator<Item = &Value> {
    let groups = list(groups, "groups").iter();
    groups.flat_map(|group| list(group, "rules"))
}

/// Every alert says how bad it is, what it is and what to do, and has its cases.
pub fn check(groups: &Value) {
    let alerts = alerts(groups);
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let manual = fs::read_to_string(manual).expect("a file");
    let cases: String = files_in("prometheus/tests", "yml")
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("a file"))
        .collect();
    assert!(!alerts.is_empty());
    for alert in &alerts {
        let name = text(alert, "name");
        let severity = text(&alert["labels"], "severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let annotations = &alert["annotations"];
        for annotation in ["summary", "description"] {
            assert!(text(annotations, annotation).len() > 10, "{name}");
        }
        let anchor = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(text(annotations, "runbook"), anchor);
        assert!(manual.contains(&format!("\n### {name}\n")), "{name}");
        for case in ["fires", "stays quiet"] {
            let case = format!("- name: {name} {case}");
            assert!(cases.contains(&case), "no case {case:?}");
        }
    }
    let (_, section) = manual.split_once("## Alerts\n").expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let described = section.lines().filter(|line| line.starts_with("### "));
    assert_eq!(described.count(), alerts.len(), "alerts that are gone");
}
