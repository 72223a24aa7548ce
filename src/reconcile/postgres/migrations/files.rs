//! The files that migrations are made of.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{MigrationError, Undoing};
use crate::env::{Disk, RealDisk, read_file};
use crate::limits;

macro_rules! built_in {
    ($stem:literal) => {
        (
            $stem,
            include_str!(concat!("../../../../migrations/", $stem, ".up.sql")),
            include_str!(concat!("../../../../migrations/", $stem, ".down.sql")),
        )
    };
}

/// Where migrations are unless the configuration says otherwise.
const USUAL_DIR: &str = "migrations";

/// The files of this version, so that the binary is enough: stem, up and down.
const BUILT_IN: [(&str, &str, &str); 16] = [
    built_in!("001_watermark"),
    built_in!("002_sales"),
    built_in!("003_checkouts"),
    built_in!("004_purchases"),
    built_in!("005_views"),
    built_in!("006_roles"),
    built_in!("007_seed_views"),
    built_in!("008_checkout_keys"),
    built_in!("009_checkouts_of_sale"),
    built_in!("010_releases"),
    built_in!("011_sale_changes"),
    built_in!("012_payments"),
    built_in!("013_stock_changes"),
    built_in!("014_cancellations"),
    built_in!("015_item_limits"),
    built_in!("016_openings"),
];

/// A step of the schema, and the way back.
pub(super) struct Migration {
    /// The name of the file that goes up.
    pub(super) name: String,
    pub(super) up: String,
    /// The name of the file that goes back down.
    pub(super) down_name: String,
    pub(super) down: String,
    /// Of the file that goes up: SHA-256, in hexadecimal digits.
    pub(super) checksum: String,
}

impl Migration {
    /// What its way back would drop.
    pub(super) fn undoing(&self) -> Undoing {
        let words: Vec<_> = self.down.split_ascii_whitespace().collect();
        let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
        let mut tables = Vec::new();
        for (place, pair) in words.windows(2).enumerate() {
            if is(pair[0], "DROP") && is(pair[1], "TABLE") {
                let mut rest = words[place + 2..].iter();
                let name = rest.find(|word| !is(word, "IF") && !is(word, "EXISTS"));
                tables.extend(name.map(|name| name.trim_end_matches(';').to_owned()));
            }
        }
        Undoing {
            name: self.name.clone(),
            tables,
        }
    }
}

/// All migrations, numbered from 1 without a gap.
pub(super) struct MigrationFiles(Vec<Migration>);

impl MigrationFiles {
    /// Reads the files `NNN_name.up.sql` and `NNN_name.down.sql` in `dir`; where the usual directory is
    /// not there, takes those that the binary was built with.
    ///
    /// # Errors
    /// One cannot be read, is named otherwise, has no counterpart, or a number is missing.
    pub(super) fn read(dir: &Path) -> Result<Self, MigrationError> {
        let listed = RealDisk.list(dir);
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if dir == Path::new(USUAL_DIR) && listed.as_ref().is_err_and(is_missing) {
            let built_in = BUILT_IN.map(|(stem, up, down)| migration(stem, up.into(), down.into()));
            return Ok(Self(built_in.into()));
        }
        let names = listed.map_err(|error| {
            let dir = dir.display();
            MigrationError::Files(format!(
                "{dir}: {error}; database.migrations_path must be the directory of the migrations"
            ))
        })?;
        let migrations: Vec<_> = stems(dir, names)?
            .iter()
            .map(|stem| read_migration(dir, stem))
            .collect::<Result<_, _>>()?;
        if migrations.is_empty() {
            return Err(wrong(dir, "*.up.sql", "there is no migration here"));
        }
        Ok(Self(migrations))
    }

    pub(super) fn all(&self) -> &[Migration] {
        &self.0
    }

    pub(super) fn find(&self, name: &str) -> Option<&Migration> {
        self.0.iter().find(|migration| migration.name == name)
    }
}

fn wrong(dir: &Path, name: &str, what: &str) -> MigrationError {
    MigrationError::Files(format!("{}: {what}", dir.join(name).display()))
}

