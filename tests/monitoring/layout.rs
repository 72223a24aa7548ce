//! Whether the dashboards are what Grafana takes, and tidy.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::monitoring::dashboard::{Dashboard, Panel, dashboards, list, text};

/// The kinds of panels that are in use. Others have been removed from Grafana, or say no more.
const KINDS: [&str; 6] = ["row", "timeseries", "heatmap", "stat", "bargauge", "table"];
/// The form of the files, and with it the oldest Grafana that understands them.
const SCHEMA_VERSION: u64 = 42;
/// Columns of a dashboard.
const COLUMNS: u64 = 24;
/// The source of all data: whichever Prometheus is chosen above the panels.
const SOURCE: &str = "${datasource}";

#[test]
fn panels_stand_side_by_side() {
    for dashboard in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in dashboard.panels() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| place(&panel, name));
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}", panel.name());
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{} lies on another", panel.name());
            }
        }
        let bottom = taken.iter().map(|(_, y)| y + 1).max().unwrap_or(0);
        let (cells, gaps) = (COLUMNS * bottom, COLUMNS * bottom - taken.len() as u64);
        assert!(
            gaps == 0,
            "{}: {gaps} of {cells} cells are empty",
            dashboard.file
        );
    }
}

fn place(panel: &Panel<'_>, name: &str) -> u64 {
    let number = panel.json["gridPos"][name].as_u64();
    number.unwrap_or_else(|| panic!("{}: no {name}", panel.name()))
}

/// The 503 of a probe turns nobody away.
#[test]
fn a_probe_that_hears_503_is_no_failed_answer_on_a_dashboard() {
    let routes_of_buyers = [
        r#"route=~"checkout|purchase""#,
        r#"route!~"livez|readyz|health""#,
    ];
    let mut failures = 0;
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let of_failures = panel.expressions().filter(|it| it.contains("unavailable"));
            for expression in of_failures {
                let mut routes = routes_of_buyers.iter();
                let is_of_buyers = routes.any(|routes| expression.contains(routes));
                assert!(is_of_buyers, "{}: {expression}", panel.name());
                failures += 1;
            }
        }
    }
    assert!(failures > 0, "no panel shows answers that failed");
}

#[test]
fn dashboards_and_panels_have_names_of_their_own() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let Dashboard { file, json } = &dashboard;
        assert!(uids.insert(text(json, "uid").to_owned()), "{file}");
        assert_eq!(json["schemaVersion"], SCHEMA_VERSION, "{file}");
        assert_eq!(json["id"], Value::Null, "{file}: an id of another Grafana");
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard.panels() {
            let id = panel.json["id"].as_u64().expect("a number");
            assert!(ids.insert(id), "{}: an id twice", panel.name());
            assert!(names.insert(panel.name()), "{}: twice", panel.name());
        }
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    for dashboard in dashboards() {
        let variables: BTreeSet<_> = dashboard
            .variables()
            .iter()
            .map(|it| text(it, "name"))
            .collect();
        assert!(variables.contains("datasource"), "{}", dashboard.file);
        for panel in dashboard.panels() {
            let name = panel.name();
            assert!(KINDS.contains(&panel.kind()), "{name}: a {}", panel.kind());
            if panel.kind() == "row" {
                assert_eq!(panel.json["panels"], Value::Array(vec![]), "{name}");
                continue;
            }
            assert!(text(panel.json, "description").ends_with('.'), "{name}");
            let unit = text(&panel.json["fieldConfig"]["defaults"], "unit");
            assert!(!unit.is_empty(), "{name}");
            check_targets(&panel);
        }
    }
}

fn check_targets(panel: &Panel<'_>) {
    let name = panel.name();
    let mut references = BTreeSet::new();
    assert!(!panel.targets().is_empty(), "{name} asks nothing");
    for target in panel.targets() {
        assert!(references.insert(text(target, "refId")), "{name}");
        assert!(!text(target, "expr").is_empty(), "{name}");
        for source in [&panel.json["datasource"], &target["datasource"]] {
            assert_eq!(text(source, "uid"), SOURCE, "{name}");
        }
        if panel.kind() == "heatmap" {
            assert_eq!(target["format"], "heatmap", "{name}");
            assert!(
                text(target, "expr").starts_with("sum by (le) (rate("),
                "{name}"
            );
        }
        if panel.kind() == "timeseries" {
            assert_ne!(text(target, "legendFormat"), "__auto", "{name}: no legend");
        }
    }
}

#[test]
fn links_lead_to_dashboards() {
    let dashboards = dashboards();
    let uids: BTreeSet<_> = dashboards.iter().map(|it| text(&it.json, "uid")).collect();
    for dashboard in &dashboards {
        for link in list(&dashboard.json, "links") {
            let uid = text(link, "url").strip_prefix("/d/");
            assert!(uid.is_some_and(|uid| uids.contains(uid)), "{link}");
        }
    }
}
