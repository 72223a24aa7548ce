//! Redis, held against the journal.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use super::ledger::{CompareError, Ledger, LedgerError, visit};
use super::report::Report;
use crate::journal::{JournalError, fingerprint};
use crate::reconcile::redis::{Projection, Reading, RedisOptions, expires_at, read};
use crate::reconcile::{Mismatches, Watermark};
use crate::sale::EndedSale;
use crate::types::{Lsn, SaleId, counted};

/// Attempts to read Redis while the snapshots of a running server are ahead of it.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(300);

/// The result of the comparison.
enum CacheComparison {
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
    match compare_with_retry(options, ledger).await {
        Ok(compared) => print(&compared, ledger, report),
        Err(error) => report.broken_off(&format!("Redis at {}", options.address()), &error),
    }
}

/// Looks again where the snapshots of a running server are ahead of Redis for a moment.
async fn compare_with_retry(
    options: &RedisOptions,
    ledger: &mut Ledger,
) -> Result<CacheComparison, CompareError> {
    for _ in 1..ATTEMPTS_MAX {
        let compared = compare_once(options, ledger).await?;
        if !matches!(compared, CacheComparison::TooOld(_)) || ledger.server().is_none() {
            return Ok(compared);
        }
        thread::sleep(PAUSE);
    }
    compare_once(options, ledger).await
}

async fn compare_once(
    options: &RedisOptions,
    ledger: &mut Ledger,
) -> Result<CacheComparison, CompareError> {
    compare_reading(read(options).await?, ledger)
}

/// Compares what was read from a cache, and says what came of it.
///
/// # Errors
/// The output is gone; all else is part of the report.
pub(super) fn compare_read(
    found: Option<Reading>,
    ledger: &mut Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    match compare_reading(found, ledger) {
        Ok(compared) => print(&compared, ledger, report),
        Err(error) => report.broken_off("Redis", &error),
    }
}

fn compare_reading(
    found: Option<Reading>,
    ledger: &mut Ledger,
) -> Result<CacheComparison, CompareError> {
    let Some(found) = found else {
        return Ok(CacheComparison::Empty);
    };
    let watermark = found.last();
    // Asked after the watermark, so that a server that goes on is not taken for one that is behind.
    let durable = ledger.durable()?;
    let whole = |sales, differences| CacheComparison::Whole {
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
    let Some((expected, mark)) = project(ledger, &found).map_err(LedgerError::from)? else {
        return Ok(CacheComparison::TooOld(watermark));
    };
    let mut differences = expected.differences(&found.projection, Mismatches::TOLD_MAX);
    if mark.is_some_and(|mark| mark != watermark.fingerprint) {
        differences.insert(
            0,
            format!("its watermark, {watermark}, is that of another journal's record"),
        );
    }
    Ok(whole(expected.sales.len(), differences))
}

/// Sales as the journal has them, each up to the record at which it was read in Redis.
struct Expected<'a> {
    found: &'a Reading,
    /// The sales that were read at each record.
    at: BTreeMap<Lsn, Vec<SaleId>>,
    sales: Projection,
}

impl<'a> Expected<'a> {
    fn of(found: &'a Reading) -> Self {
        let mut at = BTreeMap::<_, Vec<_>>::from([(found.watermark.lsn, Vec::new())]);
        for (&sale, position) in &found.positions {
            at.entry(position.lsn).or_default().push(sale);
        }
        Self {
            found,
            at,
            sales: Projection::default(),
        }
    }

    /// Keeps what `folded` has now of the sales that were read at `lsn`; those that were not found must have
    /// been there when all were listed.
    fn keep(&mut self, lsn: Lsn, folded: &Projection) {
        let Some(read) = self.at.get(&lsn) else {
            return;
        };
        let was_listed = lsn == self.found.watermark.lsn;
        for (id, sale) in &folded.sales {
            let is_missing = was_listed && !self.found.positions.contains_key(id);
            if is_missing || read.contains(id) {
                self.sales.sales.insert(*id, sale.clone());
            }
        }
    }
}

/// The projection that the journal's records lead to, and the fingerprint of the last record, if the journal has it;
/// `None` when it no longer holds what leads there. Archived sales that had expired when `found` was read are
/// left out.
fn project(
    ledger: &Ledger,
    found: &Reading,
) -> Result<Option<(Projection, Option<u32>)>, JournalError> {
    let (mut folded, mut archived) = (Projection::default(), Vec::new());
    let mut expected = Expected::of(found);
    let until = found.last().lsn;
    let after = match ledger.first {
        Lsn(0 | 1) => Lsn::ZERO,
        _ => ledger.read_snapshot(&mut |entry| {
            archived.extend(EndedSale::from_record(&entry.record()?));
            folded.apply(&entry)?;
            Ok(())
        })?,
    };
    archived.retain(|sale| {
        let expires_at = expires_at(sale.closing.at, sale.terms.ended_at);
        let read_at = found.projection.read_at;
        read_at.is_none_or(|at| expires_at > at.seconds())
    });
    for sale in &archived {
        ledger.read_sale(sale, &mut |entry| {
            folded.apply(&entry)?;
            Ok(())
        })?;
    }
    if expected.at.keys().any(|&lsn| lsn < after) {
        return Ok(None);
    }
    expected.keep(after, &folded);
    // One record more, because of its fingerprint.
    let before = if after == until {
        Lsn(after.0.saturating_sub(1))
    } else {
        after
    };
    let mut last = None;
    let Some(mut tail) = ledger.tail(before)? else {
        return Ok((after == until).then_some((expected.sales, None)));
    };
    visit(&mut tail, until, &mut |entry| {
        if entry.lsn > after {
            folded.apply(entry)?;
            expected.keep(entry.lsn, &folded);
        }
        last = (entry.lsn == until).then(|| fingerprint(entry));
        Ok(())
    })?;
    Ok(Some((expected.sales, last)))
}

fn print(compared: &CacheComparison, ledger: &Ledger, report: &mut Report<'_>) -> io::Result<()> {
    let (watermark, durable, sales, differences) = match compared {
        CacheComparison::Empty if ledger.at == Lsn::ZERO => {
            return report.note("Redis: empty, as the journal");
        }
        CacheComparison::Empty => {
            return report.unchecked("Redis: it holds nothing that is whole; a server fills it");
        }
        CacheComparison::TooOld(watermark) => {
            return report.unchecked(&format!(
                "Redis: it ends at {watermark}, and the journal no longer holds what leads there"
            ));
        }
        CacheComparison::Whole {
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
        report.note(&format!(
            "Redis: {} up to its watermark, {watermark}; what expired there is not missed",
            counted(
                *sales as u64,
                "sale as the journal has it",
                "sales as the journal has them"
            )
        ))?;
    }
    report.lag(
        "Redis",
        durable.0.saturating_sub(watermark.lsn.0),
        ledger.server().is_some(),
    )
}