/// The common part of the names of each pair, in order.
fn stems(dir: &Path, names: Vec<String>) -> Result<Vec<String>, MigrationError> {
    // Which of the two are there.
    let mut pairs: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for name in names.iter().filter(|name| name.ends_with(".sql")) {
        let up = name.strip_suffix(".up.sql");
        let stem = up.or_else(|| name.strip_suffix(".down.sql"));
        let stem = stem.filter(|stem| is_stem(stem)).ok_or_else(|| {
            let form = "must be named NNN_name.up.sql or NNN_name.down.sql, the name of a-z, 0-9 \
                        and _";
            wrong(dir, name, form)
        })?;
        let pair = pairs.entry(stem.to_owned()).or_default();
        pair[usize::from(up.is_none())] = true;
    }
    for (number, (stem, pair)) in (1..).zip(&pairs) {
        let expected = format!("{number:03}_");
        if !stem.starts_with(&expected) {
            let what = format!("the number after {:03} must be {number:03}", number - 1);
            return Err(wrong(dir, stem, &what));
        }
        for (there, end) in pair.iter().zip(["up", "down"]) {
            if !there {
                let missing = format!("{stem}.{end}.sql");
                return Err(wrong(dir, &missing, "is missing"));
            }
        }
    }
    Ok(pairs.into_keys().collect())
}

fn is_stem(stem: &str) -> bool {
    let Some((number, name)) = stem.split_once('_') else {
        return false;
    };
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    number.len() == 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(of_name)
}

fn migration(stem: &str, up: String, down: String) -> Migration {
    let digest = Sha256::digest(up.as_bytes());
    Migration {
        name: format!("{stem}.up.sql"),
        up,
        down_name: format!("{stem}.down.sql"),
        down,
        checksum: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn read_migration(dir: &Path, stem: &str) -> Result<Migration, MigrationError> {
    let read = |name: &str| {
        let bytes = read_file(&RealDisk, &dir.join(name), limits::MIGRATION_BYTES_MAX)
            .map_err(|error| wrong(dir, name, &error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| wrong(dir, name, "is not UTF-8"))
    };
    let (name, down_name) = (format!("{stem}.up.sql"), format!("{stem}.down.sql"));
    Ok(migration(stem, read(&name)?, read(&down_name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<Vec<String>, String> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        stems(Path::new("m"), names).map_err(|error| error.to_string())
    }

    #[test]
    fn pairs_are_found_in_order() {
        let names = [
            "002_b.up.sql",
            "README.md",
            "001_a.down.sql",
            "002_b.down.sql",
            "001_a.up.sql",
        ];
        assert_eq!(
            found(&names),
            Ok(vec!["001_a".to_owned(), "002_b".to_owned()])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[&str], &str); 6] = [
            (&["001_a.up.sql"], "m/001_a.down.sql: is missing"),
            (&["001_a.down.sql"], "m/001_a.up.sql: is missing"),
            (
                &["002_a.up.sql", "002_a.down.sql"],
                "m/002_a: the number after 000 must be 001",
            ),
            (
                &[
                    "001_a.up.sql",
                    "001_a.down.sql",
                    "001_b.up.sql",
                    "001_b.down.sql",
                ],
                "m/001_b: the number after 001 must be 002",
            ),
            (&["1_a.up.sql"], "m/1_a.up.sql: must be named"),
            (&["001_A.up.sql"], "m/001_A.up.sql: must be named"),
        ];
        for (names, what) in cases {
            let said = found(names).expect_err(what);
            assert!(said.starts_with(what), "{said}");
        }
    }

    #[test]
    fn the_tables_that_would_go_are_known() {
        let migration = Migration {
            name: "001_a.up.sql".into(),
            up: String::new(),
            down_name: "001_a.down.sql".into(),
            down: "drop view v;\nDROP TABLE IF EXISTS a;\nDrop Table b ;".into(),
            checksum: String::new(),
        };
        assert_eq!(migration.undoing().tables, ["a", "b"]);
    }

    #[test]
    fn the_binary_holds_the_files_of_its_version() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(USUAL_DIR);
        let files = MigrationFiles::read(&dir).expect("they are in order");
        let built_in = BUILT_IN.map(|(stem, up, down)| migration(stem, up.into(), down.into()));
        let parts = |it: &Migration| (it.name.clone(), it.up.clone(), it.down.clone());
        let listed: Vec<_> = files.all().iter().map(parts).collect();
        assert_eq!(listed, built_in.iter().map(parts).collect::<Vec<_>>());
    }
}
