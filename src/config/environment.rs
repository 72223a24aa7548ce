//! The environment as a source of settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::SecretsNeeded;
use super::error::ConfigProblem;
use super::keys::{self, Key};
use super::raw::{Given, IgnoredVariable, RawConfig, Setting, SettingSource};
use crate::env::SecretFile;

/// Looks a variable up. A variable that is set to nothing counts as one that is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process, for `main` to pass on.
///
/// Bytes that are not UTF-8 become U+FFFD, which no key accepts.
#[must_use]
pub fn process_environment(variable: &str) -> Option<String> {
    std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
}

/// Adds a setting for each variable that is set, and for each secret that is needed and that a variable names the file
/// of.
pub(super) fn read_into(raw: &mut RawConfig, environment: Environment<'_>, secrets: SecretsNeeded) {
    let environment = |variable: &str| environment(variable).filter(|value| !value.is_empty());
    for &key in keys::ALL.iter().filter(|&&key| secrets.includes(key)) {
        let given = environment(key.variable);
        if let Some(value) = given
            .clone()
            .filter(|text| is_foreign(key, text, &environment))
        {
            let variable = key.variable;
            raw.ignored.push(IgnoredVariable { variable, value });
            continue;
        }
        match from_file(key, given.as_deref(), &environment) {
            Ok(None) => {
                let setting = given.map(|text| setting(key, key.variable, text, None));
                raw.settings.extend(setting);
            }
            Ok(Some((path, secret))) => {
                let setting = setting(key, key.file_variable, secret, Some(path));
                raw.settings.push(setting);
            }
            Err(reason) => raw.problems.push(ConfigProblem::SecretFile {
                variable: key.file_variable,
                reason,
            }),
        }
    }
}

/// Returns whether Kubernetes or Docker has set the variable of `key`, and not the operator.
///
/// For a service named `redis`, Kubernetes sets `REDIS_PORT=tcp://10.0.0.11:6379` in every container of the
/// namespace. Docker does the same for a linked container named `db`, and adds `DB_NAME=/flashsale/db`.
fn is_foreign(key: Key, text: &str, environment: Environment<'_>) -> bool {
    let ports = [
        keys::SERVER_PORT.key,
        keys::DATABASE_PORT.key,
        keys::REDIS_PORT.key,
    ];
    if key == keys::DATABASE_DBNAME.key {
        let port = environment(keys::DATABASE_PORT.key.variable);
        text.starts_with('/') && port.is_some_and(|port| is_service_address(&port))
    } else {
        ports.contains(&key) && is_service_address(text)
    }
}

/// Returns whether `text` is a protocol, an address and a port, as in `tcp://10.0.0.11:6379`.
fn is_service_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(protocol, address)| {
        ["tcp", "udp", "sctp"].contains(&protocol) && address.parse::<SocketAddr>().is_ok()
    })
}

fn setting(key: Key, variable: &'static str, text: String, file: Option<PathBuf>) -> Setting {
    Setting {
        key,
        given: Given::Text(text),
        source: SettingSource::Environment(variable),
        file,
    }
}

