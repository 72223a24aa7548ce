//! Cases of a comparison: the rows of the tables, and the bars that they are held to.

use std::fmt;

use anyhow::{Result, bail};

use super::contestant::{AppendFsync, Contestant};
use crate::load::Workload;

/// Where a server's journal lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// On the disk of `--journal-dir`.
    Disk,
    /// In memory.
    Tmpfs,
}

/// The sides of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beside {
    /// The servers beside the usual designs, and those beside the floor and bare hyper.
    UsualDesigns,
    /// The servers beside the floor and bare hyper.
    Floor,
    /// The servers beside bare hyper, each as fast as it can.
    BareHyper,
    /// The server with Postgres and Redis, beside bare hyper; a record counts once both have it.
    BareHyperWithSinks,
    /// The servers beside bare hyper, all at half the rate that the first server can do.
    BareHyperAtHalfRate,
    /// The server that knows many users beside itself with few.
    FewerUsers(u32, u32),
    /// Each with many connections beside itself with few.
    FewerConnections(usize, usize),
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// No less.
    pub min: Option<f64>,
    /// No more.
    pub max: Option<f64>,
}

impl Bar {
    const NONE: Self = Self {
        min: None,
        max: None,
    };

    const fn at_most(max: f64) -> Self {
        Self {
            min: None,
            max: Some(max),
        }
    }

    const fn at_least(min: f64) -> Self {
        Self {
            min: Some(min),
            max: None,
        }
    }

    /// Whether `figure` is as it has to be; `None` where nothing is asked of it.
    #[must_use]
    pub fn is_met(&self, figure: f64) -> Option<bool> {
        let asks = self.min.is_some() || self.max.is_some();
        let met =
            self.min.is_none_or(|min| figure >= min) && self.max.is_none_or(|max| figure <= max);
        asks.then_some(met)
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (None, None) => Ok(()),
            (Some(min), None) => write!(f, "≥ {min:.2}"),
            (None, Some(max)) => write!(f, "≤ {max:.2}"),
            (Some(min), Some(max)) => write!(f, "{min:.2}–{max:.2}"),
        }
    }
}

/// The bars of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bars {
    /// CPU time per request, as a ratio.
    pub cpu: Bar,
    /// Requests a second, as a ratio.
    pub rate: Bar,
    /// The 99.9th percentile, as a share of what it may be.
    pub tail: Bar,
}

impl Bars {
    /// Nothing is asked.
    pub const NONE: Self = bars(Bar::NONE, Bar::NONE, Bar::NONE);
}

const fn bars(cpu: Bar, rate: Bar, tail: Bar) -> Bars {
    Bars { cpu, rate, tail }
}

const fn throughput(cpu_max: f64, rate_min: f64) -> Bars {
    bars(Bar::at_most(cpu_max), Bar::at_least(rate_min), Bar::NONE)
}

const FLAT: Bars = bars(Bar::at_most(1.1), Bar::NONE, Bar::NONE);

/// Returns the bars beside bare hyper, as far as a disk lets.
const fn bars_on_disk(connections: usize) -> Bars {
    match connections {
        ..=64 => throughput(1.60, 0.65),
        _ => throughput(1.45, 0.75),
    }
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// What `--only` looks at.
    pub name: &'static str,
    /// As it is shown.
    pub title: &'static str,
    /// The workload of all sides.
    pub workload: Workload,
    /// Where the journal lies.
    pub medium: Medium,
    /// `JOURNAL_DURABILITY`.
    pub durability: &'static str,
    /// `SALE_HOLD_SECONDS`.
    pub hold_seconds: u32,
    /// Whether everybody wants the same item, of which there are many units.
    pub is_hot: bool,
    /// Connections, where they are not what is compared.
    pub connections: usize,
    /// With what it is compared.
    pub beside: Beside,
    /// The bars of the ratios.
    pub bars: Bars,
}

