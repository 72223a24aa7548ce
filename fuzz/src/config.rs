//! The configuration file.

use std::io::Write;

use flashsale::config::{Config, ConfigFile, ConfigSources, Overrides, SecretsNeeded};
use tempfile::NamedTempFile;

/// Reads `bytes` as a configuration file; what is wrong is said, and what is right can be shown.
pub fn take(bytes: &[u8]) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let sources = ConfigSources {
        file: ConfigFile::Required(file.path().to_owned()),
        environment: &|_| None,
        overrides: Overrides::default(),
        secrets: SecretsNeeded::All,
    };
    match Config::load(&sources) {
        Ok(config) => drop((config.describe(), config.fingerprint())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
