//! A buyer who holds every answer against the sale's times.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::client::Answer;
use crate::history::Event;
use crate::soak::link::{Link, Shown};
use crate::soak::random::Random;
use crate::soak::run::{Plan, STOCK};

/// Users of each sale; several buyers are the same user.
const USERS: u64 = 60;
/// Buyers are patient in some sales, in which something is left at the end, and rush in others.
const PACES: u64 = 8;
const PACE_MS: u64 = 4;

/// All that a buyer has seen of a sale.
pub struct Report {
    pub shopper: usize,
    pub sale: u32,
    pub events: Vec<Event>,
    /// Codes that were said to have expired.
    pub expired: Vec<String>,
}

/// A buyer.
pub struct Shopper<'a> {
    number: usize,
    plan: Plan,
    link: Link<'a>,
    reports: Sender<Report>,
    random: Random,
    events: Vec<Event>,
    expired: Vec<String>,
    /// Codes that were not purchased, of the sale that is visited.
    abandoned: Vec<String>,
}

impl<'a> Shopper<'a> {
    pub fn new(number: usize, plan: Plan, link: Link<'a>, reports: Sender<Report>) -> Self {
        Self {
            number,
            plan,
            link,
            reports,
            random: Random::new(),
            events: Vec::new(),
            expired: Vec::new(),
            abandoned: Vec::new(),
        }
    }

