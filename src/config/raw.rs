//! The settings of file, environment and flags, before they are checked.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::error::ConfigProblem;
use super::keys::Key;

/// The source of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// A key in the file at this path.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// A command line flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value as it was given. It may be a secret, so it has no `Debug`.
pub(super) enum Given {
    /// From the file, where values have types.
    Json(Value),
    /// From a variable or a flag, where all values are text.
    Text(String),
}

impl Given {
    /// The value as text, if it is text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    /// The value as a list of texts, if it is one: an array in the file, separated by commas elsewhere.
    pub(super) fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Json(value) => value.as_array()?.iter().map(Value::as_str).collect(),
            Self::Text(text) => Some(text.split(',').map(str::trim).collect()),
        }
    }

    /// The value as an integer, if it is one.
    pub(super) fn as_integer(&self) -> Option<u64> {
        match self {
            Self::Json(value) => value.as_u64(),
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// The value as `true` or `false`, if it is one of them.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Json(value) => value.as_bool(),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// On one line. The caller must know that it is no secret.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(Value::String(text)) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Json(value) => write!(f, "{value}"),
        }
    }
}

/// One value for one key from one source.
pub(super) struct Setting {
    pub(super) key: Key,
    pub(super) given: Given,
    pub(super) source: SettingSource,
    /// The file that it was read from, if it is a secret in one.
    pub(super) file: Option<PathBuf>,
}

/// An environment variable that has the name of a setting and that an orchestrator has set for a purpose of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredVariable {
    /// Its name.
    pub variable: &'static str,
    /// Its value, which is no secret.
    pub value: String,
}

impl fmt::Display for IgnoredVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, self.value)
    }
}

/// All that was set, the strongest source last, with what was already found wrong.
#[derive(Default)]
pub(super) struct RawConfig {
    pub(super) settings: Vec<Setting>,
    pub(super) ignored: Vec<IgnoredVariable>,
    pub(super) problems: Vec<ConfigProblem>,
}

impl RawConfig {
    /// The settings of one key, the strongest last.
    pub(super) fn of(&self, key: Key) -> impl Iterator<Item = &Setting> {
        self.settings
            .iter()
            .filter(move |setting| setting.key == key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_values_keep_their_types() {
        assert_eq!(Given::Json(json!(7)).as_integer(), Some(7));
        assert_eq!(Given::Json(json!("7")).as_integer(), None);
        assert_eq!(Given::Json(json!(7.0)).as_integer(), None);
        assert_eq!(Given::Json(json!(-7)).as_integer(), None);
        assert_eq!(Given::Json(json!(7)).as_text(), None);
        assert_eq!(Given::Json(json!("true")).as_bool(), None);
        assert_eq!(Given::Json(json!(true)).as_bool(), Some(true));
    }

    #[test]
    fn text_is_read_as_what_is_asked_for() {
        assert_eq!(Given::Text("7".to_owned()).as_integer(), Some(7));
        assert_eq!(Given::Text(String::new()).as_integer(), None);
        assert_eq!(Given::Text(" 7".to_owned()).as_integer(), None);
        assert_eq!(Given::Text("false".to_owned()).as_bool(), Some(false));
        assert_eq!(Given::Text("no".to_owned()).as_bool(), None);
        assert_eq!(Given::Text(String::new()).as_text(), Some(""));
    }

    #[test]
    fn a_value_is_shown_on_one_line() {
        assert_eq!(Given::Text("a\nb".to_owned()).to_string(), "\"a\\nb\"");
        assert_eq!(
            Given::Json(json!({"a": ["\n"]})).to_string(),
            "{\"a\":[\"\\n\"]}"
        );
    }
}
