//! The settings of PostgreSQL that the promise of the log rests on.

use tokio_postgres::Row;

use crate::planted::{Slip, is_planted};

/// Reads them. The columns are in the order of [`Settings::of_row`].
pub(super) const READ: &str = "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), \
     current_setting('fsync'), current_setting('full_page_writes'), pg_is_in_recovery()";

/// The settings as they are at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a commit waits for.
    pub synchronous_commit: String,
    /// The standbys that it waits for.
    pub synchronous_standby_names: String,
    /// Whether anything is made durable at all.
    pub fsync: String,
    /// Whether a torn page can be mended.
    pub full_page_writes: String,
    /// Whether this is a standby itself.
    pub is_in_recovery: bool,
}

impl Settings {
    pub(super) fn of_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            synchronous_commit: row.try_get(0)?,
            synchronous_standby_names: row.try_get(1)?,
            fsync: row.try_get(2)?,
            full_page_writes: row.try_get(3)?,
            is_in_recovery: row.try_get(4)?,
        })
    }

    /// Returns whether it is a matter of time alone until the settings are as they must be: a standby is not promoted yet, or there is none that a
    /// commit could wait for, which Patroni in strict mode says by `*`.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let promoted = Self {
            is_in_recovery: false,
            ..self.clone()
        };
        let followed = Self {
            synchronous_standby_names: "standby".to_owned(),
            ..promoted.clone()
        };
        match self.synchronous_standby_names.trim() {
            "*" => followed.check().is_ok(),
            _ => promoted.check().is_ok(),
        }
    }

    /// Checks that what is answered under these settings is durable on two machines, whichever of them dies.
    ///
    /// # Errors
    /// Says which setting voids that, and why.
    pub fn check(&self) -> Result<(), String> {
        let unsafe_because = |setting: &str, value: &str, why: &str| {
            Err(format!(
                "{setting} is '{value}', which voids the promise of the replicated log: {why}"
            ))
        };
        if self.is_in_recovery {
            return Err("the server is a standby, and takes no changes".to_owned());
        }
        if is_planted(Slip::IgnoresLogSettings) {
            return Ok(());
        }
        match &*self.synchronous_commit {
            "on" | "remote_apply" => {}
            value => {
                let why =
                    "a commit must be on the standby's disk before it is answered; set it to 'on'";
                return unsafe_because("synchronous_commit", value, why);
            }
        }
        if self.fsync != "on" {
            let why = "nothing is certain to be on a disk";
            return unsafe_because("fsync", &self.fsync, why);
        }
        if self.full_page_writes != "on" {
            let why = "a power cut can leave pages that nothing mends";
            return unsafe_because("full_page_writes", &self.full_page_writes, why);
        }
        match required_standbys(&self.synchronous_standby_names) {
            Ok(_) => Ok(()),
            Err(why) => unsafe_because(
                "synchronous_standby_names",
                &self.synchronous_standby_names,
                &why,
            ),
        }
    }
}

/// Returns the standbys that `setting`, a value of `synchronous_standby_names`, requires, if every one that it names is required by name.
///
/// # Errors
/// Says why a commit may be answered without one of them.
pub fn required_standbys(setting: &str) -> Result<Vec<String>, String> {
    let words = words_of(setting)?;
    let mut words = words.iter().peekable();
    let mut required = None;
    if let Some(Word::Bare(first)) = words.peek() {
        match &*first.to_ascii_lowercase() {
            "any" => {
                return Err("with ANY a commit may be answered by a standby other than the one that is promoted; name each one \
                            that is required, as in FIRST 2 (a, b)"
                    .into());
            }
            "first" => {
                words.next();
            }
            _ => {}
        }
    }
    if let Some(Word::Bare(number)) = words.peek()
        && let Ok(number) = number.parse::<usize>()
    {
        required = Some(number);
        words.next();
    }
    let mut names = Vec::new();
    for word in words {
        match word {
            Word::Bare(name) if name == "*" => {
                return Err(
                    "'*' lets any standby answer; name each one that is required. Patroni sets it while there is no standby"
                        .into(),
                );
            }
            Word::Bare(name) => names.push(name.to_ascii_lowercase()),
            Word::Quoted(name) => names.push(name.clone()),
        }
    }
    let required = required.unwrap_or(1);
    match names.len() {
        0 => Err("no standby has to have a commit before it is answered; name one".into()),
        named if named == required => Ok(names),
        named => Err(format!(
            "{required} of {named} named standbys must have a commit, so that it may be on another one than the one that is promoted; \
             require all of them, as in FIRST {named} (...)"
        )),
    }
}

