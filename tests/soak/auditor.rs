//! Looks at every sale once it is over: is it what its buyers were told?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::Receiver;

use jiff::Timestamp;

use crate::client::Answer;
use crate::history::{Event, History};
use crate::server::wait_for;
use crate::soak::link::{Link, Shown};
use crate::soak::random::Random;
use crate::soak::run::{BUYERS, Plan, STOCK, UNITS_PER_USER_MAX};
use crate::soak::shared::Settled;
use crate::soak::shopper::Report;

/// Codes of each sale that are asked about again and again.
const SETTLED_PER_SALE: usize = 4;

/// A sale that is over, as answers alone describe it.
pub struct Audited {
    pub shown: Shown,
    /// Who has bought each item.
    pub sold: BTreeMap<String, String>,
    /// How often each user was told that an item is in their checkout.
    pub chosen: BTreeMap<(String, String), u32>,
    /// Whose holds were said to have run out.
    pub expired: Vec<String>,
}

/// Who looks.
pub struct Auditor<'a> {
    plan: Plan,
    link: Link<'a>,
    random: Random,
    /// What was seen of sales that are not audited yet.
    seen: BTreeMap<u32, Vec<Report>>,
    /// The last sale that each buyer has left.
    left: HashMap<usize, u32>,
    audited: Vec<Audited>,
}

impl<'a> Auditor<'a> {
    pub fn new(plan: Plan, link: Link<'a>) -> Self {
        Self {
            plan,
            link,
            random: Random::new(),
            seen: BTreeMap::new(),
            left: HashMap::new(),
            audited: Vec::new(),
        }
    }

    /// Audits every sale that buyers visited, and those in between, until there are no buyers any more.
    pub fn run(mut self, reports: Receiver<Report>) -> Vec<Audited> {
        for report in reports {
            self.left.insert(report.shopper, report.sale);
            self.seen.entry(report.sale).or_default().push(report);
            if self.left.len() == BUYERS {
                let all_left = *self.left.values().min().expect("there are buyers");
                self.audit_until(all_left);
            }
        }
        let last = *self.left.values().max().expect("there were buyers");
        self.audit_until(last);
        self.audited
    }

    fn audit_until(&mut self, last: u32) {
        // They are numbered without a gap, so that one that nobody has visited is found, too.
        let first = u32::try_from(self.audited.len()).expect("a number") + 1;
        for sale in first..=last {
            let reports = self.seen.remove(&sale).unwrap_or_default();
            let audited = self.audit(sale, reports);
            if let Some(before) = self.audited.last() {
                self.follows(&before.shown, &audited.shown);
            }
            self.audited.push(audited);
        }
    }

    /// Without a gap, unless the server was not there to open the sale in between.
    fn follows(&self, before: &Shown, next: &Shown) {
        assert!(before.ended_at <= next.started_at, "{before:?} {next:?}");
        let is_excused = || {
            let shared = self.link.shared;
            shared.was_silent(before.started_at, next.started_at)
        };
        let follows = before.ended_at == next.started_at || is_excused();
        assert!(follows, "a gap between {before:?} and {next:?}");
    }

    fn audit(&mut self, sale: u32, reports: Vec<Report>) -> Audited {
        let shown = wait_for("the end of a sale", || {
            let shown = self.link.sale(sale);
            (!shown.active && shown.ended_at <= Timestamp::now()).then_some(shown)
        });
        let span = shown.ended_at.duration_since(shown.started_at);
        assert_eq!(span.as_secs(), i64::from(self.plan.interval_seconds));
        assert_eq!(shown.total, STOCK);

        let mut history = History::default();
        let (mut events, mut expired) = (Vec::new(), BTreeSet::new());
        for report in reports {
            events.extend(report.events);
            expired.extend(report.expired);
        }
        let chosen = chosen(&events);
        history.add(events);
        let settled = self.ask_again(&mut history, &mut expired);
        history.check(UNITS_PER_USER_MAX);
        let sold = sold(&history);
        self.compare_items(&shown, &sold);
        self.keep(settled);
        let whose = |code: &String| history.baskets[code].user.clone();
        Audited {
            shown: self.link.sale(sale),
            sold,
            chosen,
            expired: expired.iter().map(whose).collect(),
        }
    }

