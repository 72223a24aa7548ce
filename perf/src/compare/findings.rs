//! Findings of a row's turns: ratios of each side to the one beside it, and whether the bars are met.

use serde::{Serialize, Serializer};

use super::case::{Bar, Bars, Beside, Case};
use super::contestant::Contestant;
use super::round::Round;
use super::sides::Side;
use super::statistics::Spread;
use super::turn::Turn;

/// A ratio over all rounds, and its bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Of each round, to the turn beside it in the same round.
    pub spread: Spread,
    /// The bar of the median.
    #[serde(serialize_with = "shown")]
    pub bar: Bar,
    /// Whether it is; `None` where nothing is asked of it.
    pub is_met: Option<bool>,
}

/// A table of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Beside the usual designs.
    UsualDesigns,
    /// Beside the floor.
    Floor,
    /// Beside bare hyper, or itself.
    BareHyper,
}

impl Table {
    fn of(case: &Case) -> Self {
        match case.beside {
            Beside::UsualDesigns => Self::UsualDesigns,
            Beside::Floor => Self::Floor,
            _ => Self::BareHyper,
        }
    }
}

/// One side beside another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The row's name.
    pub case: &'static str,
    /// The row's title.
    pub title: &'static str,
    /// Connections to both.
    pub connections: usize,
    /// Who.
    pub label: String,
    /// Beside whom.
    pub beside: String,
    /// The table that it is shown in.
    #[serde(skip)]
    pub table: Table,
    /// CPU time per request.
    pub cpu: Option<Ratio>,
    /// Requests a second.
    pub rate: Ratio,
    /// The 99th percentile.
    pub p99: Option<Ratio>,
    /// The 99.9th percentile, as a share of twice that of the other and one `fdatasync` (the probe's
    /// median).
    pub tail: Option<Ratio>,
    /// Answers of both sides, over all rounds, that should not have come.
    pub unexpected: u64,
    /// Turns of both sides that say nothing about the servers.
    pub invalid: usize,
}

impl Finding {
    /// Whether every bar is met, by turns in which all was as it should be.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let ratios = [self.cpu, Some(self.rate), self.tail];
        let met = |ratio: Option<Ratio>| ratio.and_then(|ratio| ratio.is_met) != Some(false);
        self.unexpected == 0 && self.invalid == 0 && ratios.into_iter().all(met)
    }
}

/// Two sides, by their places, and what the first has to be in comparison.
struct Pair {
    place: usize,
    beside: usize,
    bars: Bars,
}

/// Every side that is compared with another.
#[must_use]
pub fn findings(case: &Case, sides: &[Side], rounds: &[Round]) -> Vec<Finding> {
    let pairs = pairs(case, sides).into_iter();
    pairs
        .filter_map(|pair| finding(case, &pair, sides, rounds))
        .collect()
}

/// Returns the pairs of sides to judge: sides that are there only for comparison have no bar, nor has a second build
/// beside the first one.
fn pairs(case: &Case, sides: &[Side]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for (place, side) in sides.iter().enumerate() {
        let is_server = side.contestant.is_server();
        for &beside in &side.beside {
            let bars = match is_server {
                true => case.bars_beside(&sides[beside].contestant),
                false => Bars::NONE,
            };
            pairs.push(Pair {
                place,
                beside,
                bars,
            });
        }
        let is_first_build = |&other: &usize| {
            is_server && sides[other].contestant.is_server() && sides[other].beside == side.beside
        };
        let first_build = (0..place).find(is_first_build);
        let judged = first_build.filter(|_| !side.beside.is_empty());
        pairs.extend(judged.map(|beside| Pair {
            place,
            beside,
            bars: Bars::NONE,
        }));
    }
    pairs
}

fn finding(case: &Case, pair: &Pair, sides: &[Side], rounds: &[Round]) -> Option<Finding> {
    let &Pair {
        place,
        beside,
        bars,
    } = pair;
    let ratio = |bar: Bar, of: &dyn Fn(&Round, &Turn, &Turn) -> Option<f64>| {
        let figures = rounds.iter().filter_map(|round| {
            let figure = of(round, &round.turns[place], &round.turns[beside])?;
            figure.is_finite().then_some(figure)
        });
        Spread::of(figures).map(|spread| Ratio {
            spread,
            bar,
            is_met: bar.is_met(spread.median),
        })
    };
    let has_tail = case.has_tail() && sides[beside].contestant == Contestant::BareHyper;
    let turns = rounds
        .iter()
        .flat_map(|round| [&round.turns[place], &round.turns[beside]]);
    Some(Finding {
        case: case.name,
        title: case.title,
        connections: sides[place].connections,
        label: sides[place].label.clone(),
        beside: sides[beside].label.clone(),
        table: Table::of(case),
        cpu: ratio(bars.cpu, &|_, mine, theirs| {
            Some(mine.cpu_us_per_request? / theirs.cpu_us_per_request?)
        }),
        rate: ratio(bars.rate, &|_, mine, theirs| {
            Some(mine.requests_per_second / theirs.requests_per_second)
        })?,
        p99: ratio(Bars::NONE.cpu, &|_, mine, theirs| {
            Some(mine.latency_us.p99 / theirs.latency_us.p99)
        }),
        tail: ratio(bars.tail, &|round, mine, theirs| {
            let bound = 2.0 * theirs.latency_us.p999 + round.disk_us.p50;
            has_tail.then_some(mine.latency_us.p999 / bound)
        }),
        unexpected: turns.clone().map(|turn| turn.unexpected).sum(),
        invalid: turns.filter(|turn| !turn.invalid.is_empty()).count(),
    })
}

fn shown<S: Serializer>(bar: &Bar, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(bar)
}

#[cfg(test)]
mod tests {
    use super::super::case::select;
    use clap::ValueEnum;

    use super::super::contestant::{Contestants, Guest};
    use super::*;

    #[test]
    fn a_second_build_is_compared_with_the_first_one_too() {
        let contestants = Contestants::new(
            "a".into(),
            Some("b".into()),
            Some("nginx".into()),
            Guest::value_variants(),
        );
        let compared = |name: &str| -> Vec<_> {
            let case = select(&[name.to_owned()]).expect("there is such a row")[0];
            let sides = case.sides(&contestants);
            let shown = |pair: Pair| (pair.place, pair.beside, pair.bars != Bars::NONE);
            pairs(case, &sides).into_iter().map(shown).collect()
        };
        let [a, b, b_beside_a, nginx] = [(1, 0, true), (2, 0, true), (2, 1, false), (3, 0, false)];
        assert_eq!(compared("sold-out"), [a, b, b_beside_a, nginx]);
        assert_eq!(compared("flat-users-new"), [(1, 0, true), (3, 2, true)]);
        let floor = [(1, 0, false), (2, 1, true), (2, 0, true), (3, 1, true)];
        let b = [(3, 0, true), (3, 2, false)];
        assert_eq!(compared("checkout-disk-64"), [&floor[..], &b].concat());
    }
}
