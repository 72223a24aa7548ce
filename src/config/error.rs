//! The problems of a configuration, with words that tell the reader how to mend them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::{self, Key};
use super::raw::{Setting, SettingSource};

/// The longest part of a refused value or key that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// Everything that is wrong with a configuration: one line for each problem, at least one.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self { problems }
    }

    /// The problems, in the order in which they were found.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a configuration. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The file cannot be read, or is not a JSON object of sections.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The words for the fault.
        reason: String,
    },
    /// The file holds a section or key that the server does not know.
    #[error("{}: {key} is not a known key: allowed are {allowed}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key as written.
        key: String,
        /// The names that are known at that place.
        allowed: String,
    },
    /// The file gives a section or key twice.
    #[error("{}: {key} = {value} is given again: each key is allowed once", path.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The key as written.
        key: String,
        /// The second value, or `(hidden)`.
        value: String,
    },
    /// The file of a secret cannot be used, or the secret is given in another way, too.
    #[error("environment variable {variable}: {reason}")]
    SecretFile {
        /// The variable that names the file.
        variable: &'static str,
        /// The words for the fault, without the content of the file.
        reason: String,
    },
    /// A value of the wrong type, or one that cannot work.
    #[error("{from}: {key} = {value} is not allowed: must be {allowed}")]
    Value {
        /// The file, variable or flag it came from.
        from: SettingSource,
        /// The key.
        key: &'static str,
        /// The value as given, or `(hidden)`.
        value: String,
        /// The words for what would be accepted.
        allowed: String,
    },
}

impl ConfigProblem {
    pub(super) fn value(setting: &Setting, allowed: String) -> Self {
        Self::Value {
            from: setting.source.clone(),
            key: setting.key.path,
            value: shown(setting.key, setting.given.to_string()),
            allowed,
        }
    }

    pub(super) fn unknown_section(path: &Path, section: &str) -> Self {
        let mut sections: Vec<_> = keys::ALL.iter().map(|key| key.section()).collect();
        sections.dedup();
        let key = shown_name(section);
        Self::Unknown {
            path: path.to_owned(),
            key,
            allowed: sections.join(", "),
        }
    }

    pub(super) fn unknown_key(path: &Path, section: &str, name: &str) -> Self {
        let siblings = keys::ALL.iter().filter(|key| key.section() == section);
        let allowed: Vec<_> = siblings.map(|key| key.path).collect();
        let key = format!("{section}.{}", shown_name(name));
        Self::Unknown {
            path: path.to_owned(),
            key,
            allowed: allowed.join(", "),
        }
    }

    /// `value` must be fit to be shown.
    pub(super) fn duplicate(path: &Path, key: &str, value: String) -> Self {
        Self::Duplicate {
            path: path.to_owned(),
            key: key.to_owned(),
            value,
        }
    }
}

/// A value as it may be shown.
pub(super) fn shown(key: Key, value: String) -> String {
    // An '@' is the mark of a connection URL pasted into a plain key, and those carry passwords.
    if key.secret || value.contains('@') {
        "(hidden)".to_owned()
    } else {
        shortened(&value)
    }
}

/// A name from the file as it may be shown: on one line, and not too long.
fn shown_name(name: &str) -> String {
    shortened(&name.escape_debug().to_string())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_a_url_are_hidden() {
        assert_eq!(
            shown(keys::DATABASE_PASSWORD.key, "1".to_owned()),
            "(hidden)"
        );
        assert_eq!(
            shown(keys::DATABASE_HOST.key, "u:pw@host".to_owned()),
            "(hidden)"
        );
        assert_eq!(shown(keys::DATABASE_HOST.key, "host".to_owned()), "host");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let cut = shown(keys::LOG_LEVEL.key, "é".repeat(100));
        assert_eq!(cut, format!("{}…", "é".repeat(SHOWN_CHARS_MAX)));
    }

    #[test]
    fn a_name_stays_on_one_line() {
        assert_eq!(shown_name("a\nb"), "a\\nb");
    }

    #[test]
    fn each_problem_has_its_line() {
        let path = Path::new("c.json");
        let error = ConfigError::new(vec![
            ConfigProblem::unknown_section(path, "srv"),
            ConfigProblem::unknown_key(path, "redis", "hots"),
        ]);
        assert_eq!(error.problems().len(), 2);
        assert_eq!(
            error.to_string(),
            "c.json: srv is not a known key: allowed are \
             server, database, redis, journal, replication, sale, limits, admin, shop, auth, webhooks, log\n\
             c.json: redis.hots is not a known key: allowed are \
             redis.host, redis.port, redis.user, redis.password, redis.db, redis.tls, \
             redis.sslrootcert, redis.sentinels, redis.sentinel_master, redis.sentinel_user, \
             redis.sentinel_password, redis.cluster_nodes"
        );
    }
}