    /// Buys in one sale after the other.
    pub fn run(mut self) {
        while !self.link.shared.is_stopped() {
            match self.link.active_sale() {
                Some(sale) => self.visit(&sale),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn visit(&mut self, sale: &Shown) {
        assert!(sale.active && sale.started_at < sale.ended_at, "{sale:?}");
        while Timestamp::now() < sale.ended_at && !self.link.shared.is_stopped() {
            // An error means that the server was killed, and was noted with the request.
            let _ = self.session(sale);
            let pace = u64::from(sale.sale) * 5 % PACES * PACE_MS;
            thread::sleep(Duration::from_millis(self.random.below(2 * pace + 1)));
        }
        if Timestamp::now() >= sale.ended_at {
            let _ = self.come_late(sale);
        }
        self.abandoned.clear();
        let report = Report {
            shopper: self.number,
            sale: sale.sale,
            events: std::mem::take(&mut self.events),
            expired: std::mem::take(&mut self.expired),
        };
        self.reports.send(report).expect("somebody takes it");
    }

    fn session(&mut self, sale: &Shown) -> io::Result<()> {
        match self.random.below(12) {
            0 => self.remember(),
            1 => self.come_early(sale),
            2 => match self.abandoned.pop() {
                Some(code) => self.buy(sale, code),
                None => Ok(()),
            },
            _ => self.shop(sale),
        }
    }

    /// Chooses one to three items, and mostly purchases them.
    fn shop(&mut self, sale: &Shown) -> io::Result<()> {
        let user = format!("user-{}", self.random.below(USERS));
        let mut code = None;
        for _ in 0..1 + self.random.below(3) {
            code = self.choose(sale, &user)?.or(code);
        }
        match code {
            Some(code) if self.random.one_in(6) => self.abandoned.push(code),
            Some(code) => self.buy(sale, code)?,
            None => {}
        }
        Ok(())
    }

    fn choose(&mut self, sale: &Shown, user: &str) -> io::Result<Option<String>> {
        // Now and then one that there is not.
        let item = format!("ITM-{}-{}", sale.sale, self.random.below(STOCK + 1));
        let target = format!("/checkout?user_id={user}&id={item}");
        let sent = Timestamp::now();
        let answer = self.link.try_send("POST", &target, None);
        let code = answer.as_ref().ok().and_then(|answer| {
            self.link.shared.count(answer);
            self.accepted(sale, &item, sent, answer)
        });
        if code.is_some() || answer.is_err() {
            let (user, code) = (user.to_owned(), code.clone());
            self.events.push(Event::Chosen { user, item, code });
        }
        answer.map(|_| code)
    }

    /// The code of a checkout that was accepted. Panics at an answer that cannot be right.
    fn accepted(
        &self,
        sale: &Shown,
        item: &str,
        sent: Timestamp,
        answer: &Answer,
    ) -> Option<String> {
        let text = answer.text();
        if answer.status == 200 {
            assert!(sent < sale.ended_at, "{item} after the end: {text}");
            let ends: Timestamp = answer.member("sale_ends_at").parse().expect("a time");
            assert_eq!(ends, sale.ended_at, "{item}: {text}");
            let code = answer.code();
            assert!(code.starts_with(&format!("CHK-{}-", sale.sale)), "{text}");
            return Some(code);
        }
        let can_be = match &*answer.error() {
            "item_sold_out" | "item_already_in_checkout" | "user_limit_exceeded" => {
                sent < sale.ended_at
            }
            "item_held" => sent < sale.ended_at && self.plan.hold_seconds > 0,
            "item_not_found" => item.ends_with(&format!("-{STOCK}")),
            "sale_not_active" => Timestamp::now() >= sale.ended_at,
            _ => false,
        };
        assert!(can_be, "{item} of {sale:?}, asked for at {sent}: {text}");
        None
    }

    /// Purchases, with a key or without one, and now and then once more.
    fn buy(&mut self, sale: &Shown, code: String) -> io::Result<()> {
        let key = self.random.one_in(2).then(new_key);
        self.purchase(sale, &code, key.clone(), true)?;
        if self.random.one_in(6) {
            self.purchase(sale, &code, key, false)?;
        }
        Ok(())
    }

    fn purchase(
        &mut self,
        sale: &Shown,
        code: &str,
        key: Option<String>,
        first: bool,
    ) -> io::Result<()> {
        let sent = Timestamp::now();
        let answer = self.link.try_purchase(code, key.as_deref());
        let code = code.to_owned();
        let Ok(answer) = answer else {
            let answer = None;
            self.events.push(Event::Purchased { code, key, answer });
            return Ok(());
        };
        self.link.shared.count(&answer);
        let text = answer.text();
        match answer.error_if_any().as_deref() {
            Some("checkout_expired") => {
                assert!(self.plan.hold_seconds > 0, "{code}: {text}");
                self.expired.push(code);
                return Ok(());
            }
            Some("sale_not_active") => {
                assert!(Timestamp::now() >= sale.ended_at, "{code} {sale:?}: {text}");
                return Ok(());
            }
            // Another buyer is the same user, and was faster.
            Some("already_processed") => {}
            None | Some("all_items_sold") => {
                assert!(!first || sent < sale.ended_at, "{code} at {sent}: {text}");
            }
            Some(_) => panic!("{code}: {text}"),
        }
        let answer = Some(answer);
        self.events.push(Event::Purchased { code, key, answer });
        Ok(())
    }

    /// Wants something of the sale that comes next, which nobody may have yet.
    fn come_early(&mut self, sale: &Shown) -> io::Result<()> {
        let item = format!("ITM-{}-{}", sale.sale + 1, self.random.below(STOCK));
        let target = format!("/checkout?user_id=early&id={item}");
        let answer = self.link.try_send("POST", &target, None)?;
        self.link.shared.count(&answer);
        let may_have_begun = Timestamp::now() >= sale.ended_at;
        let is_refused = answer.status != 200
            && ["sale_not_active", "item_not_found"].contains(&&*answer.error());
        assert!(is_refused || may_have_begun, "{item}: {}", answer.text());
        Ok(())
    }

    /// Wants something of a sale that is over.
    fn come_late(&mut self, sale: &Shown) -> io::Result<()> {
        self.choose(sale, "late")?;
        for code in std::mem::take(&mut self.abandoned) {
            self.purchase(sale, &code, None, true)?;
        }
        Ok(())
    }

    /// Asks again what became of a code of an ended sale.
    fn remember(&mut self) -> io::Result<()> {
        let settled = self.link.shared.settled.lock().expect("no panic");
        let Some(one) = self.random.pick(&settled).cloned() else {
            return Ok(());
        };
        drop(settled);
        let answer = self.link.try_purchase(&one.code, None)?;
        assert_eq!((answer.status, answer.text()), as_text(&one.without_key));
        let answer = self.link.try_purchase(&one.code, one.key.as_deref())?;
        assert_eq!((answer.status, answer.text()), as_text(&one.with_key));
        Ok(())
    }
}

fn as_text(answer: &(u16, String)) -> (u16, &str) {
    (answer.0, &answer.1)
}

fn new_key() -> String {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed))
}
