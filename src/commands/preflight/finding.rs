//! The findings of the checks, each with what to do about it.

use std::io::{self, Write};

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    level: Level,
    /// The part that was checked, in one word or two.
    check: &'static str,
    /// The words for what was found.
    found: String,
    /// The words for what to do; `None` where all is well.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    revision: &'static str,
    ok: usize,
    warn: usize,
    fail: usize,
    findings: &'a [Finding],
    /// Questions for the operator, which no machine can answer.
    questions: &'a [&'a str],
}

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(Level::Ok, check, found.into(), None);
    }

    pub(super) fn warn(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Warn, check, found.into(), Some(advice.into()));
    }

    pub(super) fn fail(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Fail, check, found.into(), Some(advice.into()));
    }

    fn add(&mut self, level: Level, check: &'static str, found: String, advice: Option<String>) {
        self.all.push(Finding {
            level,
            check,
            found,
            advice,
        });
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|it| it.level == level).count()
    }

    /// One line for each finding, and the questions that are left.
    pub(super) fn write_text(&self, questions: &[&str], out: &mut dyn Write) -> io::Result<()> {
        for Finding {
            level,
            check,
            found,
            advice,
        } in &self.all
        {
            let level = match level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            write!(out, "{level:<5} {check:<14} {found}")?;
            match advice {
                Some(advice) => writeln!(out, ". Do: {advice}")?,
                None => writeln!(out)?,
            }
        }
        writeln!(out, "\nWhat no machine can check:")?;
        for question in questions {
            writeln!(out, "  [ ] {question}")?;
        }
        let [ok, warn, fail] = [Level::Ok, Level::Warn, Level::Fail].map(|level| self.count(level));
        writeln!(out, "\n{ok} ok, {warn} to look at, {fail} failed")
    }

    /// Writes all findings as one JSON document.
    pub(super) fn write_json(&self, questions: &[&str], out: &mut dyn Write) -> io::Result<()> {
        let build = crate::telemetry::BuildInfo::CURRENT;
        let document = Document {
            version: build.version,
            revision: build.revision,
            ok: self.count(Level::Ok),
            warn: self.count(Level::Warn),
            fail: self.count(Level::Fail),
            findings: &self.all,
            questions,
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}
