//! The environment as a source of settings.

use super::keys;
use super::raw::{Given, Setting, Source};

/// Looks a variable up. `None` is "not set"; a variable set to nothing is `Some("")`.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process, for `main` to pass on.
///
/// Bytes that are not UTF-8 become U+FFFD, which no key accepts.
#[must_use]
pub fn process_environment(variable: &str) -> Option<String> {
    std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
}

/// A setting for each variable that is set.
pub(super) fn settings(environment: Environment<'_>) -> Vec<Setting> {
    let set = keys::ALL
        .iter()
        .filter_map(|&key| Some((key, environment(key.variable)?)));
    set.map(|(key, text)| Setting {
        key,
        given: Given::Text(text),
        source: Source::Environment(key.variable),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_set_and_an_absent_one_is_not() {
        let environment = |name: &str| match name {
            "DB_HOST" => Some(String::new()),
            "SALE_SEED" => Some("7".to_owned()),
            _ => None,
        };
        let settings = settings(&environment);
        let found: Vec<_> = settings
            .iter()
            .map(|setting| (setting.key.path, setting.given.as_text()))
            .collect();
        assert_eq!(
            found,
            [("database.host", Some("")), ("sale.seed", Some("7"))]
        );
        assert_eq!(
            settings[0].source.to_string(),
            "environment variable DB_HOST"
        );
    }

    #[test]
    fn the_process_has_an_environment() {
        assert!(process_environment("PATH").is_some());
        assert_eq!(process_environment("FLASHSALE_NO_SUCH_VARIABLE"), None);
    }
}
