//! Command line flags as a source of settings.

use super::keys::{self, Key};
use super::raw::{Given, Setting, SettingSource};

/// The settings that have a flag. A flag is stronger than the environment and the file.
///
/// Secrets have none: every user of the machine can read a command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Address to listen on
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 picks a free one
    #[arg(long)]
    pub port: Option<u64>,
    /// Worker threads; 0 is one per core
    #[arg(long)]
    pub workers: Option<u64>,
    /// Directory of the journal
    #[arg(long)]
    pub journal_dir: Option<String>,
    /// When a record counts as durable: fsync or os
    #[arg(long)]
    pub durability: Option<String>,
    /// Items in each sale
    #[arg(long)]
    pub total_items: Option<u64>,
    /// Seconds from the start of one sale to the next
    #[arg(long)]
    pub interval_seconds: Option<u64>,
    /// Items that one user may buy in a sale
    #[arg(long)]
    pub max_items_per_user: Option<u64>,
    /// Seconds a checkout keeps its item; 0 keeps none
    #[arg(long)]
    pub hold_seconds: Option<u64>,
    /// Seed of the generated items
    #[arg(long)]
    pub seed: Option<u64>,
    /// Log level or filter
    #[arg(long)]
    pub log_level: Option<String>,
    /// Log format: human or json
    #[arg(long)]
    pub log_format: Option<String>,
}

impl Overrides {
    /// A setting for each flag that was given.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let flags = [
            text(keys::SERVER_HOST.key, "--host", self.host.as_ref()),
            text(keys::SERVER_PORT.key, "--port", self.port),
            text(keys::SERVER_WORKERS.key, "--workers", self.workers),
            text(
                keys::JOURNAL_DIR.key,
                "--journal-dir",
                self.journal_dir.as_ref(),
            ),
            text(
                keys::JOURNAL_DURABILITY.key,
                "--durability",
                self.durability.as_ref(),
            ),
            text(
                keys::SALE_TOTAL_ITEMS.key,
                "--total-items",
                self.total_items,
            ),
            text(
                keys::SALE_INTERVAL_SECONDS.key,
                "--interval-seconds",
                self.interval_seconds,
            ),
            text(
                keys::SALE_MAX_ITEMS_PER_USER.key,
                "--max-items-per-user",
                self.max_items_per_user,
            ),
            text(
                keys::SALE_HOLD_SECONDS.key,
                "--hold-seconds",
                self.hold_seconds,
            ),
            text(keys::SALE_SEED.key, "--seed", self.seed),
            text(keys::LOG_LEVEL.key, "--log-level", self.log_level.as_ref()),
            text(
                keys::LOG_FORMAT.key,
                "--log-format",
                self.log_format.as_ref(),
            ),
        ];
        flags.into_iter().flatten().collect()
    }
}

fn text(key: Key, flag: &'static str, value: Option<impl ToString>) -> Option<Setting> {
    let given = Given::Text(value?.to_string());
    Some(Setting {
        key,
        given,
        source: SettingSource::Flag(flag),
        file: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parse(arguments: &[&str]) -> Overrides {
        let command = Overrides::augment_args(Command::new("flashsale"));
        let matches = command.get_matches_from(arguments);
        Overrides::from_arg_matches(&matches).expect("the flags are right")
    }

    #[test]
    fn no_flag_is_no_setting() {
        assert!(parse(&["flashsale"]).settings().is_empty());
    }

    #[test]
    fn every_flag_gives_a_setting_that_names_it() {
        let command = Overrides::augment_args(Command::new("flashsale"));
        let names: Vec<String> = command
            .get_arguments()
            .filter_map(|flag| flag.get_long())
            .map(dashed)
            .collect();
        let mut arguments = vec!["flashsale"];
        for name in &names {
            arguments.extend([name.as_str(), "1"]);
        }
        let settings = parse(&arguments).settings();
        let sources: Vec<_> = settings
            .iter()
            .map(|setting| setting.source.to_string())
            .collect();
        let expected: Vec<_> = names.iter().map(|name| format!("flag {name}")).collect();
        assert_eq!(sources, expected);
        assert!(
            settings
                .iter()
                .all(|setting| setting.given.as_integer() == Some(1))
        );
        assert!(settings.iter().all(|setting| !setting.key.secret));
    }

    fn dashed(name: &str) -> String {
        format!("--{name}")
    }
}
