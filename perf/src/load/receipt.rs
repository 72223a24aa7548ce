//! The receipt: units that the generator was told it bought, for the audit.

use flashsale::types::{CheckoutCode, GeneratedItemId};
use memchr::memmem;

use super::answer::string_after;

/// A purchase that was answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its code.
    pub code: CheckoutCode,
    /// Its first line among all lines.
    first: u32,
    /// Returns how many lines it has.
    count: u32,
}

/// A line of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The item's place in the sale.
    pub item: u32,
    /// The line was sold.
    pub sold: bool,
}

/// All receipts of a run.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    purchases: Vec<Receipt>,
    lines: Vec<Line>,
    /// Purchases that were sent and never answered, with the units in them.
    unknown: Vec<(CheckoutCode, u32)>,
}

impl Receipts {
    /// Keeps the receipt in the body of an answered purchase; `false` when it is none.
    pub fn keep(&mut self, code: CheckoutCode, body: &[u8]) -> bool {
        let first = self.lines.len();
        let whole = self.read_lines(code, body);
        let lines = &self.lines[first..];
        let sold = lines.iter().filter(|line| line.sold).count();
        if whole.is_none() || Some(sold) != total_purchased(body) {
            self.lines.truncate(first);
            return false;
        }
        let count = lines.len() as u32;
        let first = first as u32;
        self.purchases.push(Receipt { code, first, count });
        true
    }

    fn read_lines(&mut self, code: CheckoutCode, body: &[u8]) -> Option<()> {
        let mut rest = body;
        while let Some(id) = string_after(rest, b"{\"id\":\"") {
            let end = id.as_ptr().addr() - rest.as_ptr().addr() + id.len();
            let id = GeneratedItemId::parse(std::str::from_utf8(id).ok()?)?;
            rest = &rest[end..];
            rest = &rest[memmem::find(rest, b"\"sold\":")? + 7..];
            let sold = rest.starts_with(b"true");
            if id.sale != code.sale || !sold && !rest.starts_with(b"false") {
                return None;
            }
            let item = id.index.0;
            self.lines.push(Line { item, sold });
        }
        Some(())
    }

    /// Notes a purchase of `units` whose answer was lost.
    pub fn lose(&mut self, code: CheckoutCode, units: u32) {
        self.unknown.push((code, units));
    }

    /// Takes over the receipts of another thread.
    pub(super) fn merge(&mut self, other: Receipts) {
        let offset = self.lines.len() as u32;
        let moved = other.purchases.into_iter().map(|receipt| Receipt {
            first: receipt.first + offset,
            ..receipt
        });
        self.purchases.extend(moved);
        self.lines.extend(other.lines);
        self.unknown.extend(other.unknown);
    }

    /// Each purchase with its lines.
    pub fn iter(&self) -> impl Iterator<Item = (CheckoutCode, &[Line])> {
        self.purchases.iter().map(|receipt| {
            let first = receipt.first as usize;
            let lines = &self.lines[first..first + receipt.count as usize];
            (receipt.code, lines)
        })
    }

    /// Units that were sold according to the answers.
    #[must_use]
    pub fn units_sold(&self) -> u64 {
        self.lines.iter().filter(|line| line.sold).count() as u64
    }

    /// Purchases whose outcome is unknown.
    #[must_use]
    pub fn unknown(&self) -> &[(CheckoutCode, u32)] {
        &self.unknown
    }
}

fn total_purchased(body: &[u8]) -> Option<usize> {
    let name = b"\"total_purchased\":";
    let digits = &body[memmem::find(body, name)? + name.len()..];
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "CHK-3-000102030405060708090a0b0c0d0e0f";

    fn code() -> CheckoutCode {
        CODE.parse().expect("a code")
    }

    #[test]
    fn lines_are_read_and_must_add_up() {
        let mut receipts = Receipts::default();
        let body = br#"{"success":true,"purchased_items":[{"id":"ITM-3-7","name":"a \"sold\":true","sold":true},{"id":"ITM-3-9","name":"b","sold":false}],"total_purchased":1,"failed_count":1}"#;
        assert!(receipts.keep(code(), body));
        let lie = br#"{"success":true,"purchased_items":[{"id":"ITM-3-8","name":"a","sold":true}],"total_purchased":2,"failed_count":0}"#;
        assert!(!receipts.keep(code(), lie), "does not add up");
        let other = br#"{"success":true,"purchased_items":[{"id":"ITM-4-8","name":"a","sold":true}],"total_purchased":1,"failed_count":0}"#;
        assert!(!receipts.keep(code(), other), "another sale");
        assert!(!receipts.keep(code(), b"{}"));
        let all: Vec<_> = receipts.iter().collect();
        let expected = [(7, true), (9, false)].map(|(item, sold)| Line { item, sold });
        assert_eq!(all, [(code(), &expected[..])]);
        assert_eq!(receipts.units_sold(), 1);
    }

    #[test]
    fn receipts_of_threads_are_put_together() {
        let body = |item| {
            format!(
                r#"{{"purchased_items":[{{"id":"ITM-3-{item}","name":"n","sold":true}}],"total_purchased":1,"failed_count":0}}"#
            )
        };
        let (mut one, mut two) = (Receipts::default(), Receipts::default());
        assert!(one.keep(code(), body(1).as_bytes()) && two.keep(code(), body(2).as_bytes()));
        two.lose(code(), 4);
        one.merge(two);
        let items: Vec<_> = one.iter().map(|(_, lines)| lines[0].item).collect();
        assert_eq!((items, one.unknown()), (vec![1, 2], &[(code(), 4)][..]));
    }
}
