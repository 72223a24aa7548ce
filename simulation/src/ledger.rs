//! A fold over the journal's records by other code than the server's: slow, and plain enough to be seen to be right.

use std::collections::{BTreeMap, HashMap};

use flashsale::record::{CatalogueKind, Entry, Record, ReleasedLine, SaleChange, SaleTerms};
use flashsale::types::{Lsn, PurchasedLine, SaleId, Timestamp};

/// The state that the records so far have led to.
#[derive(Default)]
pub struct Ledger {
    /// The sales.
    pub sales: BTreeMap<SaleId, Sale>,
    /// The checkouts, by the secret half of their code.
    pub checkouts: BTreeMap<(SaleId, u128), Checkout>,
    /// Items of sales that do not exist yet.
    announced: BTreeMap<SaleId, Vec<Announced>>,
    /// By its id, the sale and the place of each item.
    places: HashMap<String, (SaleId, usize)>,
}

/// The id and the stock of an item, and its limit per user.
type Announced = ((String, u64), Option<u64>);

/// A sale.
pub struct Sale {
    /// The record that created it.
    pub created: Lsn,
    /// Its terms.
    pub terms: SaleTerms,
    /// The id and the stock of each item, as it is now.
    pub items: Vec<(String, u64)>,
    /// The place of the item and the units of each change of a stock, by its reference.
    pub stock_changes: BTreeMap<String, (usize, i64)>,
    /// The least stock that each item had at any time.
    pub least_stock: Vec<u64>,
    /// The least units of each item that were unsold at any time.
    pub least_unsold: Vec<u64>,
    /// Whether each item exists once.
    is_single: Vec<bool>,
    /// The units of each item that one user may buy, where it has a limit of its own.
    pub item_limits: Vec<Option<u64>>,
    /// The units sold of each item.
    pub sold: Vec<u64>,
    pub(crate) held: Vec<u64>,
    /// Its opening is recorded.
    is_opened: bool,
    /// Somebody has chosen something.
    has_checkouts: bool,
    /// It takes no checkouts for now.
    pub is_paused: bool,
    /// The record that closed it, once it is closed.
    pub closing: Option<Lsn>,
    pub(crate) bought: BTreeMap<String, u64>,
    pub(crate) bought_of: BTreeMap<(String, usize), u64>,
    pub(crate) open: BTreeMap<String, u128>,
}

impl Sale {
    /// Returns whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closing.is_some()
    }
}

/// A checkout.
pub struct Checkout {
    /// The user.
    pub user: String,
    /// The place of each item that was ever chosen, and the units of it.
    pub chosen: Vec<(u32, u32)>,
    /// The place of each item that is in it, and the units of it.
    pub lines: Vec<(u32, u32)>,
    /// What was cancelled, by its reference.
    pub cancelled: BTreeMap<String, LedgerCancellation>,
    /// What was given back, in its order.
    pub given_back: Vec<GivenBack>,
    /// Its units are held from the first one on.
    pub holds: bool,
    /// The places of the items that its payment could not reserve, once that has begun.
    pub paying: Option<Vec<u32>>,
    /// Its hold ran out, whatever became of it by a late payment.
    pub has_expired: bool,
    /// How it ended.
    pub end: Option<End>,
}

/// What was cancelled of a checkout.
#[derive(Debug)]
pub struct LedgerCancellation {
    /// The place of each item, and the units of it.
    pub lines: Vec<(u32, u32)>,
    /// They can be had again.
    pub restock: bool,
}

/// What was given back of a checkout.
#[derive(Debug)]
pub struct GivenBack {
    /// The place of the item, and the units of it; `None` for all of the checkout.
    pub line: Option<(u32, u32)>,
    /// What was left.
    pub left: Vec<(u32, u32)>,
}

/// The end of a checkout.
#[derive(Debug)]
pub enum End {
    /// Its hold ran out.
    Expired,
    /// Everything was given back.
    GivenBack,
    /// It was processed, with these lines.
    Processed(Vec<PurchasedLine>),
}