/// The file of a secret that a variable names, if one does, and what is in it.
///
/// # Errors
/// Says why the file does not do, or that the secret is `given`, too.
fn from_file(
    key: Key,
    given: Option<&str>,
    environment: Environment<'_>,
) -> Result<Option<(PathBuf, String)>, String> {
    let path = environment(key.file_variable).filter(|_| key.secret);
    let Some(path) = path else {
        return Ok(None);
    };
    if given.is_some() {
        return Err(format!(
            "{} is set, too: only one of them is allowed",
            key.variable
        ));
    }
    let file = SecretFile {
        name: key.file_variable,
        path: path.into(),
        // Checked with all other values.
        is_allowed: |_| true,
        allowed: String::new,
    };
    let secret = file.read()?;
    Ok(Some((file.path, secret)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn raw(environment: Environment<'_>) -> RawConfig {
        let mut raw = RawConfig::default();
        read_into(&mut raw, environment, SecretsNeeded::All);
        raw
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let environment = |name: &str| match name {
            "SALE_SEED" => Some("7".to_owned()),
            _ => Some(String::new()),
        };
        let raw = raw(&environment);
        assert!(raw.problems.is_empty(), "{:?}", raw.problems);
        let settings: Vec<_> = raw
            .settings
            .iter()
            .map(|setting| (setting.key.path, setting.given.as_text()))
            .collect();
        assert_eq!(settings, [("sale.seed", Some("7"))]);
        assert_eq!(
            raw.settings[0].source.to_string(),
            "environment variable SALE_SEED"
        );
    }

    #[test]
    fn the_address_of_a_service_is_somebody_elses_variable() {
        let set = [
            ("SERVER_PORT", "udp://10.43.1.1:8080"),
            ("DB_PORT", "tcp://[fd00::7]:5432"),
            ("DB_NAME", "/flashsale/db"),
            ("REDIS_PORT", "tcp://10.43.1.2:6379"),
            ("REDIS_HOST", "tcp://10.43.1.2:6379"),
        ];
        let environment = |name: &str| {
            let found = set.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.to_owned())
        };
        let raw = raw(&environment);
        let ignored: Vec<_> = raw.ignored.iter().map(ToString::to_string).collect();
        assert_eq!(
            ignored,
            [
                "SERVER_PORT=udp://10.43.1.1:8080",
                "DB_PORT=tcp://[fd00::7]:5432",
                "DB_NAME=/flashsale/db",
                "REDIS_PORT=tcp://10.43.1.2:6379",
            ]
        );
        // Nobody but the operator sets the name of a host.
        assert_eq!(raw.settings.len(), 1);
        assert_eq!(raw.settings[0].key, keys::REDIS_HOST.key);
    }

    #[test]
    fn what_only_resembles_the_address_of_a_service_is_a_setting() {
        for text in [
            "tcp://redis:6379",
            "tcp://10.43.1.2",
            "redis://10.43.1.2:6379",
            "6379",
        ] {
            let raw = raw(&|name: &str| (name == "REDIS_PORT").then(|| text.to_owned()));
            assert_eq!((raw.settings.len(), raw.ignored.len()), (1, 0), "{text}");
        }
        // A database may be named so, as long as nothing else speaks of a linked container.
        let raw = raw(&|name: &str| (name == "DB_NAME").then(|| "/flashsale/db".to_owned()));
        assert_eq!((raw.settings.len(), raw.ignored.len()), (1, 0));
    }

    #[test]
    fn the_process_has_an_environment() {
        assert!(process_environment("PATH").is_some());
        assert_eq!(process_environment("FLASHSALE_NO_SUCH_VARIABLE"), None);
    }

    /// Returns the token that is read from a file with this in it and a variable beside it.
    fn token_of(content: &[u8], token: Option<&str>) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("token");
        fs::write(&path, content).expect("it can be written");
        let environment = |name: &str| match name {
            "ADMIN_TOKEN_FILE" => Some(path.to_string_lossy().into_owned()),
            "ADMIN_TOKEN" => token.map(str::to_owned),
            // Of a key that is no secret.
            "DB_HOST_FILE" => Some("/none".to_owned()),
            _ => None,
        };
        let raw = raw(&environment);
        match (&raw.settings[..], &raw.problems[..]) {
            ([setting], []) => {
                assert_eq!(
                    setting.source,
                    SettingSource::Environment("ADMIN_TOKEN_FILE")
                );
                Ok(setting.given.as_text().expect("text").to_owned())
            }
            ([], [problem]) => Err(problem.to_string()),
            _ => panic!("one of them"),
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file() {
        assert_eq!(token_of(b"secret", None).as_deref(), Ok("secret"));
        assert_eq!(token_of(b"secret\n", None).as_deref(), Ok("secret"));
        assert_eq!(token_of(b" a b \r\n", Some("")).as_deref(), Ok(" a b "));
    }

    #[test]
    fn a_file_that_does_not_do_is_named_and_not_shown() {
        let long = b"secret".repeat(1_000);
        for (content, token, why) in [
            (
                &b"secret"[..],
                Some("other"),
                "ADMIN_TOKEN is set, too: only one of them is allowed",
            ),
            (b"", None, "the file is empty"),
            (b"\n", None, "the file is empty"),
            (b"secret\xff", None, "the file is not UTF-8"),
            (&long, None, "the file is longer than 4096 bytes"),
        ] {
            let said = token_of(content, token).expect_err(why);
            assert!(
                said.starts_with("environment variable ADMIN_TOKEN_FILE: "),
                "{said}"
            );
            assert!(said.contains(why), "{said}");
            assert!(
                !said.contains("secret\u{fffd}") && !said.contains("secretsecret"),
                "{said}"
            );
        }
        let environment = |name: &str| (name == "DB_PASSWORD_FILE").then(|| "/none".to_owned());
        let said = raw(&environment).problems[0].to_string();
        assert!(said.contains("/none: No such file"), "{said}");
    }
}
