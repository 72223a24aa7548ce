//! Whether what Redis holds adds up. A batch leaves every sale with the same number of sold units in the
//! sale's hash, in its items, in its buyers, and in the watermark; a Redis that came back from a damaged
//! log, or that somebody has written to, may have lost that.

use std::collections::{BTreeMap, VecDeque};

use super::failure;
use super::keys::{SALES, SUM_PREFIX, SaleKeys, WATERMARK};
use super::link::Link;
use super::script::ScriptCall;
use super::sink::RedisSink;
use super::wire::SaleKind;
use crate::limits::{REDIS_AUDITED_SALES_MAX, REDIS_READ_MAX, REDIS_SUMMED_HASHES_MAX};
use crate::reconcile::{Sink, SinkError, Watermark};
use crate::types::SaleId;

/// What Redis says of one sale, in units.
#[derive(Debug, Default)]
struct Sums {
    /// In the watermark; `None` where a version wrote it that did not count.
    recorded: Option<u64>,
    sold: u64,
    remaining: u64,
    total: u64,
    kind: Option<SaleKind>,
    /// Bits that are set: items of a generated catalogue that cannot be had.
    bits: u64,
    /// Those of them that nobody has: they were cancelled, and left the stock.
    withdrawn: u64,
    /// Left of the items of a listed catalogue.
    left: u64,
    bought: u64,
}

/// A hash whose values are being summed up.
struct Scan {
    sale: usize,
    key: String,
    is_bought: bool,
    cursor: String,
}

impl Sums {
    /// What does not add up, in words; `None` where everything does.
    fn fault(&self) -> Option<String> {
        let Self {
            recorded,
            sold,
            remaining,
            total,
            bought,
            ..
        } = *self;
        let by_items = match self.kind {
            Some(SaleKind::Generated) => self.bits.saturating_sub(self.withdrawn),
            Some(SaleKind::Listed) => total.saturating_sub(self.left),
            None => return Some("its hash is missing or malformed".into()),
        };
        let Some(recorded) = recorded else {
            return Some("the watermark does not say how much of it was sold".into());
        };
        let adds_up = [recorded, by_items, bought, total.saturating_sub(remaining)];
        adds_up.iter().any(|&units| units != sold).then(|| {
            format!(
                "{sold} of {total} units are sold and {remaining} remain, but the watermark has {recorded} \
                 sold units, the items {by_items}, and the buyers {bought}"
            )
        })
    }
}

impl RedisSink {
    /// Checks the sums of all sales of a projection at `found`; `found` again where they are right.
    /// Otherwise marks the projection, so that nobody trusts it, and returns [`Watermark::ZERO`].
    pub(super) async fn check_sums(&mut self, found: Watermark) -> Result<Watermark, SinkError> {
        if found == Watermark::ZERO {
            return Ok(found);
        }
        let address = self.address();
        let link = self.link()?;
        let Some((sale, fault)) = find_fault(link).await? else {
            return Ok(found);
        };
        let now = link.state().await?.trusted();
        if now != found {
            // Somebody else has written meanwhile, and what was read is of two moments.
            return Ok(now);
        }
        tracing::error!(
            address,
            sale = sale.0,
            "Redis does not hold what it held at {found}: of sale {sale} {fault}. It is filled again"
        );
        let mut mark = redis::cmd("HSET");
        mark.arg(WATERMARK).arg("writing").arg("sums");
        link.run::<()>(&mark).await?;
        Ok(Watermark::ZERO)
    }
}

/// The first sale whose sums are wrong, with what is wrong.
async fn find_fault(link: &mut Link) -> Result<Option<(SaleId, String)>, SinkError> {
    let mut list = redis::cmd("ZRANGE");
    list.arg(SALES).arg(0).arg(-1);
    let sales: Vec<u32> = link.run(&list).await?;
    let recorded = read_recorded(link).await?;
    let mut unlisted = recorded.keys().filter(|sale| !sales.contains(sale));
    if let Some(&sale) = unlisted.next() {
        return Ok(Some((
            SaleId(sale),
            "the list of sales knows nothing".into(),
        )));
    }
    for sales in sales.chunks(REDIS_AUDITED_SALES_MAX) {
        let mut sums = read_totals(link, sales, &recorded).await?;
        add_hashes(link, sales, &mut sums).await?;
        for (&sale, sums) in sales.iter().zip(&sums) {
            let (sale, fault) = (SaleId(sale), sums.fault());
            if let Some(fault) = fault
                && !has_expired(link, sale).await?
            {
                return Ok(Some((sale, fault)));
            }
        }
    }
    Ok(None)
}

/// The sold units of every sale, as the watermark has them.
async fn read_recorded(link: &mut Link) -> Result<BTreeMap<u32, u64>, SinkError> {
    let mut command = redis::cmd("HGETALL");
    command.arg(WATERMARK);
    let fields: Vec<(String, String)> = link.run(&command).await?;
    let recorded = fields.iter().filter_map(|(name, units)| {
        let sale = name.strip_prefix(SUM_PREFIX)?;
        Some((sale.parse().ok()?, units.parse().ok()?))
    });
    Ok(recorded.collect())
}