enum Word {
    Bare(String),
    Quoted(String),
}

/// Splits a list into its names and numbers. Parentheses and commas only separate them.
fn words_of(setting: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = setting.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '(' | ')' | ',' => &rest[1..],
            '"' => {
                let (name, after) = quoted(&rest[1..])?;
                words.push(Word::Quoted(name));
                after
            }
            _ => {
                let is_end = |c: char| c.is_whitespace() || "(),\"".contains(c);
                let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                words.push(Word::Bare(word.to_owned()));
                after
            }
        }
        .trim_start();
    }
    Ok(words)
}

/// Takes a name in double quotes, in which two of them stand for one, off `text`, which begins behind the first.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quoted name has no end")?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Ok((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standby_that_is_named_must_be_required() {
        let required = |setting: &str| required_standbys(setting).ok();
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(required("n2"), names(&["n2"]));
        assert_eq!(required("\"Patroni-2\""), names(&["Patroni-2"]));
        assert_eq!(required("FIRST 1 (n2)"), names(&["n2"]));
        assert_eq!(required("first 2 (n2,n3)"), names(&["n2", "n3"]));
        assert_eq!(required("2 (\"n2\", \"n \"\"3\")"), names(&["n2", "n \"3"]));
        for refused in [
            "",
            " ",
            "*",
            "FIRST 1 (*)",
            "n2, n3",
            "FIRST 1 (n2, n3)",
            "ANY 1 (n2, n3)",
            "any 2 (n2, n3)",
            "1 (n2, n3)",
            "3 (n2, n3)",
            "\"n2",
        ] {
            assert!(required_standbys(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn only_what_a_failover_ends_by_itself_may_pass() {
        let settings = |names: &str, is_in_recovery| Settings {
            synchronous_commit: "on".into(),
            synchronous_standby_names: names.into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            is_in_recovery,
        };
        for passing in [("*", false), ("*", true), ("n2", true), ("n2", false)] {
            assert!(settings(passing.0, passing.1).may_pass(), "{passing:?}");
        }
        for lasting in ["", "ANY 1 (a, b)", "a, b"] {
            assert!(!settings(lasting, false).may_pass(), "{lasting:?}");
            assert!(!settings(lasting, true).may_pass(), "{lasting:?}");
        }
        let unsafe_too = Settings {
            fsync: "off".into(),
            ..settings("*", true)
        };
        assert!(!unsafe_too.may_pass());
    }

    #[test]
    fn each_setting_that_voids_the_promise_is_named() {
        let good = Settings {
            synchronous_commit: "on".into(),
            synchronous_standby_names: "n2".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            is_in_recovery: false,
        };
        assert_eq!(good.check(), Ok(()));
        let said = |change: &dyn Fn(&mut Settings)| {
            let mut settings = good.clone();
            change(&mut settings);
            settings.check().expect_err("unsafe")
        };
        for level in ["off", "local", "remote_write"] {
            let said = said(&|settings| settings.synchronous_commit = level.into());
            assert!(
                said.starts_with(&format!("synchronous_commit is '{level}'")),
                "{said}"
            );
        }
        let fsync = said(&|settings| settings.fsync = "off".into());
        assert!(fsync.starts_with("fsync is 'off'"), "{fsync}");
        let names = said(&|settings| settings.synchronous_standby_names = "ANY 1 (a, b)".into());
        assert!(names.contains("ANY"), "{names}");
        assert!(said(&|settings| settings.is_in_recovery = true).contains("standby"));
        assert!(said(&|settings| settings.full_page_writes = "off".into()).contains("power cut"));
    }
}
