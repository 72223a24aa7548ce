//! The records of the journal, one by one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::soak::auditor::Audited;

/// The records of one sale.
struct Page {
    from: Timestamp,
    until: Timestamp,
    closed: bool,
    /// Who has bought each item.
    sold: BTreeMap<String, String>,
    /// How often each user has put each item into a checkout.
    chosen: BTreeMap<(String, String), u32>,
    /// How often a hold of each user has run out.
    expired: BTreeMap<String, usize>,
}

/// All sales of a journal, as `flashsale journal inspect --records` lists them.
#[derive(Default)]
pub struct Book {
    pages: BTreeMap<u32, Page>,
    last_lsn: u64,
}

impl Book {
    /// Reads the listing. Panics at a record that may not be where it is.
    pub fn read(listing: &str) -> Self {
        let mut book = Self::default();
        for line in listing.lines() {
            let mut words = line.splitn(3, ' ');
            let lsn = words.next().and_then(|word| word.parse().ok());
            let at = words.next().and_then(|word| word.parse().ok());
            if let (Some(lsn), Some(at), Some(what)) = (lsn, at, words.next()) {
                book.read_record(lsn, at, what, line);
            }
        }
        book
    }

    fn read_record(&mut self, lsn: u64, at: Timestamp, what: &str, line: &str) {
        assert_eq!(lsn, self.last_lsn + 1, "{line}");
        self.last_lsn = lsn;
        let what = what.strip_prefix("sale ").expect("a record of a sale");
        let number = what.split([' ', ':']).next().expect("a word");
        let what = what[number.len()..].trim_start_matches(':').trim_start();
        let number = number.parse().expect("a number");
        if let Some((_, times)) = what.split_once(" items, ") {
            let (from, until) = times.split_once(" to ").expect("two times");
            let page = Page::new(
                from.parse().expect("a time"),
                until.parse().expect("a time"),
            );
            let before = self.pages.values().next_back();
            assert!(
                before.is_none_or(|before| before.until <= page.from),
                "{line}"
            );
            assert!(self.pages.insert(number, page).is_none(), "{line}");
            return;
        }
        let page = self.pages.get_mut(&number).expect(line);
        assert!(!page.closed, "after the end: {line}");
        if what == "closed" {
            assert!(at >= page.until, "{line}");
            page.closed = true;
        } else if let Some(user) = what.strip_prefix("the hold of ") {
            let user = quoted(user).0;
            *page.expired.entry(user.to_owned()).or_default() += 1;
        } else {
            assert!(page.from <= at && at < page.until, "{line}");
            page.read_deed(number, what, line);
        }
    }

    /// Whether all these sales are closed.
    pub fn has_closed(&self, audited: &[Audited]) -> bool {
        let page = |sale: &Audited| self.pages.get(&sale.shown.sale);
        audited
            .iter()
            .all(|sale| page(sale).is_some_and(|page| page.closed))
    }

    /// Compares with what buyers were told.
    pub fn compare(&self, audited: &[Audited]) {
        for sale in audited {
            let number = sale.shown.sale;
            let page = self.pages.get(&number).expect("a sale that was shown");
            let times = (sale.shown.started_at, sale.shown.ended_at);
            assert_eq!((page.from, page.until), times, "sale {number}");
            assert!(page.closed, "sale {number} is not closed");
            assert_eq!(page.sold, sale.sold, "sale {number}");
            for (choice, count) in &sale.chosen {
                let written = page.chosen.get(choice).copied().unwrap_or(0);
                assert!(*count <= written, "sale {number}: {choice:?} is lost");
            }
            for user in &sale.expired {
                let told = sale.expired.iter().filter(|other| *other == user).count();
                let written = page.expired.get(user).copied().unwrap_or(0);
                assert!(
                    told <= written,
                    "sale {number}: an expiry of {user} is lost"
                );
            }
        }
    }

    pub fn expired(&self) -> usize {
        let pages = self.pages.values();
        pages.flat_map(|page| page.expired.values()).sum()
    }
}

impl Page {
    fn new(from: Timestamp, until: Timestamp) -> Self {
        Self {
            from,
            until,
            closed: false,
            sold: BTreeMap::new(),
            chosen: BTreeMap::new(),
            expired: BTreeMap::new(),
        }
    }

    fn read_deed(&mut self, number: u32, what: &str, line: &str) {
        let (user, deed) = quoted(what);
        let item = |index: &str| format!("ITM-{number}-{index}");
        if let Some(chosen) = deed.strip_prefix("chooses 1 of item ") {
            let choice = (user.to_owned(), item(chosen));
            *self.chosen.entry(choice).or_default() += 1;
            return;
        }
        let bought = deed.strip_prefix("purchases ").expect(line);
        for part in bought.split_inclusive(')') {
            let part = part.trim_start().strip_prefix("1 of item ").expect(line);
            let (index, sold) = part.split_once(' ').expect(line);
            if sold == "(sold)" {
                let owner = self.sold.insert(item(index), user.to_owned());
                assert_eq!(owner, None, "sold twice: {line}");
            } else {
                assert_eq!(sold, "(gone)", "{line}");
            }
        }
    }
}

/// Splits `text`, which begins with a quoted part, into that part and the rest.
fn quoted(text: &str) -> (&str, &str) {
    let text = text.strip_prefix('"').expect("a quote");
    let (inside, rest) = text.split_once('"').expect("its end");
    (inside, rest.trim_start())
}