impl Ledger {
    /// Applies a record.
    ///
    /// # Errors
    /// Names the rule that the record breaks.
    pub fn apply(&mut self, entry: &Entry<'_>, record: &Record<'_>) -> Result<(), String> {
        let at = entry.at;
        match *record {
            Record::SaleItems { sale, first, items } => {
                let announced = self.announced.entry(sale).or_default();
                // A creation that was not finished begins again.
                announced.truncate(first.0 as usize);
                check(announced.len() == first.0 as usize, "items are missing")?;
                announced.extend(items.iter().map(|item| {
                    let limit = item.max_per_user.map(|limit| limit.get().into());
                    ((item.id.to_owned(), item.stock), limit)
                }));
                Ok(())
            }
            Record::SaleCreated { sale, terms } => self.create(sale, terms, entry.lsn),
            Record::SaleClosed { sale } => {
                let mut own = self.checkouts.iter().filter(|((of, _), _)| *of == sale);
                let is_paid = own.any(|(_, checkout)| checkout.is_paid());
                let sale = self.sales.get_mut(&sale).ok_or("no such sale")?;
                check(!sale.is_closed(), "a sale is closed twice")?;
                check(
                    at < sale.terms.ended_at || !is_paid,
                    "a sale is closed at its end while payments are under way",
                )?;
                (sale.closing, sale.is_paused) = (Some(entry.lsn), false);
                sale.held.fill(0);
                Ok(())
            }
            Record::Checkout {
                sale,
                secret,
                user,
                item,
                quantity,
                hold_until,
                opens,
                ..
            } => {
                let line = (item.0, quantity);
                self.check_out((sale, secret), user, line, hold_until.is_some(), opens, at)
            }
            Record::PaymentBegun {
                sale,
                secret,
                user,
                lines,
                ..
            } => self.pay((sale, secret), user, lines.iter().collect(), at),
            Record::Purchase {
                sale,
                secret,
                user,
                payment_ref,
                lines,
                ..
            } => {
                let lines = lines.iter().collect();
                self.purchase((sale, secret), user, lines, payment_ref.is_some(), at)
            }
            Record::SaleChanged { sale, change } => self.change(sale, change, at),
            Record::StockChanged {
                sale,
                item,
                units,
                reference,
            } => self.change_stock(sale, item.0 as usize, units, reference, at),
            Record::Cancelled {
                sale,
                secret,
                user,
                reference,
                lines,
                restock,
            } => {
                let lines = lines.iter().map(|line| (line.item.0, line.quantity));
                let lines = lines.collect();
                let cancelled = LedgerCancellation { lines, restock };
                self.cancel((sale, secret), user, reference, cancelled, at)
            }
            Record::Expired {
                sale, secret, user, ..
            } => self.expire((sale, secret), user),
            Record::Released {
                sale,
                secret,
                user,
                line,
            } => self.give_back((sale, secret), user, line, at),
            Record::Refused { .. } => Ok(()),
            Record::SaleArchived { .. } | Record::KeptKey { .. } => {
                Err("a record of snapshots is in the journal".into())
            }
        }
    }

