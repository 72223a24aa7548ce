//! Postgres, as the server would find it.

use super::finding::Findings;
use super::followed::{Fit, Followed};
use crate::reconcile::SinkError;
use crate::reconcile::postgres::migrations::{self, MigrationStatus};
use crate::reconcile::postgres::{PostgresOptions, PostgresSink, PostgresSurvey};

const CHECK: &str = "postgres";
/// The oldest version, as the server numbers them.
const VERSION_MIN: i32 = 130_000;

pub(super) async fn check(
    options: &PostgresOptions,
    journal: &Followed<'_>,
    findings: &mut Findings,
) {
    let survey = match PostgresSurvey::read(options).await {
        Ok(survey) => survey,
        Err(error) => {
            let advice = match error.lasts() {
                true => {
                    "the server does not start on such a database: change what is wrong with it, or name another"
                }
                false => {
                    "see that it runs and that DB_HOST, DB_PORT, DB_USER, DB_PASSWORD and DB_NAME are right; a sale \
                     can go on without it, and it is filled later"
                }
            };
            return findings.fail(CHECK, format!("{}: {error}", options.address()), advice);
        }
    };
    version(&survey, findings);
    rights(&survey, findings);
    let has_pending = match migrations::status(options).await {
        Ok(all) => migrated(&all, findings),
        Err(error) => {
            findings.fail(
                CHECK,
                format!("{}: migrations: {error}", options.address()),
                "flashsale migrate status says more",
            );
            true
        }
    };
    if has_pending && !survey.may_create {
        findings.fail(
            CHECK,
            "the user may not make tables, and migrations are pending",
            "run flashsale migrate up as the owner of the schema",
        );
    }
    watermark(&survey, journal, findings);
}

fn version(survey: &PostgresSurvey, findings: &mut Findings) {
    let (major, minor) = (survey.version / 10_000, survey.version % 10_000);
    let tls = if survey.is_encrypted {
        "with TLS"
    } else {
        "without TLS"
    };
    let found = format!("version {major}.{minor}, {tls}, {} MiB", survey.bytes >> 20);
    if survey.version < VERSION_MIN {
        findings.warn(CHECK, found, "run version 13 or newer");
    } else {
        findings.ok(CHECK, found);
    }
    if survey.is_standby {
        findings.fail(
            CHECK,
            "it is a standby, and read-only",
            "set DB_HOST to the primary",
        );
    }
}

fn rights(survey: &PostgresSurvey, findings: &mut Findings) {
    if survey.is_superuser {
        findings.warn(
            CHECK,
            "the user is a superuser: whoever gets its password has all databases",
            "give the server a role of its own, as docs/postgres.md says",
        );
    }
    if !survey.denied.is_empty() {
        findings.fail(
            CHECK,
            format!("the user may not {}", survey.denied.join(", ")),
            "make it a member of flashsale_server: run docker/postgres/roles.sql with DB_USER set to it, as \
             docs/postgres.md says",
        );
    }
}

/// Says where the migrations are; whether any is pending.
fn migrated(all: &[MigrationStatus], findings: &mut Findings) -> bool {
    let pending = all.iter().filter(|it| it.applied_at.is_none()).count();
    let broken = all.iter().find_map(|it| Some((&it.name, it.problem?)));
    if let Some((name, problem)) = broken {
        findings.fail(
            CHECK,
            format!("migration {name}: {problem}"),
            "use the binary that the database was migrated with, or a newer one; flashsale migrate status \
             lists all",
        );
    } else if pending > 0 {
        findings.warn(
            CHECK,
            format!("{pending} of {} migrations are pending", all.len()),
            "flashsale migrate up; the server does it, too, when it starts",
        );
    } else {
        findings.ok(CHECK, format!("all {} migrations are applied", all.len()));
    }
    pending > 0
}

fn watermark(survey: &PostgresSurvey, journal: &Followed<'_>, findings: &mut Findings) {
    let Some(watermark) = survey.watermark else {
        return;
    };
    let lsn = watermark.lsn;
    match journal.compare(watermark, PostgresSink::check) {
        Fit::Behind(behind) => {
            findings.ok(CHECK, format!("it has record {lsn}, {behind} behind the journal"));
        }
        Fit::Not(error) => {
            let advice = match error {
                SinkError::Diverged(_) => {
                    "the journal is older than the database (a restored backup?) or another one: move it away \
                     and run flashsale recover --from postgres, or set another journal.dir or database.dbname"
                }
                _ => "restore such a backup, or set another database.dbname",
            };
            let result = match error {
                SinkError::Behind(_) => "the server sells, and cannot tell it",
                _ => "the server will not start",
            };
            findings.fail(CHECK, format!("{error}: {result}"), advice);
        }
        Fit::Unknown(why) => findings.warn(
            CHECK,
            format!("it has record {lsn}, which cannot be compared with the journal: {why}"),
            "run this as the user that runs the server; flashsale journal verify says more of the journal",
        ),
    }
}
