//! The rows of the table: kinds of requests.

use anyhow::{Result, bail};

/// A kind of request, and the conditions under which it is counted.
#[derive(Debug)]
pub struct Row {
    /// The name in the budget, and for `--only`.
    pub name: &'static str,
    /// The title in the table.
    pub title: &'static str,
    /// The server's `JOURNAL_DURABILITY`.
    pub durability: &'static str,
    /// The kind of request that is counted.
    pub request: RequestKind,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// `GET /livez`.
    Livez,
    /// `GET /sales/active`.
    ActiveSale,
    /// A checkout of an item that was sold.
    SoldOut,
    /// A checkout of a free item by a new user.
    Checkout,
    /// The purchase of a checkout.
    Purchase,
}

/// All rows.
#[rustfmt::skip]
pub const ROWS: [Row; 6] = [
    row("livez", "GET /livez", "os", RequestKind::Livez),
    row("active", "GET /sales/active", "os", RequestKind::ActiveSale),
    row("sold-out", "sold-out refusal", "os", RequestKind::SoldOut),
    row("checkout-os", "checkout, durability os", "os", RequestKind::Checkout),
    row("purchase-os", "purchase, durability os", "os", RequestKind::Purchase),
    row("checkout-fsync", "checkout, fsync", "fsync", RequestKind::Checkout),
];

const fn row(
    name: &'static str,
    title: &'static str,
    durability: &'static str,
    request: RequestKind,
) -> Row {
    Row {
        name,
        title,
        durability,
        request,
    }
}

/// Returns the rows whose name contains one of `patterns`; all of them without any.
///
/// # Errors
/// A pattern is in no name; says which names there are.
pub fn select(patterns: &[String]) -> Result<Vec<&'static Row>> {
    let is_in = |row: &Row, pattern: &String| row.name.contains(pattern.as_str());
    for pattern in patterns {
        if !ROWS.iter().any(|row| is_in(row, pattern)) {
            let names = ROWS.map(|row| row.name).join(", ");
            bail!("--only {pattern}: no row has this in its name; there are {names}");
        }
    }
    let is_wanted =
        |row: &&Row| patterns.is_empty() || patterns.iter().any(|pattern| is_in(row, pattern));
    Ok(ROWS.iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_by_a_part_of_their_name() {
        let names = |patterns: &[&str]| -> Result<Vec<_>> {
            let patterns: Vec<_> = patterns.iter().map(|&it| it.to_owned()).collect();
            Ok(select(&patterns)?.iter().map(|row| row.name).collect())
        };
        assert_eq!(names(&[]).expect("all rows").len(), ROWS.len());
        let selected = names(&["-os", "livez"]).expect("there are such rows");
        assert_eq!(selected, ["livez", "checkout-os", "purchase-os"]);
        let error = names(&["sold-ou", "nothing"]).expect_err("there is no such row");
        assert!(error.to_string().contains("there are livez, active"));
    }
}