const fn case(
    name: &'static str,
    title: &'static str,
    workload: Workload,
    (medium, durability, hold_seconds): (Medium, &'static str, u32),
    connections: usize,
    beside: Beside,
    bars: Bars,
) -> Case {
    Case {
        name,
        title,
        workload,
        medium,
        durability,
        hold_seconds,
        is_hot: false,
        connections,
        beside,
        bars,
    }
}

/// Returns a row in which everybody wants the same item.
const fn hot(case: Case) -> Case {
    Case {
        is_hot: true,
        ..case
    }
}

const DISK: (Medium, &str, u32) = (Medium::Disk, "fsync", 0);
const TMPFS: (Medium, &str, u32) = (Medium::Tmpfs, "fsync", 0);
const OS: (Medium, &str, u32) = (Medium::Disk, "os", 0);
/// A checkout holds its item for so long that no hold runs out meanwhile.
const HELD_DISK: (Medium, &str, u32) = (Medium::Disk, "fsync", 600);
const HELD: (Medium, &str, u32) = (Medium::Tmpfs, "fsync", 600);

/// All rows, in the order in which they are measured.
#[rustfmt::skip]
pub const CASES: [Case; 29] = {
    use Beside::{BareHyper, BareHyperAtHalfRate, BareHyperWithSinks, FewerConnections, FewerUsers, Floor, UsualDesigns};
    use Workload::{Active, Buy, Checkout, ManyUsers, Purchase, SoldOut};
    const REFUSED: Bars = throughput(1.08, 0.95);
    const IN_MEMORY: Bars = throughput(1.20, 0.90);
    const FLOOR: Bars = throughput(1.15, 0.90);
    [
        case("usual-checkout-64", "checkout with a hold", Checkout, HELD_DISK, 64, UsualDesigns, Bars::NONE),
        case("usual-checkout-256", "checkout with a hold", Checkout, HELD_DISK, 256, UsualDesigns, Bars::NONE),
        case("usual-buy-64", "checkout with a hold and purchase", Buy, HELD_DISK, 64, UsualDesigns, Bars::NONE),
        case("usual-buy-256", "checkout with a hold and purchase", Buy, HELD_DISK, 256, UsualDesigns, Bars::NONE),
        hot(case("usual-hot-64", "checkout with a hold, one hot item", Checkout, HELD_DISK, 64, UsualDesigns, Bars::NONE)),
        hot(case("usual-hot-256", "checkout with a hold, one hot item", Checkout, HELD_DISK, 256, UsualDesigns, Bars::NONE)),
        case("checkout-disk-64", "checkout, fsync, disk", Checkout, DISK, 64, Floor, FLOOR),
        case("checkout-disk-256", "checkout, fsync, disk", Checkout, DISK, 256, Floor, FLOOR),
        case("purchase-disk-64", "purchase, fsync, disk", Purchase, DISK, 64, Floor, FLOOR),
        case("purchase-disk-256", "purchase, fsync, disk", Purchase, DISK, 256, Floor, FLOOR),
        case("sold-out-64", "sold-out refusal", SoldOut, DISK, 64, BareHyper, REFUSED),
        case("sold-out-256", "sold-out refusal", SoldOut, DISK, 256, BareHyper, REFUSED),
        case("active-64", "GET /sales/active", Active, DISK, 64, BareHyper, REFUSED),
        case("active-256", "GET /sales/active", Active, DISK, 256, BareHyper, REFUSED),
        case("checkout-tmpfs-64", "checkout, fsync, tmpfs", Checkout, TMPFS, 64, BareHyper, IN_MEMORY),
        case("checkout-tmpfs-256", "checkout, fsync, tmpfs", Checkout, TMPFS, 256, BareHyper, IN_MEMORY),
        case("purchase-tmpfs-64", "purchase, fsync, tmpfs", Purchase, TMPFS, 64, BareHyper, IN_MEMORY),
        case("purchase-tmpfs-256", "purchase, fsync, tmpfs", Purchase, TMPFS, 256, BareHyper, IN_MEMORY),
        case("checkout-os-64", "checkout, durability os", Checkout, OS, 64, BareHyper, IN_MEMORY),
        case("checkout-os-256", "checkout, durability os", Checkout, OS, 256, BareHyper, IN_MEMORY),
        case("purchase-os-64", "purchase, durability os", Purchase, OS, 64, BareHyper, IN_MEMORY),
        case("purchase-os-256", "purchase, durability os", Purchase, OS, 256, BareHyper, IN_MEMORY),
        case("sinks-256", "checkout, Postgres and Redis keeping up", Checkout, DISK, 256, BareHyperWithSinks,
            bars(Bar::NONE, Bar::at_least(0.55), Bar::NONE)),
        case("tail-64", "checkout, fsync, disk, at half the maximal rate", Checkout, DISK, 64, BareHyperAtHalfRate,
            bars(Bar::NONE, Bar::NONE, Bar::at_most(1.0))),
        case("flat-users-known", "refusal of known users", ManyUsers, DISK, 64, FewerUsers(1_000, 1_000_000), FLAT),
        case("flat-users-new", "checkout of new users, durability os", Checkout, OS, 64, FewerUsers(1_000, 1_000_000), FLAT),
        case("flat-connections", "sold-out refusal", SoldOut, DISK, 0, FewerConnections(10, 10_000), FLAT),
        case("buy-held-64", "checkout and purchase with holds, fsync, tmpfs", Buy, HELD, 64, BareHyper, IN_MEMORY),
        case("buy-tmpfs-64", "the same without holds", Buy, TMPFS, 64, BareHyper, IN_MEMORY),
    ]
};

/// The rows whose name contains one of `patterns`; all of them without any.
///
/// # Errors
/// A pattern is in no name; says which names there are.
pub fn select(patterns: &[String]) -> Result<Vec<&'static Case>> {
    for pattern in patterns {
        if !CASES
            .iter()
            .any(|case| case.name.contains(pattern.as_str()))
        {
            let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
            bail!(
                "--only {pattern}: no row has this in its name; there are {}",
                names.join(", ")
            );
        }
    }
    let wanted = |case: &&Case| {
        let is_in_name = |pattern: &String| case.name.contains(pattern.as_str());
        patterns.is_empty() || patterns.iter().any(is_in_name)
    };
    Ok(CASES.iter().filter(wanted).collect())
}

