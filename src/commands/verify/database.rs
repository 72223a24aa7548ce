//! Postgres, held against the journal.

use std::io;
use std::thread;
use std::time::Duration;

use super::earlier::Earlier;
use super::ledger::{CompareError, Ledger, LedgerError};
use super::report::Report;
use super::rows::DatabaseRows;
use crate::reconcile::postgres::{PostgresOptions, PostgresReader};
use crate::reconcile::{Comparison, Mismatches, Watermark};
use crate::types::{Lsn, counted};

/// Attempts to read the database while the server removes what is compared, or is ahead of it.
const ATTEMPTS_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// The result of the comparison.
struct DatabaseComparison {
    watermark: Watermark,
    durable: Lsn,
    /// From the journal's first record on.
    findings: Mismatches,
    agreed: u64,
    /// Before that; `None` where nothing was trimmed.
    earlier: Option<Result<(Lsn, Mismatches), String>>,
    breaches: Vec<String>,
}

/// Compares, and says what came of it.
///
/// # Errors
/// The output is gone; all else is part of the report.
pub(super) async fn compare(
    options: &PostgresOptions,
    ledger: &mut Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    match compare_with_retry(options, ledger).await {
        Ok(compared) => print(&compared, ledger, report),
        Err(error) => report.broken_off(&format!("Postgres at {}", options.address()), &error),
    }
}

/// Looks again where the server has written a newer snapshot and removed what it stands for meanwhile.
async fn compare_with_retry(
    options: &PostgresOptions,
    ledger: &mut Ledger,
) -> Result<DatabaseComparison, CompareError> {
    for _ in 1..ATTEMPTS_MAX {
        let compared = compare_once(options, ledger).await;
        let has_moved =
            ledger.server().is_some() && ledger.find_first().map_err(LedgerError::from)?;
        let is_overtaken = match &compared {
            Ok(compared) => matches!(compared.earlier, Some(Err(_))) && ledger.server().is_some(),
            Err(CompareError::Ledger(_)) => has_moved,
            Err(CompareError::Sink(_)) => false,
        };
        if !is_overtaken {
            return compared;
        }
        thread::sleep(PAUSE);
    }
    compare_once(options, ledger).await
}

async fn compare_once(
    options: &PostgresOptions,
    ledger: &mut Ledger,
) -> Result<DatabaseComparison, CompareError> {
    let reader = PostgresReader::connect(options).await?;
    compare_rows(reader.records().await?, ledger).await
}

/// Compares what is in `records`, and says what came of it.
///
/// # Errors
/// The output is gone; all else is part of the report.
pub(super) async fn compare_read(
    records: impl DatabaseRows,
    ledger: &mut Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    match compare_rows(records, ledger).await {
        Ok(compared) => print(&compared, ledger, report),
        Err(error) => report.broken_off("Postgres", &error),
    }
}

async fn compare_rows(
    mut records: impl DatabaseRows,
    ledger: &mut Ledger,
) -> Result<DatabaseComparison, CompareError> {
    let watermark = records.watermark();
    // Asked after the watermark, so that a server that goes on is not taken for one that is behind.
    let durable = ledger.durable()?;
    let before_first = Lsn(ledger.first.0.saturating_sub(1));
    let tail = ledger.tail(before_first).map_err(LedgerError::from)?;
    let tail = tail.ok_or_else(|| ledger.overtaken())?;
    let mut comparison = Comparison::new(tail, watermark, durable);
    let mut earlier = match before_first {
        Lsn::ZERO => None,
        _ => Some(Earlier::new(ledger).map_err(LedgerError::from)?),
    };
    loop {
        let chunk = records.next_chunk().await?;
        if chunk.is_empty() {
            break;
        }
        comparison.take(&chunk).map_err(LedgerError::from)?;
        if let Some(earlier) = &mut earlier {
            earlier.take(&chunk).map_err(LedgerError::from)?;
        }
    }
    let (mut findings, agreed) = comparison.finish().map_err(LedgerError::from)?;
    if before_first > Lsn::ZERO && watermark.lsn <= before_first {
        findings.add(|| {
            format!(
                "it ends at {watermark}, and the journal begins at record {}: it does not have the \
                 record by which it could go on",
                ledger.first
            )
        });
    }
    let earlier = earlier
        .map(|earlier| finish_earlier(earlier, watermark))
        .transpose()?;
    let breaches = records.breaches(Mismatches::TOLD_MAX).await?;
    records.end().await?;
    Ok(DatabaseComparison {
        watermark,
        durable,
        findings,
        agreed,
        earlier,
        breaches,
    })
}

fn finish_earlier(
    earlier: Earlier<'_>,
    watermark: Watermark,
) -> Result<Result<(Lsn, Mismatches), String>, LedgerError> {
    let lsn = earlier.snapshot_lsn();
    if watermark.lsn < lsn {
        return Ok(Err(format!(
            "it ends at {watermark}, before the snapshot at record {lsn} that stands for them"
        )));
    }
    Ok(Ok((lsn, earlier.finish()?)))
}

fn print(
    compared: &DatabaseComparison,
    ledger: &Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let DatabaseComparison {
        watermark,
        durable,
        findings,
        agreed,
        earlier,
        breaches,
    } = compared;
    let first = ledger.first;
    report.findings("Postgres", findings)?;
    match earlier {
        None => {}
        Some(Ok((lsn, findings))) if findings.count == 0 => report.note(&format!(
            "Postgres: its records up to {lsn} lead to the state of the snapshot there; the journal \
             begins at record {first}"
        ))?,
        Some(Ok((_, findings))) => report.findings("Postgres", findings)?,
        Some(Err(why)) => report.unchecked(&format!(
            "Postgres: its records before {first}, where the journal begins: {why}"
        ))?,
    }
    for breach in breaches {
        report.different(&format!("Postgres: {breach}"))?;
    }
    if findings.count == 0 {
        report.note(&format!(
            "Postgres: {} the journal's, field by field, up to its watermark, {watermark}",
            counted(*agreed, "record is", "records are")
        ))?;
    }
    if breaches.is_empty() {
        report.note(
            "Postgres: nothing oversold, nobody over the limit, every purchase has its checkout, the \
             pools are the sums of what was sold",
        )?;
    }
    if first > Lsn(1) && watermark.lsn < first {
        // It cannot go on, which was said above.
        return Ok(());
    }
    let lag = durable.0.saturating_sub(watermark.lsn.0);
    report.lag("Postgres", lag, ledger.server().is_some())
}