/// What one command has to be asked for.
async fn read_totals(
    link: &mut Link,
    sales: &[u32],
    recorded: &BTreeMap<u32, u64>,
) -> Result<Vec<Sums>, SinkError> {
    let mut pipe = redis::pipe();
    for &sale in sales {
        let keys = SaleKeys::of(SaleId(sale));
        let fields = ["kind", "sold", "remaining", "total", "withdrawn"];
        pipe.cmd("HMGET").arg(keys.terms).arg(&fields);
        pipe.cmd("BITCOUNT").arg(keys.sold_items);
    }
    let answers: Vec<redis::Value> = link.run_all(&pipe).await?;
    let mut all = Vec::with_capacity(sales.len());
    for (sale, answers) in sales.iter().zip(answers.chunks(2)) {
        let answers = redis::Value::Array(answers.to_vec());
        let (fields, bits): ([Option<String>; 5], u64) =
            redis::from_redis_value(answers).map_err(|error| failure::of(&error.into()))?;
        let number = |place: usize| fields[place].as_ref()?.parse().ok();
        all.push(Sums {
            recorded: recorded.get(sale).copied(),
            sold: number(1).unwrap_or(0),
            remaining: number(2).unwrap_or(0),
            total: number(3).unwrap_or(0),
            withdrawn: number(4).unwrap_or(0),
            kind: fields[0].as_deref().and_then(SaleKind::parse),
            bits,
            ..Sums::default()
        });
    }
    Ok(all)
}

/// Adds what many fields have to be read for, some of them with each call.
async fn add_hashes(link: &mut Link, sales: &[u32], sums: &mut [Sums]) -> Result<(), SinkError> {
    let mut scans: VecDeque<Scan> = VecDeque::new();
    for (place, &sale) in sales.iter().enumerate() {
        let keys = SaleKeys::of(SaleId(sale));
        let mut add = |key, is_bought| {
            scans.push_back(Scan {
                sale: place,
                key,
                is_bought,
                cursor: "0".into(),
            });
        };
        add(keys.bought, true);
        if sums[place].kind == Some(SaleKind::Listed) {
            add(keys.remaining, false);
        }
    }
    while !scans.is_empty() {
        let some: Vec<Scan> = scans
            .drain(..scans.len().min(REDIS_SUMMED_HASHES_MAX))
            .collect();
        let write = |command: &mut redis::Cmd| {
            command.arg(some.len());
            for scan in &some {
                command.arg(&scan.key);
            }
            command.arg(REDIS_READ_MAX / REDIS_SUMMED_HASHES_MAX);
            for scan in &some {
                command.arg(&scan.cursor);
            }
        };
        let answer = link.call(ScriptCall::Sum, &write).await?;
        for (mut scan, words) in some.into_iter().zip(answer[1..].chunks(2)) {
            let [next, units] = words else { break };
            let sums = &mut sums[scan.sale];
            let sum = if scan.is_bought {
                &mut sums.bought
            } else {
                &mut sums.left
            };
            *sum += units.parse::<u64>().unwrap_or(0);
            if next != "0" {
                scan.cursor.clone_from(next);
                scans.push_back(scan);
            }
        }
    }
    Ok(())
}

/// Whether the keys of a sale are gone, as they are a week after it was closed.
async fn has_expired(link: &mut Link, sale: SaleId) -> Result<bool, SinkError> {
    let mut score = redis::cmd("ZSCORE");
    score.arg(SALES).arg(sale.0);
    let expires_at: Option<f64> = link.run(&score).await?;
    let (seconds, _): (i64, i64) = link.run(&redis::cmd("TIME")).await?;
    Ok(expires_at.is_none_or(|at| at <= seconds as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_differ_anywhere_are_a_fault() {
        let right = || Sums {
            recorded: Some(3),
            sold: 3,
            remaining: 7,
            total: 10,
            kind: Some(SaleKind::Listed),
            withdrawn: 0,
            bits: 0,
            left: 7,
            bought: 3,
        };
        assert_eq!(right().fault(), None);
        let generated = Sums {
            kind: Some(SaleKind::Generated),
            bits: 3,
            left: 0,
            ..right()
        };
        assert_eq!(generated.fault(), None);
        let wrong: [fn(&mut Sums); 8] = [
            |sums| sums.recorded = Some(2),
            |sums| sums.recorded = None,
            |sums| sums.sold = 4,
            |sums| sums.remaining = 6,
            |sums| sums.total = 11,
            |sums| sums.kind = None,
            |sums| sums.left = 6,
            |sums| sums.bought = 4,
        ];
        for (number, make_wrong) in wrong.iter().enumerate() {
            let mut sums = right();
            make_wrong(&mut sums);
            assert!(sums.fault().is_some(), "fault {number}");
        }
    }
}