    /// Asks about every code of the sale, which must be what the buyers were told; takes in what they
    /// were not told because the server was killed.
    fn ask_again(&mut self, history: &mut History, expired: &mut BTreeSet<String>) -> Vec<Settled> {
        let mut settled = Vec::new();
        for code in history.codes(|_| true) {
            let answer = self.link.purchase(&code, None);
            let without_key = text_of(&answer);
            match &*answer.error() {
                "already_processed" => {
                    assert!(!expired.contains(&code), "{code}: {}", answer.text());
                    let (code, answer) = (code.clone(), Some(answer));
                    let key = None;
                    history.add(vec![Event::Purchased { code, key, answer }]);
                }
                refusal => {
                    let outcome = &history.baskets[&code].outcome;
                    assert!(outcome.is_none(), "{code}: {refusal} after {outcome:?}");
                    match refusal {
                        "checkout_expired" => drop(expired.insert(code.clone())),
                        "sale_not_active" => assert!(!expired.contains(&code), "{code}"),
                        _ => panic!("{code}: {refusal}"),
                    }
                }
            }
            let outcome = history.baskets[&code].outcome.as_ref();
            let key = outcome.and_then(|outcome| outcome.key.clone());
            let with_key = self.link.purchase(&code, key.as_deref());
            if let Some(outcome) = outcome.filter(|_| key.is_some()) {
                assert!(outcome.is_repeated_by(&with_key), "{code}: {with_key:?}");
            }
            // It may have expired before the sale was over, which is noticed when the sale is closed.
            if !without_key.1.contains("sale_not_active") {
                settled.push(Settled {
                    with_key: text_of(&with_key),
                    code,
                    key,
                    without_key,
                });
            }
        }
        settled
    }

    /// The items that the server shows as sold must be those that buyers were sold.
    fn compare_items(&mut self, shown: &Shown, sold: &BTreeMap<String, String>) {
        let count = u64::try_from(sold.len()).expect("a number");
        assert_eq!(shown.sold, count, "{shown:?}");
        let target = format!("/sales/{}/items?limit=1000", shown.sale);
        // What was held is free soon after the end.
        wait_for("the items that were not sold to be free", || {
            let items = self.link.get(&target).ok().json();
            let items = items.as_array().expect("a list");
            assert_eq!(items.len() as u64, STOCK);
            let gone = items.iter().filter(|item| item["remaining"] == 0);
            let gone: BTreeSet<&str> = gone
                .map(|item| item["id"].as_str().expect("text"))
                .collect();
            let lost = sold.keys().find(|item| !gone.contains(&***item));
            assert_eq!(lost, None, "sold, and free again");
            (gone.len() == sold.len()).then_some(())
        });
    }

    fn keep(&mut self, mut settled: Vec<Settled>) {
        let mut kept = self.link.shared.settled.lock().expect("no panic");
        for _ in 0..SETTLED_PER_SALE.min(settled.len()) {
            let place = self.random.below(settled.len() as u64);
            kept.push(settled.swap_remove(usize::try_from(place).expect("an index")));
        }
    }
}

fn text_of(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text().to_owned())
}

fn chosen(events: &[Event]) -> BTreeMap<(String, String), u32> {
    let mut chosen = BTreeMap::new();
    for event in events {
        if let Event::Chosen {
            user,
            item,
            code: Some(_),
        } = event
        {
            *chosen.entry((user.clone(), item.clone())).or_default() += 1;
        }
    }
    chosen
}

fn sold(history: &History) -> BTreeMap<String, String> {
    let mut sold = BTreeMap::new();
    for basket in history.baskets.values() {
        for item in basket.outcome.iter().flat_map(|outcome| &outcome.sold) {
            sold.insert(item.clone(), basket.user.clone());
        }
    }
    sold
}
