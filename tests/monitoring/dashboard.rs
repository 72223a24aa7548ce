//! The dashboards as the files have them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where everything about monitoring is.
pub const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring");

/// A dashboard.
pub struct Dashboard {
    pub file: String,
    pub json: Value,
}

/// A place on a dashboard that shows something, or a row that others stand below.
pub struct Panel<'a> {
    pub dashboard: &'a str,
    pub json: &'a Value,
}

/// All dashboards, by the names of their files.
pub fn dashboards() -> Vec<Dashboard> {
    let mut files = files_in("grafana/dashboards", "json");
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read(&path).expect("a file");
        let json = serde_json::from_slice(&text);
        Dashboard {
            json: json.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            file: name_of(&path),
        }
    };
    let dashboards: Vec<_> = files.into_iter().map(read).collect();
    assert!(!dashboards.is_empty());
    dashboards
}

/// The files of a directory of [`MONITORING`] with this extension, in the order of their names.
pub fn files_in(dir: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(MONITORING).join(dir)).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    files
}

/// The name of a file.
pub fn name_of(path: &Path) -> String {
    path.file_name().expect("a file").display().to_string()
}

/// The member of a JSON object that must be a list.
pub fn list<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    let list = json[name].as_array();
    list.unwrap_or_else(|| panic!("no list of {name} in {json}"))
}

/// The member of a JSON object that must be text.
pub fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    let text = json[name].as_str();
    text.unwrap_or_else(|| panic!("no {name} in {json}"))
}

impl Dashboard {
    /// Its panels. None is hidden in a row that is closed.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let panels = list(&self.json, "panels").iter();
        panels.map(|json| Panel {
            dashboard: &self.file,
            json,
        })
    }

    /// Its variables.
    pub fn variables(&self) -> &[Value] {
        list(&self.json["templating"], "list")
    }

    /// The queries of the events that are marked in all its panels.
    pub fn annotations(&self) -> impl Iterator<Item = &str> {
        let annotations = list(&self.json["annotations"], "list").iter();
        annotations.map(|annotation| text(&annotation["target"], "expr"))
    }
}

impl<'a> Panel<'a> {
    pub fn kind(&self) -> &'a str {
        text(self.json, "type")
    }

    /// The dashboard and the title, to say which one is meant.
    pub fn name(&self) -> String {
        format!("{}: {}", self.dashboard, text(self.json, "title"))
    }

    /// What it asks Prometheus. A row asks nothing.
    pub fn targets(&self) -> &'a [Value] {
        match self.kind() {
            "row" => &[],
            _ => list(self.json, "targets"),
        }
    }

    /// The expressions of its targets.
    pub fn expressions(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.targets().iter().map(|target| text(target, "expr"))
    }
}
