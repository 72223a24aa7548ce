//! The configuration file as a source of settings.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{ConfigProblem, shown};
use super::keys::{self, Key};
use super::raw::{Given, RawConfig, Setting, SettingSource};
use crate::json_members::JsonMembers;

/// The file that is read when none is named.
const DEFAULT_PATH: &str = "config.json";

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Which file to read, and whether it may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    /// Named by the user: an error when it is missing.
    Required(PathBuf),
    /// The usual place: the defaults hold when it is missing.
    IfPresent(PathBuf),
}

impl ConfigFile {
    /// The file named by `--config`, or else `config.json` if it exists.
    #[must_use]
    pub fn from_flag(path: Option<PathBuf>) -> Self {
        path.map_or_else(|| Self::IfPresent(DEFAULT_PATH.into()), Self::Required)
    }

    /// Adds what the file says, and what is wrong with it, to `raw`.
    pub(super) fn read_into(&self, raw: &mut RawConfig) {
        let (Self::Required(path) | Self::IfPresent(path)) = self;
        match read(path) {
            Ok(bytes) => parse_into(path, &bytes, raw),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.is_required() => {}
            Err(error) => raw
                .problems
                .push(refused(path, format!("cannot be read: {error}"))),
        }
    }

    fn is_required(&self) -> bool {
        matches!(self, Self::Required(_))
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "over {FILE_BYTES_MAX} bytes"
        )));
    }
    // Editors of some systems begin a file with a byte-order mark.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

fn refused(path: &Path, reason: String) -> ConfigProblem {
    ConfigProblem::File {
        path: path.to_owned(),
        reason,
    }
}

/// A value at the top level of the file.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Section {
    Keys(JsonMembers<Value>),
    Other(Value),
}

fn parse_into(path: &Path, bytes: &[u8], raw: &mut RawConfig) {
    let sections: JsonMembers<Section> = match serde_json::from_slice(bytes) {
        Ok(sections) => sections,
        Err(error) => return raw.problems.push(refused(path, reason(&error))),
    };
    let mut seen = HashSet::new();
    for (name, section) in sections.0 {
        if !keys::ALL.iter().any(|key| key.section() == name) {
            raw.problems
                .push(ConfigProblem::unknown_section(path, &name));
            continue;
        }
        if !seen.insert(name.clone()) {
            raw.problems
                .push(ConfigProblem::duplicate(path, &name, "{…}".to_owned()));
        }
        if let (Some(key), Section::Other(value @ Value::Array(_))) = (Key::whole(&name), &section)
        {
            raw.settings.push(Setting {
                key,
                given: Given::Json(value.clone()),
                source: SettingSource::File(path.to_owned()),
                file: None,
            });
            continue;
        }
        match section {
            Section::Keys(members) => section_into(path, &name, members, raw),
            Section::Other(value) => {
                let reason = format!("{name} must be an object of keys, not {}", kind(&value));
                raw.problems.push(refused(path, reason));
            }
        }
    }
}

fn section_into(path: &Path, section: &str, members: JsonMembers<Value>, raw: &mut RawConfig) {
    let mut seen = HashSet::new();
    for (name, value) in members.0 {
        let Some(key) = Key::find(section, &name) else {
            raw.problems
                .push(ConfigProblem::unknown_key(path, section, &name));
            continue;
        };
        let given = Given::Json(value);
        if !seen.insert(key.path) {
            let value = shown(key, given.to_string());
            raw.problems
                .push(ConfigProblem::duplicate(path, key.path, value));
        }
        raw.settings.push(Setting {
            key,
            given,
            source: SettingSource::File(path.to_owned()),
            file: None,
        });
    }
}

/// Returns the kind of what stands in place of a section; its value may hold a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        _ => "an array",
    }
}