    /// Returns the sale and the place of an item.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<(SaleId, usize)> {
        self.places.get(id).copied()
    }

    fn create(&mut self, id: SaleId, terms: SaleTerms, created: Lsn) -> Result<(), String> {
        let announced: Vec<Announced> = match terms.catalogue {
            CatalogueKind::Explicit { .. } => self.announced.remove(&id).ok_or("no items")?,
            CatalogueKind::Generated { item_count, .. } => {
                let ids = (0..item_count).map(|place| (format!("ITM-{id}-{place}"), 1));
                ids.map(|item| (item, None)).collect()
            }
        };
        let (items, item_limits): (Vec<_>, Vec<_>) = announced.into_iter().unzip();
        let count = items.len();
        check(
            count == terms.catalogue.item_count() as usize,
            "items are missing",
        )?;
        for (place, (item, _)) in items.iter().enumerate() {
            let before = self.places.insert(item.clone(), (id, place));
            check(before.is_none(), "an item is in two sales")?;
        }
        let stocks: Vec<_> = items.iter().map(|(_, stock)| *stock).collect();
        let sale = Sale {
            created,
            terms,
            items,
            stock_changes: BTreeMap::new(),
            is_single: stocks.iter().map(|stock| *stock == 1).collect(),
            least_stock: stocks.clone(),
            least_unsold: stocks,
            item_limits,
            sold: vec![0; count],
            held: vec![0; count],
            is_opened: false,
            has_checkouts: false,
            is_paused: false,
            closing: None,
            bought: BTreeMap::new(),
            bought_of: BTreeMap::new(),
            open: BTreeMap::new(),
        };
        check(
            self.sales.insert(id, sale).is_none(),
            "a sale is created twice",
        )
    }

    fn change(&mut self, id: SaleId, change: SaleChange, at: Timestamp) -> Result<(), String> {
        let sale = self.sales.get_mut(&id).ok_or("no such sale")?;
        check(!sale.is_closed(), "a closed sale is changed")?;
        check(at < sale.terms.ended_at, "a sale is changed behind its end")?;
        match change {
            SaleChange::Opened => {
                check(!sale.is_opened, "a sale opens twice")?;
                check(!sale.has_checkouts, "a sale opens behind a checkout")?;
                check(sale.terms.started_at <= at, "a sale opens before its time")?;
                sale.is_opened = true;
            }
            SaleChange::Paused => {
                check(!sale.is_paused, "a sale is paused twice")?;
                sale.is_paused = true;
            }
            SaleChange::Resumed => {
                check(sale.is_paused, "a sale is resumed that was not paused")?;
                sale.is_paused = false;
            }
            SaleChange::Extended(ended_at) => {
                check(ended_at > sale.terms.ended_at, "a sale is cut short")?;
                sale.terms.ended_at = ended_at;
            }
        }
        Ok(())
    }

    fn change_stock(
        &mut self,
        id: SaleId,
        place: usize,
        units: i64,
        reference: &str,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&id).ok_or("no such sale")?;
        check(!sale.is_closed(), "a stock of a closed sale is changed")?;
        check(
            at < sale.terms.ended_at,
            "a stock is changed behind the end of the sale",
        )?;
        check(place < sale.items.len(), "no such item")?;
        check(
            !sale.is_single[place],
            "what exists once is added or taken out",
        )?;
        let change = (place, units);
        let before = sale.stock_changes.insert(reference.to_owned(), change);
        check(before.is_none(), "a stock is changed twice by a reference")?;
        let (sold, held) = (sale.sold[place], sale.held[place]);
        let (_, stock) = &mut sale.items[place];
        let changed = stock
            .checked_add_signed(units)
            .filter(|it| *it >= sold + held);
        *stock = changed.ok_or("units are taken out that are not free")?;
        sale.least_stock[place] = sale.least_stock[place].min(*stock);
        sale.note_unsold(place);
        Ok(())
    }

    fn check_out(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        (item, quantity): (u32, u32),
        holds: bool,
        opens: bool,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(!sale.is_closed(), "a checkout in a closed sale")?;
        check(!sale.is_paused, "a checkout in a paused sale")?;
        check(
            sale.terms.started_at <= at,
            "a checkout before the sale begins",
        )?;
        check(
            at < sale.terms.ended_at,
            "a checkout behind the end of the sale",
        )?;
        check(quantity >= 1, "a checkout of nothing")?;
        sale.has_checkouts = true;
        check(
            holds == (sale.terms.hold_seconds > 0),
            "a hold where there is none",
        )?;
        let place = item as usize;
        let (_, stock) = *sale.items.get(place).ok_or("no such item")?;
        if opens {
            let is_new = !self.checkouts.contains_key(&code);
            check(is_new, "a code is given twice")?;
            let before = sale.open.insert(user.to_owned(), code.1);
            check(before.is_none(), "a second open checkout of a user")?;
            let checkout = Checkout {
                user: user.to_owned(),
                chosen: Vec::new(),
                lines: Vec::new(),
                cancelled: BTreeMap::new(),
                given_back: Vec::new(),
                holds,
                paying: None,
                has_expired: false,
                end: None,
            };
            self.checkouts.insert(code, checkout);
        }
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(checkout.user == user, "a checkout of somebody else")?;
        check(checkout.end.is_none(), "a checkout that is over")?;
        check(checkout.paying.is_none(), "a checkout that is paid")?;
        let is_new = checkout.lines.iter().all(|(other, _)| *other != item);
        check(is_new, "an item is twice in a checkout")?;
        checkout.chosen.push((item, quantity));
        checkout.lines.push((item, quantity));
        let chosen: u64 = checkout
            .lines
            .iter()
            .map(|(_, units)| u64::from(*units))
            .sum();
        let bought = sale.bought.get(user).copied().unwrap_or(0);
        let limit = u64::from(sale.terms.max_items_per_user);
        check(bought + chosen <= limit, "more than a user may have")?;
        let of_item = (user.to_owned(), place);
        let of_item = sale.bought_of.get(&of_item).copied().unwrap_or(0) + u64::from(quantity);
        check(
            sale.item_limits[place].is_none_or(|limit| of_item <= limit),
            "more of an item than a user may have",
        )?;
        if holds {
            sale.held[place] += u64::from(quantity);
            check(
                sale.sold[place] + sale.held[place] <= stock,
                "more is held than there is",
            )?;
        }
        Ok(())
    }

    fn purchase(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        lines: Vec<PurchasedLine>,
        is_confirmed: bool,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(!sale.is_closed(), "a purchase in a closed sale")?;
        let checkout = self.checkouts.get(&code).ok_or("no such checkout")?;
        let may_be_later = checkout.is_paid() || is_confirmed && sale.terms.payment.seconds > 0;
        check(
            at < sale.terms.ended_at || may_be_later,
            "a purchase behind the end of the sale",
        )?;
        if let (Some(End::Expired), true) = (&checkout.end, is_confirmed) {
            return self.purchase_late(code, user, lines);
        }
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(
            checkout.user == user,
            "a purchase of somebody else's checkout",
        )?;
        check(checkout.end.is_none(), "a checkout ends twice")?;
        let own = lines.iter().map(|line| (line.item.0, line.quantity));
        check(
            own.eq(checkout.lines.iter().copied()),
            "other lines than were chosen",
        )?;
        for line in &lines {
            let place = line.item.0 as usize;
            let units = u64::from(line.quantity);
            let is_reserved = checkout.reserves(line.item.0);
            if is_reserved {
                check(line.sold, "what was held is not sold")?;
                sale.held[place] -= units;
            }
            let (_, stock) = sale.items[place];
            if line.sold {
                check(
                    is_reserved || checkout.paying.is_none(),
                    "what was not reserved is sold",
                )?;
                sale.sold[place] += units;
                *sale.bought.entry(user.to_owned()).or_default() += units;
                *sale.bought_of.entry((user.to_owned(), place)).or_default() += units;
                let taken = sale.sold[place] + sale.held[place];
                check(taken <= stock, "more is sold than there is")?;
                sale.note_unsold(place);
            } else if checkout.paying.is_none() {
                let taken = sale.sold[place] + sale.held[place];
                check(taken + units > stock, "what is free is not sold")?;
            }
        }
        let limit = u64::from(sale.terms.max_items_per_user);
        let bought = sale.bought.get(user).copied().unwrap_or(0);
        check(bought <= limit, "a user has bought more than allowed")?;
        sale.open.remove(user);
        checkout.end = Some(End::Processed(lines));
        Ok(())
    }

    fn cancel(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        reference: &str,
        cancelled: LedgerCancellation,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(
            !sale.is_closed(),
            "a purchase of a closed sale is cancelled",
        )?;
        let waits = sale.terms.payment.seconds > 0;
        check(
            at < sale.terms.ended_at || waits,
            "a purchase is cancelled behind the end of the sale",
        )?;
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(
            checkout.user == user,
            "a purchase of somebody else is cancelled",
        )?;
        let Some(End::Processed(bought)) = &checkout.end else {
            return Err("what was not purchased is cancelled".into());
        };
        check(!cancelled.lines.is_empty(), "nothing is cancelled")?;
        for &(item, units) in &cancelled.lines {
            let mut own = bought.iter().filter(|it| it.sold && it.item.0 == item);
            let sold = own.next().map_or(0, |line| line.quantity);
            let before = checkout.cancelled.values().flat_map(|it| &it.lines);
            let before = before.filter(|(other, _)| *other == item);
            let before: u32 = before.map(|(_, units)| units).sum();
            check(
                units >= 1 && before + units <= sold,
                "more is cancelled than was sold",
            )?;
            let (place, units) = (item as usize, u64::from(units));
            sale.sold[place] -= units;
            if !cancelled.restock {
                sale.items[place].1 -= units;
                sale.least_stock[place] = sale.least_stock[place].min(sale.items[place].1);
            }
            let bought = sale.bought.get_mut(user).ok_or("nothing was bought")?;
            *bought -= units;
            let of_item = sale.bought_of.get_mut(&(user.to_owned(), place));
            *of_item.ok_or("nothing of the item was bought")? -= units;
        }
        let before = checkout.cancelled.insert(reference.to_owned(), cancelled);
        check(
            before.is_none(),
            "a purchase is cancelled twice by a reference",
        )
    }

    fn expire(&mut self, code: (SaleId, u128), user: &str) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(!sale.is_closed(), "a hold ends behind its sale")?;
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(checkout.user == user, "a hold of somebody else")?;
        let is_held = checkout.holds || checkout.paying.is_some();
        check(is_held, "no hold can run out")?;
        check(checkout.end.is_none(), "a checkout ends twice")?;
        for (item, quantity) in &checkout.lines {
            if checkout.reserves(*item) {
                sale.held[*item as usize] -= u64::from(*quantity);
            }
        }
        sale.open.remove(user);
        checkout.has_expired = true;
        checkout.end = Some(End::Expired);
        Ok(())
    }

    fn give_back(
        &mut self,
        code: (SaleId, u128),
        user: &str,
        line: Option<ReleasedLine>,
        at: Timestamp,
    ) -> Result<(), String> {
        let sale = self.sales.get_mut(&code.0).ok_or("no such sale")?;
        check(!sale.is_closed(), "units are given back behind their sale")?;
        let checkout = self.checkouts.get_mut(&code).ok_or("no such checkout")?;
        check(
            at < sale.terms.ended_at || checkout.is_paid(),
            "units are given back behind the end of the sale",
        )?;
        check(
            checkout.user == user,
            "somebody gives back what is not theirs",
        )?;
        check(
            checkout.end.is_none(),
            "units of a checkout that is over are given back",
        )?;
        let line = line.map(|line| (line.item.0, line.quantity));
        let given_back: Vec<_> = match line {
            Some(line) => vec![line],
            None => checkout.lines.clone(),
        };
        let units = checkout.lines.iter().map(|(_, units)| u64::from(*units));
        let checkout_units: u64 = units.sum();
        for (item, quantity) in given_back {
            let is_reserved = checkout.reserves(item);
            let own = checkout.lines.iter_mut().find(|(own, _)| *own == item);
            let (_, own) = own.ok_or("an item is given back that is not in the checkout")?;
            check(
                1 <= quantity && quantity <= *own,
                "more is given back than was chosen",
            )?;
            let is_last = line.is_some() && checkout_units == u64::from(quantity);
            check(!is_last, "all is given back, and a part of it named")?;
            *own -= quantity;
            if is_reserved {
                sale.held[item as usize] -= u64::from(quantity);
            }
        }
        checkout.lines.retain(|(_, units)| *units > 0);
        let left = checkout.lines.clone();
        if left.is_empty() {
            sale.open.remove(user);
            checkout.end = Some(End::GivenBack);
        }
        checkout.given_back.push(GivenBack { line, left });
        Ok(())
    }
}

impl Sale {
    /// Returns the units of all its items.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.items.iter().map(|(_, stock)| stock).sum()
    }

    pub(crate) fn note_unsold(&mut self, place: usize) {
        let unsold = self.items[place].1 - self.sold[place];
        self.least_unsold[place] = self.least_unsold[place].min(unsold);
    }
}

pub(crate) fn check(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
