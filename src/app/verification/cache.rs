//! Redis, held against the journal.

use std::io;

use super::ledger::{CompareError, Ledger, LedgerError, visit};
use super::report::Report;
use crate::journal::{JournalError, fingerprint};
use crate::reconcile::redis::{Projection, RedisOptions, expires_at, read};
use crate::reconcile::{Findings, Watermark};
use crate::sale::EndedSale;
use crate::types::Lsn;

/// What came of it.
enum Compared {
    Empty,
    /// The journal no longer holds what leads to this.
    TooOld(Watermark),
    Whole {
        watermark: Watermark,
        durable: Lsn,
        sales: usize,
        differences: Vec<String>,
    },
}

/// Compares, and says what came of it.
///
/// # Errors
/// The output is gone; all else is part of the report.
pub(super) async fn compare(
    options: &RedisOptions,
    ledger: &mut Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    match look(options, ledger).await {
        Ok(compared) => say(&compared, ledger, report),
        Err(error) => report.broken_off(&format!("Redis at {}", options.address()), &error),
    }
}

async fn look(options: &RedisOptions, ledger: &mut Ledger) -> Result<Compared, CompareError> {
    let Some((watermark, found)) = read(options).await? else {
        return Ok(Compared::Empty);
    };
    // Asked after the watermark, so that a server that goes on is not taken for one that is behind.
    let durable = ledger.durable()?;
    let whole = |sales, differences| Compared::Whole {
        watermark,
        durable,
        sales,
        differences,
    };
    if watermark.lsn > durable {
        let ahead =
            format!("its watermark, {watermark}, is ahead of the journal, which ends at {durable}");
        return Ok(whole(0, vec![ahead]));
    }
    let Some((expected, mark)) =
        project(ledger, watermark.lsn, &found).map_err(LedgerError::from)?
    else {
        return Ok(Compared::TooOld(watermark));
    };
    let mut differences = expected.differences(&found, Findings::TOLD_MAX);
    if mark.is_some_and(|mark| mark != watermark.fingerprint) {
        differences.insert(
            0,
            format!("its watermark, {watermark}, is that of another journal's record"),
        );
    }
    Ok(whole(expected.sales.len(), differences))
}

/// What the journal's records up to `until` lead to, and the last one's fingerprint, if the journal still
/// holds it; `None` when it no longer holds what leads there. Archived sales that had expired when `found`
/// was read are left out.
fn project(
    ledger: &Ledger,
    until: Lsn,
    found: &Projection,
) -> Result<Option<(Projection, Option<u32>)>, JournalError> {
    let (mut projection, mut archived) = (Projection::default(), Vec::new());
    let after = match ledger.first {
        Lsn(0 | 1) => Lsn::ZERO,
        _ => ledger.read_snapshot(&mut |entry| {
            archived.extend(EndedSale::from_record(&entry.record));
            projection.apply(&entry);
            Ok(())
        })?,
    };
    archived.retain(|sale| {
        let expires_at = expires_at(sale.closing.at, sale.terms.ended_at);
        found.read_at.is_none_or(|at| expires_at > at.seconds())
    });
    for sale in &archived {
        ledger.read_sale(sale, &mut |entry| {
            projection.apply(&entry);
            Ok(())
        })?;
    }
    if until < after {
        return Ok(None);
    }
    // One record more, because of its fingerprint.
    let before = if after == until {
        Lsn(after.0.saturating_sub(1))
    } else {
        after
    };
    let mut last = None;
    let Some(mut tail) = ledger.tail(before)? else {
        return Ok((after == until).then_some((projection, None)));
    };
    visit(&mut tail, until, &mut |entry| {
        if entry.lsn > after {
            projection.apply(entry);
        }
        last = (entry.lsn == until).then(|| fingerprint(entry));
        Ok(())
    })?;
    Ok(Some((projection, last)))
}

fn say(compared: &Compared, ledger: &Ledger, report: &mut Report<'_>) -> io::Result<()> {
    let (watermark, durable, sales, differences) = match compared {
        Compared::Empty if ledger.at == Lsn::ZERO => {
            return report.say("Redis: empty, as the journal");
        }
        Compared::Empty => {
            return report.unchecked("Redis: it holds nothing that is whole; a server fills it");
        }
        Compared::TooOld(watermark) => {
            return report.unchecked(&format!(
                "Redis: it ends at {watermark}, and the journal no longer holds what leads there"
            ));
        }
        Compared::Whole {
            watermark,
            durable,
            sales,
            differences,
        } => (watermark, durable, sales, differences),
    };
    for difference in differences {
        report.different(&format!("Redis: {difference}"))?;
    }
    if differences.is_empty() {
        report.say(&format!(
            "Redis: {sales} sales as the journal has them up to its watermark, {watermark}; what \
             expired there is not missed"
        ))?;
    }
    report.lag(
        "Redis",
        durable.0.saturating_sub(watermark.lsn.0),
        ledger.server().is_some(),
    )
}