/// Returns the message of serde, except about types, where it would quote the value.
fn reason(error: &serde_json::Error) -> String {
    if error.is_data() {
        "must be a JSON object of sections".to_owned()
    } else {
        format!("is not JSON: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RawConfig {
        let mut raw = RawConfig::default();
        parse_into(Path::new("c.json"), text.as_bytes(), &mut raw);
        raw
    }

    /// The one problem of a file that has one.
    fn problem(text: &str) -> String {
        let problems = parse(text).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].to_string()
    }

    #[test]
    fn keys_are_read_with_their_types() {
        let raw = parse(r#"{"server": {"port": 1, "host": "x"}, "redis": {}}"#);
        assert!(raw.problems.is_empty());
        assert_eq!(
            raw.of(keys::SERVER_PORT.key)
                .next()
                .unwrap()
                .given
                .as_integer(),
            Some(1)
        );
        assert_eq!(
            raw.of(keys::SERVER_HOST.key)
                .next()
                .unwrap()
                .given
                .as_text(),
            Some("x")
        );
        assert_eq!(raw.settings[0].source, SettingSource::File("c.json".into()));
    }

    #[test]
    fn an_unknown_name_is_a_problem_and_its_value_is_not_shown() {
        let section = problem(r#"{"databse": {"password": "hunter2"}}"#);
        assert!(section.starts_with("c.json: databse is not a known key: allowed are server,"));
        let key = problem(r#"{"redis": {"pasword": "hunter2"}}"#);
        assert!(
            key.starts_with("c.json: redis.pasword is not a known key: allowed are redis.host")
        );
        assert!(!(section + &key).contains("hunter2"));
    }

    #[test]
    fn a_name_given_twice_is_a_problem() {
        let key = problem(r#"{"redis": {"db": 1, "db": 2}}"#);
        assert_eq!(
            key,
            "c.json: redis.db = 2 is given again: each key is allowed once"
        );
        let secret = problem(r#"{"redis": {"password": "hunter1", "password": "hunter2"}}"#);
        assert!(secret.starts_with("c.json: redis.password = (hidden) is given again"));
        let section = problem(r#"{"redis": {"db": 1}, "redis": {"db": 1}}"#);
        assert!(section.starts_with("c.json: redis = {…} is given again"));
    }

    #[test]
    fn what_is_not_an_object_of_objects_is_refused_without_quoting_it() {
        for text in [r#""hunter2""#, "[1]", "7", "null"] {
            assert_eq!(problem(text), "c.json: must be a JSON object of sections");
        }
        let values = [
            (r#""hunter2""#, "text"),
            ("[1]", "an array"),
            ("7", "a number"),
        ];
        for (value, kind) in values {
            let text = format!(r#"{{"database": {value}}}"#);
            let said = format!("c.json: database must be an object of keys, not {kind}");
            assert_eq!(problem(&text), said);
        }
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        assert!(problem("{\n\"server\": ").starts_with("c.json: is not JSON: EOF"));
        assert!(problem("{} {}").contains("trailing characters at line 1 column 4"));
        assert!(problem(&"[".repeat(10_000)).starts_with("c.json: "));
    }

    #[test]
    fn only_a_file_that_was_named_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.json");
        let mut raw = RawConfig::default();
        ConfigFile::IfPresent(path.clone()).read_into(&mut raw);
        assert!(raw.problems.is_empty());
        ConfigFile::Required(path.clone()).read_into(&mut raw);
        let said = raw.problems[0].to_string();
        assert!(said.starts_with(&format!("{}: cannot be read: ", path.display())));
    }

    #[test]
    fn a_directory_and_a_huge_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let huge = dir.path().join("huge.json");
        std::fs::write(&huge, " ".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        for path in [dir.path(), &huge] {
            let mut raw = RawConfig::default();
            ConfigFile::IfPresent(path.to_owned()).read_into(&mut raw);
            assert!(raw.problems[0].to_string().contains("cannot be read"));
        }
    }

    #[test]
    fn the_flag_names_the_file() {
        assert_eq!(
            ConfigFile::from_flag(None),
            ConfigFile::IfPresent("config.json".into())
        );
        let named = ConfigFile::from_flag(Some("x".into()));
        assert_eq!(named, ConfigFile::Required("x".into()));
    }
}
