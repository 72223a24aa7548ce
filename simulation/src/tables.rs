//! A projection of the journal: rows, as a database has them.

use std::collections::BTreeMap;

use flashsale::record::{Record, ReleasedLine};
use flashsale::types::{PurchasedLine, SaleId};

/// The rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// By sale: whether it is closed, and the units sold.
    pub sales: BTreeMap<SaleId, (bool, i64)>,
    /// By sale and secret of the checkout: the user and what became of each line.
    pub purchases: BTreeMap<(SaleId, u128), (String, Vec<PurchasedLine>)>,
    /// By sale, secret of the checkout and reference: what was cancelled, and whether it can be had again.
    pub cancellations: BTreeMap<(SaleId, u128, String), (Vec<ReleasedLine>, bool)>,
}

impl Tables {
    /// Applies a record.
    ///
    /// # Errors
    /// It contradicts what is there: it was applied before, or one before it was not.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), String> {
        match *record {
            Record::SaleCreated { sale, .. } => {
                let before = self.sales.insert(sale, (false, 0));
                before.map_or(Ok(()), |_| Err(format!("sale {sale} was created twice")))?;
            }
            Record::SaleClosed { sale } => {
                let row = self.sales.get_mut(&sale);
                let (closed, _) = row.ok_or_else(|| format!("sale {sale} is unknown"))?;
                if std::mem::replace(closed, true) {
                    return Err(format!("sale {sale} was closed twice"));
                }
            }
            Record::Purchase {
                sale,
                secret,
                user,
                lines,
                ..
            } => {
                let lines: Vec<_> = lines.iter().collect();
                let sold: i64 = lines
                    .iter()
                    .filter(|line| line.sold)
                    .map(|line| i64::from(line.quantity))
                    .sum();
                let row = self.sales.get_mut(&sale);
                row.ok_or_else(|| format!("sale {sale} is unknown"))?.1 += sold;
                let purchase = (user.to_owned(), lines);
                if self.purchases.insert((sale, secret), purchase).is_some() {
                    return Err(format!("a checkout of sale {sale} was processed twice"));
                }
            }
            Record::Cancelled {
                sale,
                secret,
                reference,
                lines,
                restock,
                ..
            } => {
                let lines: Vec<_> = lines.iter().collect();
                let units: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
                let row = self.sales.get_mut(&sale);
                row.ok_or_else(|| format!("sale {sale} is unknown"))?.1 -= units;
                let key = (sale, secret, reference.to_owned());
                if self.cancellations.insert(key, (lines, restock)).is_some() {
                    return Err(format!("a purchase of sale {sale} was cancelled twice"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
