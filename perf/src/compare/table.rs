//! The tables, in Markdown.

use std::fmt::Write;

use super::contestant::Contestant;
use super::findings::{Finding, Ratio};
use super::report::Measured;
use super::round::Round;
use super::statistics::Spread;
use super::turn::{JournalFigures, Turn};

/// What each side is in comparison to the other, and whether the bars are met.
#[must_use]
pub fn ratios<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut table = String::from(
        "| row | connections | who | beside | CPU per request | requests/s | p99.9 ÷ (2 × p99.9 beside + fdatasync p50) | |\n\
         |---|--:|---|---|---|---|---|---|\n",
    );
    for finding in findings {
        let Finding {
            title,
            connections,
            label,
            beside,
            ..
        } = finding;
        let [cpu, rate, tail] = [finding.cpu, Some(finding.rate), finding.tail].map(cell);
        let flaws = flaws(finding);
        let _ = writeln!(
            table,
            "| {title} | {connections} | {label} | {beside} | {cpu} | {rate} | {tail} | {flaws} |"
        );
    }
    table
}

/// Returns the ratios of the servers to each usual design, and of that to the floor and to bare hyper: a line for each
/// pair of them.
#[must_use]
pub fn usual_designs<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut table = String::from(
        "| row | connections | who | beside | CPU per request, all processes | requests/s | p99 | its CPU beside the floor | \
         its requests/s beside the floor | its CPU beside bare hyper | its requests/s beside bare hyper | |\n\
         |---|--:|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let findings: Vec<_> = findings.collect();
    let of = |case, label: &str, beside: &str| {
        let is_it = |it: &&&Finding| it.case == case && it.label == label && it.beside == beside;
        findings.iter().find(is_it)
    };
    for finding in &findings {
        let &&Finding {
            case,
            title,
            connections,
            ref label,
            ref beside,
            ..
        } = finding;
        // These are the columns of another line.
        if [Contestant::Floor.label(), Contestant::BareHyper.label()].contains(&beside.as_str()) {
            continue;
        }
        let mut cells = vec![
            cell(finding.cpu),
            cell(Some(finding.rate)),
            cell(finding.p99),
        ];
        for other in [Contestant::Floor, Contestant::BareHyper] {
            let its = of(case, beside, other.label());
            cells.push(cell(its.and_then(|it| it.cpu)));
            cells.push(cell(its.map(|it| it.rate)));
        }
        let (cells, flaws) = (cells.join(" | "), flaws(finding));
        let _ = writeln!(
            table,
            "| {title} | {connections} | {label} | {beside} | {cells} | {flaws} |"
        );
    }
    table
}

fn cell(ratio: Option<Ratio>) -> String {
    let Some(Ratio {
        spread,
        bar,
        is_met,
    }) = ratio
    else {
        return "–".into();
    };
    match is_met {
        Some(true) => format!("{spread} {bar} ✓"),
        Some(false) => format!("{spread} {bar} ✗"),
        None => spread.to_string(),
    }
}

fn flaws(finding: &Finding) -> String {
    let mut flaws = Vec::new();
    if finding.unexpected > 0 {
        flaws.push(format!("✗ {} unexpected answers", finding.unexpected));
    }
    if finding.invalid > 0 {
        flaws.push(format!("✗ {} invalid turns", finding.invalid));
    }
    flaws.join(", ")
}

/// Medians and extremes of everything that was measured.
#[must_use]
pub fn figures<'a>(measured: impl Iterator<Item = &'a Measured>) -> String {
    let mut table = String::from(
        "| row | who | requests/s | CPU µs/request | p50 µs | p99 µs | p99.9 µs | RSS MiB | records/batch | \
         commit p50 µs | commit p99 µs | fdatasync p50 µs | fdatasync p99 µs | unexpected |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|--:|\n",
    );
    for Measured { case, rounds, .. } in measured {
        for side in 0..rounds.first().map_or(0, |round| round.turns.len()) {
            let _ = writeln!(
                table,
                "| {} | {} |",
                case.name,
                cells(rounds, side).join(" | ")
            );
        }
    }
    table
}

fn cells(rounds: &[Round], side: usize) -> Vec<String> {
    let turns = rounds.iter().map(|round| &round.turns[side]);
    let of = |figure: &dyn Fn(&Turn) -> Option<f64>, digits: usize| {
        shown(turns.clone().filter_map(figure), digits)
    };
    let journal = |figure: &dyn Fn(&JournalFigures) -> f64, digits| {
        of(&|turn| turn.journal.as_ref().map(figure), digits)
    };
    let disk = |figure: &dyn Fn(&Round) -> f64| shown(rounds.iter().map(figure), 0);
    let unexpected: u64 = turns.clone().map(|turn| turn.unexpected).sum();
    vec![
        rounds[0].turns[side].label.clone(),
        of(&|turn| Some(turn.requests_per_second), 0),
        of(&|turn| turn.cpu_us_per_request, 2),
        of(&|turn| Some(turn.latency_us.p50), 0),
        of(&|turn| Some(turn.latency_us.p99), 0),
        of(&|turn| Some(turn.latency_us.p999), 0),
        of(&|turn| Some(turn.resident_mebibytes), 0),
        journal(&|journal| journal.records_per_batch, 1),
        journal(&|journal| journal.commit_us_p50, 0),
        journal(&|journal| journal.commit_us_p99, 0),
        disk(&|round| round.disk_us.p50),
        disk(&|round| round.disk_us.p99),
        unexpected.to_string(),
    ]
}

fn shown(figures: impl Iterator<Item = f64>, digits: usize) -> String {
    Spread::of(figures).map_or_else(|| "–".into(), |spread| format!("{spread:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::super::case::Bar;
    use super::super::findings::Table;
    use super::*;

    fn ratio(figure: f64, bar: Bar) -> Ratio {
        Ratio {
            spread: Spread::of([figure]).expect("a figure"),
            bar,
            is_met: bar.is_met(figure),
        }
    }

    #[test]
    fn a_bar_that_is_missed_and_an_unexpected_answer_stand_out() {
        let at_most = |max| Bar {
            max: Some(max),
            min: None,
        };
        let finding = Finding {
            case: "a-row",
            title: "a row",
            connections: 64,
            label: "flashsale".into(),
            beside: "bare hyper".into(),
            table: Table::BareHyper,
            cpu: Some(ratio(1.3, at_most(1.1))),
            rate: ratio(0.9, Bar::default()),
            p99: None,
            tail: None,
            unexpected: 3,
            invalid: 0,
        };
        let table = ratios(std::iter::once(&finding));
        let row = table.lines().last().expect("a row");
        assert_eq!(
            row,
            "| a row | 64 | flashsale | bare hyper | 1.30 (1.30–1.30) ≤ 1.10 ✗ | 0.90 (0.90–0.90) | – | ✗ 3 unexpected answers |"
        );
        assert!(!finding.is_met());
        let fine = Finding {
            cpu: Some(ratio(1.0, at_most(1.1))),
            unexpected: 0,
            ..finding
        };
        assert!(fine.is_met() && ratios(std::iter::once(&fine)).contains('✓'));
    }
}
