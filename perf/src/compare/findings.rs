//! What the turns of a row say: ratios of each side to the one beside it, and whether the bars are met.

use serde::{Serialize, Serializer};

use super::case::{Bar, Case, Side};
use super::round::Round;
use super::statistics::Spread;
use super::turn::Turn;

/// A ratio over all rounds, and its bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Of each round, to the turn beside it in the same round.
    pub spread: Spread,
    /// What the median has to be.
    #[serde(serialize_with = "shown")]
    pub bar: Bar,
    /// Whether it is; `None` where nothing is asked of it.
    pub is_met: Option<bool>,
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
    /// CPU time per request.
    pub cpu: Option<Ratio>,
    /// Requests a second.
    pub rate: Ratio,
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

/// Every side that is compared with another.
#[must_use]
pub fn findings(case: &Case, sides: &[Side], rounds: &[Round]) -> Vec<Finding> {
    let compared = sides.iter().enumerate();
    compared
        .filter_map(|(place, side)| {
            let beside = side.beside?;
            finding(case, (sides, rounds), place, beside)
        })
        .collect()
}

fn finding(
    case: &Case,
    (sides, rounds): (&[Side], &[Round]),
    place: usize,
    beside: usize,
) -> Option<Finding> {
    let ratio = |bar, of: &dyn Fn(&Round, &Turn, &Turn) -> Option<f64>| {
        let figures = rounds.iter().filter_map(|round| {
            let figure = of(round, &round.turns[place], &round.turns[beside])?;
            figure.is_finite().then_some(figure)
        });
        // What is only there for comparison is held to nothing.
        let bar = if sides[place].contestant.is_server() {
            bar
        } else {
            Bar::default()
        };
        Spread::of(figures).map(|spread| Ratio {
            spread,
            bar,
            is_met: bar.is_met(spread.median),
        })
    };
    let turns = rounds
        .iter()
        .flat_map(|round| [&round.turns[place], &round.turns[beside]]);
    Some(Finding {
        case: case.name,
        title: case.title,
        connections: sides[place].connections,
        label: sides[place].label.clone(),
        beside: sides[beside].label.clone(),
        cpu: ratio(case.bars.cpu, &|_, mine, theirs| {
            Some(mine.cpu_us_per_request? / theirs.cpu_us_per_request?)
        }),
        rate: ratio(case.bars.rate, &|_, mine, theirs| {
            Some(mine.requests_per_second / theirs.requests_per_second)
        })?,
        tail: ratio(case.bars.tail, &|round, mine, theirs| {
            let bound = 2.0 * theirs.latency_us.p999 + round.disk_us.p50;
            case.has_tail().then_some(mine.latency_us.p999 / bound)
        }),
        unexpected: turns.clone().map(|turn| turn.unexpected).sum(),
        invalid: turns.filter(|turn| !turn.invalid.is_empty()).count(),
    })
}

fn shown<S: Serializer>(bar: &Bar, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(bar)
}
