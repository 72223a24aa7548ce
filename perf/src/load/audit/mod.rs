//! The audit of a run: whether the books are right, sold = answered = journal, and nobody over the limit.
//!
//! Three parties are compared: what buyers were told, which the generator wrote down; what the server
//! says is sold; and what the journal holds. A purchase whose answer was lost may have happened or not,
//! which gives the comparison its width.

mod ledger;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Serialize;

use flashsale::types::counted;

use super::outcome::Outcome;
use super::receipt::Line;
use ledger::Ledger;

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The equation that must hold.
    pub claim: &'static str,
    /// The equation holds.
    pub holds: bool,
    /// The figures.
    pub figures: String,
}

/// The result of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The comparisons.
    pub checks: Vec<Check>,
    /// The comparisons that could not be made, and why.
    pub left_out: Vec<String>,
}

impl Audit {
    /// Compares what a run was told with the server's own figures, and with the journal in `journal` if
    /// there is one. `exclusive` says that nobody else bought meanwhile.
    #[must_use]
    pub fn of(outcome: &Outcome, exclusive: bool, journal: Option<&Path>) -> Self {
        let mut audit = Self::default();
        audit.check_answers(outcome);
        audit.check_figures(outcome, exclusive);
        match journal {
            None => audit
                .left_out
                .push("the journal: its directory was not given".to_owned()),
            Some(dir) => audit.check_journal(outcome, exclusive, dir),
        }
        audit
    }

    /// Returns whether everything holds that was compared.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    fn check(&mut self, claim: &'static str, holds: bool, figures: String) {
        self.checks.push(Check {
            claim,
            holds,
            figures,
        });
    }

    fn check_answers(&mut self, outcome: &Outcome) {
        let record = &outcome.record;
        let unknown = record.unknown_answers() + record.lost.malformed;
        self.check(
            "every answer is one that the interface describes",
            unknown == 0,
            format!("{} answers, {unknown} unknown", record.answered()),
        );
        let mut sold = HashSet::new();
        let lines = record.receipts.iter().flat_map(|(code, lines)| {
            lines
                .iter()
                .filter(|line| line.sold)
                .map(move |line| (code.sale, line.item))
        });
        let twice = lines.filter(|&line| !sold.insert(line)).count();
        self.check(
            "no item was sold to two buyers",
            twice == 0,
            format!("{} items, {twice} twice", sold.len()),
        );
    }

    fn check_figures(&mut self, outcome: &Outcome, exclusive: bool) {
        let Some((before, after)) = outcome.items_sold else {
            let why = outcome.gone.as_deref();
            let why = why.unwrap_or("the sale was given, not asked for");
            self.left_out.push(format!("the server's figures: {why}"));
            return;
        };
        let answered = outcome.record.receipts.units_sold();
        let unknown = units_unknown(outcome);
        let sold = u64::from(after.saturating_sub(before));
        let holds = sold >= answered && (!exclusive || sold <= answered + unknown);
        let others = if exclusive {
            ""
        } else {
            "; others may have bought"
        };
        self.check(
            "the server's items_sold rose by what was answered",
            holds,
            format!("rose by {sold}, {answered} answered, {unknown} unknown{others}"),
        );
    }

    fn check_journal(&mut self, outcome: &Outcome, exclusive: bool, dir: &Path) {
        let ledger = match Ledger::read(dir, outcome.sale.id, &outcome.plan.prefix) {
            Ok(ledger) => ledger,
            Err(error) => return self.check("the journal can be read", false, error.to_string()),
        };
        if ledger.first.0 > 1 {
            let first = ledger.first;
            let what = format!("the journal: it begins at record {first}, older ones are not kept");
            return self.left_out.push(what);
        }
        self.check_receipts(outcome, &ledger);
        self.check_unanswered(outcome, &ledger);
        self.check_bounds(&ledger);
        if let Some((_, after)) = outcome.items_sold {
            let (sold, after) = (ledger.sold(), u64::from(after));
            let holds = sold == after || (!exclusive && sold > after);
            self.check(
                "the journal sold what the server says",
                holds,
                format!("{sold} in the journal, {after} said"),
            );
        }
    }

    fn check_receipts(&mut self, outcome: &Outcome, ledger: &Ledger) {
        let (mut count, mut missing, mut different) = (0_u64, 0_u64, 0_u64);
        for (code, lines) in outcome.record.receipts.iter() {
            count += 1;
            match ledger.purchases.get(&code.secret) {
                None => missing += 1,
                Some(purchase) => different += u64::from(!same_lines(&purchase.lines, lines)),
            }
        }
        self.check(
            "every purchase that was answered 200 is in the journal, with the same lines",
            missing == 0 && different == 0,
            format!("{count} answered, {missing} missing, {different} different"),
        );
    }

    fn check_unanswered(&mut self, outcome: &Outcome, ledger: &Ledger) {
        let receipts = &outcome.record.receipts;
        let answered: HashSet<u128> = receipts.iter().map(|(code, _)| code.secret).collect();
        let unknown: HashMap<u128, u32> = receipts
            .unknown()
            .iter()
            .map(|(code, units)| (code.secret, *units))
            .collect();
        let sold = ledger
            .purchases
            .iter()
            .filter(|(_, it)| it.ours && it.units_sold() > 0);
        let (mut count, mut lost, mut untold) = (0_u64, 0_u64, 0_u64);
        for (secret, _) in sold {
            count += 1;
            if unknown.contains_key(secret) {
                lost += 1;
            } else if !answered.contains(secret) {
                untold += 1;
            }
        }
        self.check(
            "every purchase in the journal was answered, or its answer was lost on the way",
            untold == 0,
            format!("{count} of this run, {lost} lost, {untold} never answered"),
        );
    }

    fn check_bounds(&mut self, ledger: &Ledger) {
        let (sold, total, oversold) = (ledger.sold(), ledger.total_items, ledger.oversold());
        let holds = oversold == 0 && sold <= u64::from(total) && ledger.used_twice == 0;
        self.check(
            "no more was sold than there is, and no code twice",
            holds,
            format!(
                "{sold} of {total} sold, {} oversold, {} used twice",
                counted(oversold as u64, "item", "items"),
                counted(ledger.used_twice, "code", "codes")
            ),
        );
        let (limit, over, (users, most)) = (ledger.limit, ledger.over_limit(), ledger.users());
        self.check(
            "nobody is over the limit",
            over == 0,
            format!(
                "{}, at most {most} of {limit} units each, {over} over",
                counted(users as u64, "user", "users")
            ),
        );
    }
}

fn units_unknown(outcome: &Outcome) -> u64 {
    let unknown = outcome.record.receipts.unknown().iter();
    unknown.map(|&(_, units)| u64::from(units)).sum()
}

fn same_lines(journal: &[Line], told: &[Line]) -> bool {
    let sorted = |lines: &[Line]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    journal == told || sorted(journal) == sorted(told)
}