impl Case {
    /// Whether it is about the 99.9th percentile.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        self.beside == Beside::BareHyperAtHalfRate
    }

    /// Returns the bars of a server beside `other`.
    #[must_use]
    pub fn bars_beside(&self, other: &Contestant) -> Bars {
        match (self.beside, other) {
            (Beside::UsualDesigns, Contestant::RedisLua(AppendFsync::Always)) => {
                throughput(0.42, if self.connections > 64 { 2.0 } else { 2.2 })
            }
            (Beside::UsualDesigns, Contestant::PostgresRow) => {
                throughput(0.10, if self.is_hot { 20.0 } else { 10.0 })
            }
            (Beside::UsualDesigns, _) => Bars::NONE,
            (Beside::Floor, Contestant::BareHyper) => bars_on_disk(self.connections),
            _ => self.bars,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_by_a_part_of_their_name() {
        let names = |patterns: &[&str]| -> Vec<_> {
            let patterns: Vec<_> = patterns.iter().map(|&it| it.to_owned()).collect();
            let cases = select(&patterns).expect("there are such rows");
            cases.iter().map(|case| case.name).collect()
        };
        assert_eq!(names(&[]).len(), CASES.len());
        assert_eq!(
            names(&["sold", "active-64"]),
            ["sold-out-64", "sold-out-256", "active-64"]
        );
        assert_eq!(names(&["flat"]).len(), 3);
        let error = select(&["sold".into(), "nothing".into()]).expect_err("no such row");
        let text = error.to_string();
        assert!(
            text.contains("nothing") && text.contains("sinks-256"),
            "{text}"
        );
    }

    #[test]
    fn a_bar_is_met_from_its_side() {
        assert_eq!(Bar::at_most(1.1).is_met(1.1), Some(true));
        assert_eq!(Bar::at_most(1.1).is_met(1.2), Some(false));
        assert_eq!(Bar::at_least(0.9).is_met(0.8), Some(false));
        assert_eq!(Bar::NONE.is_met(9.0), None);
        assert_eq!(Bar::at_most(1.1).to_string(), "≤ 1.10");
    }
}
