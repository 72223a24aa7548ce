//! The reference: slow, and plain enough to be seen to be right. Times are in seconds.

use std::collections::HashMap;

/// An answer, by the name that the distribution shows, and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub name: &'static str,
    /// Units in the checkout, or the highest quantity or limit allowed.
    pub number: u32,
    /// Item, quantity, sold.
    pub lines: Vec<(u32, u32, bool)>,
}

pub type Code = String;
type Line = (u32, u32);

#[derive(Default)]
pub struct Model {
    pub sales: Vec<ModelSale>,
    pub checkouts: HashMap<Code, Checkout>,
    /// What was answered to the keys of users, oldest first.
    pub keys: Vec<Keyed>,
}

/// A checkout that came with a key.
pub struct Keyed {
    pub sale: usize,
    pub user: usize,
    pub key: usize,
    pub line: Line,
    pub code: Code,
    pub items_count: u32,
    pub held_until: Option<i64>,
    pub sale_ends_at: i64,
}

/// A checkout that is asked for.
pub struct Asked<'a> {
    pub user: usize,
    pub id: &'a str,
    pub quantity: u32,
    pub sale: Option<u32>,
    pub key: Option<usize>,
}

/// How a checkout is to be answered.
pub enum Answered {
    /// As it was before, when it came with this key.
    Before(usize),
    Refused(Answer),
    /// The sale, the item and the open code.
    Accepted(Answer, usize, u32, Option<Code>),
}

pub struct ModelSale {
    /// Ids, and the stock of now.
    pub items: Vec<(String, u64)>,
    /// Whether each item exists once.
    pub singles: Vec<bool>,
    /// Item and units, by the reference.
    pub stock_changes: HashMap<usize, (u32, i64)>,
    /// Units of an item that one user may buy, by its id; all others have no limit of their own.
    pub item_limits: HashMap<String, u32>,
    pub start: i64,
    pub end: i64,
    pub limit: u32,
    pub hold: i64,
    /// Seconds that a payment reserves its units; 0 for none.
    pub payment: i64,
    pub by_shop: bool,
    pub closed: bool,
    pub paused: bool,
    /// It has left memory: listed items are found only by whoever names the sale.
    pub archived: bool,
}

pub struct Checkout {
    pub sale: usize,
    pub user: usize,
    pub until: Option<i64>,
    pub lines: Vec<Line>,
    /// The items that its payment could not reserve, while that is under way.
    pub paying: Option<Vec<u32>>,
    pub end: Option<End>,
    pub cancelled: Vec<ModelCancellation>,
}

/// What was cancelled of a checkout.
pub struct ModelCancellation {
    pub reference: usize,
    pub lines: Vec<Line>,
    pub restock: bool,
}

/// A cancellation that is asked for.
pub struct AskedCancellation<'a> {
    pub code: &'a str,
    pub id: Option<&'a str>,
    pub quantity: Option<u32>,
    pub reference: usize,
    pub restock: bool,
}

impl Checkout {
    fn reserves(&self, item: u32) -> bool {
        let lost = self.paying.as_deref().unwrap_or_default();
        self.until.is_some() && !lost.contains(&item)
    }
}

/// What came with a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    None,
    Key(usize),
    Payment(usize),
}

pub enum End {
    Expired,
    Processed(Token, Vec<(u32, u32, bool)>),
}

/// The wish of who asks for an open checkout.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    Look,
    GiveAllBack,
    /// An item, and units of it if not all.
    GiveBack(&'a str, Option<u32>),
}

pub fn answer(name: &'static str, number: u32) -> Answer {
    let lines = Vec::new();
    Answer {
        name,
        number,
        lines,
    }
}

impl ModelSale {
    fn is_listed(&self) -> bool {
        !self.items.iter().any(|(id, _)| id.starts_with("ITM-"))
    }

    fn is_active(&self, now: i64) -> bool {
        !self.closed && (self.start..self.end).contains(&now)
    }

    fn item(&self, id: &str) -> Option<u32> {
        let place = self.items.iter().position(|(other, _)| other == id)?;
        Some(place as u32)
    }
}

fn units(lines: &[Line]) -> u32 {
    lines.iter().map(|(_, quantity)| quantity).sum()
}

impl Model {
    /// Units of an item sold, to `user` or to anybody.
    fn sold(&self, sale: usize, item: Option<u32>, user: Option<usize>) -> u64 {
        let of = |checkout: &&Checkout| {
            checkout.sale == sale && user.is_none_or(|user| user == checkout.user)
        };
        let mut sold = 0;
        for checkout in self.checkouts.values().filter(of) {
            if let Some(End::Processed(_, lines)) = &checkout.end {
                let counted = lines
                    .iter()
                    .filter(|(of, _, sold)| *sold && item.is_none_or(|item| item == *of));
                sold += counted
                    .map(|(_, quantity, _)| u64::from(*quantity))
                    .sum::<u64>();
                let cancelled = checkout.cancelled.iter().flat_map(|it| &it.lines);
                let cancelled = cancelled.filter(|(of, _)| item.is_none_or(|item| item == *of));
                sold -= cancelled.map(|(_, units)| u64::from(*units)).sum::<u64>();
            }
        }
        sold
    }

    fn held(&self, sale: usize, item: u32) -> u64 {
        let holding = self.checkouts.values().filter(|checkout| {
            checkout.sale == sale && checkout.end.is_none() && checkout.until.is_some()
        });
        let holding = holding.filter(|checkout| checkout.reserves(item));
        let lines = holding.flat_map(|checkout| &checkout.lines);
        let own = lines.filter(|(of, _)| *of == item);
        own.map(|(_, quantity)| u64::from(*quantity)).sum()
    }

    /// Units of a whole sale in all, sold and held.
    pub fn figures(&self, sale: usize) -> (u64, u64, u64) {
        let items = 0..self.sales[sale].items.len() as u32;
        let held = items.map(|item| self.held(sale, item)).sum();
        let total = self.sales[sale].items.iter().map(|(_, stock)| stock).sum();
        (total, self.sold(sale, None, None), held)
    }

    fn open(&self, sale: usize, user: usize) -> Option<&Code> {
        let is_open = |checkout: &Checkout| {
            checkout.sale == sale && checkout.user == user && checkout.end.is_none()
        };
        let found = self
            .checkouts
            .iter()
            .find(|(_, checkout)| is_open(checkout));
        found.map(|(code, _)| code)
    }

    /// The answer to a key that the user has used in this sale before.
    fn before(&self, sale: usize, asked: &Asked<'_>) -> Option<Answered> {
        let wanted = (sale, asked.user, asked.key?);
        let is_it = |it: &Keyed| (it.sale, it.user, it.key) == wanted;
        let place = self.keys.iter().position(is_it)?;
        let line = (self.sales[sale].item(asked.id)?, asked.quantity);
        Some(match self.keys[place].line == line {
            true => Answered::Before(place),
            false => Answered::Refused(answer("key reused", 0)),
        })
    }

    /// Keeps what was answered to a key: as many of a user in a sale as it allows units, and 16 more.
    pub fn keep(&mut self, keyed: Keyed) {
        let of_user = |it: &Keyed| (it.sale, it.user) == (keyed.sale, keyed.user);
        let kept = self.keys.iter().filter(|it| of_user(it)).count();
        if kept as u32 >= self.sales[keyed.sale].limit + 16 {
            let oldest = self.keys.iter().position(of_user).expect("there are some");
            self.keys.remove(oldest);
        }
        self.keys.push(keyed);
    }

    /// The sale and the place of the item; or the refusal, with the sale where there is one.
    fn find(
        &self,
        id: &str,
        wanted: Option<u32>,
        now: i64,
    ) -> Result<(usize, u32), (Answer, Option<usize>)> {
        let named = id
            .strip_prefix("ITM-")
            .and_then(|rest| rest.split('-').next()?.parse().ok());
        let wanted = wanted.or(named);
        if let Some(sale) = wanted.and_then(|wanted| self.sales.get(wanted as usize - 1))
            && sale.archived
            && named.is_none() == sale.is_listed()
        {
            let known = sale.is_listed() || sale.item(id).is_some();
            let place = wanted.map(|wanted| wanted as usize - 1);
            return Err(match known {
                true => (answer("not active", 0), place),
                false => (answer("not found", 0), None),
            });
        }
        let in_sale = |(place, sale): (usize, &ModelSale)| {
            (!sale.archived).then_some((place, sale.item(id)?))
        };
        let of_wanted =
            |(place, _): &(usize, &ModelSale)| wanted.is_none_or(|w| w as usize == place + 1);
        let found: Vec<_> = self
            .sales
            .iter()
            .enumerate()
            .filter(of_wanted)
            .filter_map(in_sale)
            .collect();
        let active = found
            .iter()
            .filter(|(place, _)| self.sales[*place].is_active(now));
        match active.max_by_key(|(place, _)| self.sales[*place].start) {
            Some(found) => Ok(*found),
            None => Err(match found.last() {
                Some((place, _)) => (answer("not active", 0), Some(*place)),
                None => (answer("not found", 0), None),
            }),
        }
    }

    pub fn checkout(&mut self, asked: &Asked<'_>, now: i64) -> Answered {
        let (sale, item) = match self.find(asked.id, asked.sale, now) {
            Ok(found) => found,
            Err((refusal, sale)) => {
                let before = sale.and_then(|sale| self.before(sale, asked));
                return before.unwrap_or(Answered::Refused(refusal));
            }
        };
        let (stock, limit) = (
            self.sales[sale].items[item as usize].1,
            self.sales[sale].limit,
        );
        let is_single = self.sales[sale].singles[item as usize];
        let (user, quantity) = (asked.user, asked.quantity);
        let refused = |name, number| Answered::Refused(answer(name, number));
        let max = if is_single { 1 } else { limit };
        if quantity == 0 || quantity > max {
            return refused("quantity", max);
        }
        if let Some(before) = self.before(sale, asked) {
            return before;
        }
        if self.sales[sale].paused {
            return refused("paused", 0);
        }
        self.expire_where(now, |checkout| {
            checkout.sale == sale && checkout.user == user
        });
        let code = self.open(sale, user).cloned();
        let lines = code
            .as_ref()
            .map_or(&[][..], |code| &self.checkouts[code].lines);
        let (chosen, has_it) = (units(lines), lines.iter().any(|(of, _)| *of == item));
        if has_it || is_single && self.sold(sale, Some(item), Some(user)) == 1 {
            return refused("already", 0);
        }
        let is_paying = |code: &Code| self.checkouts[code].paying.is_some();
        if code.as_ref().is_some_and(is_paying) {
            return refused("payment under way", 0);
        }
        if self.sold(sale, None, Some(user)) as u32 + chosen + quantity > limit {
            return refused("limit", limit);
        }
        if let Some(&limit) = self.sales[sale].item_limits.get(asked.id)
            && self.sold(sale, Some(item), Some(user)) as u32 + quantity > limit
        {
            return refused("item limit", limit);
        }
        let unsold = stock - self.sold(sale, Some(item), None);
        if unsold < u64::from(quantity) {
            return refused("sold out", 0);
        }
        if unsold - self.held(sale, item) < u64::from(quantity) {
            return refused("held", 0);
        }
        Answered::Accepted(answer("accepted", chosen + quantity), sale, item, code)
    }

    pub fn purchase(&mut self, code: &str, key: Option<usize>, now: i64) -> Answer {
        let Some(checkout) = self.checkouts.get(code) else {
            return answer("no checkout", 0);
        };
        match &checkout.end {
            Some(End::Expired) => return answer("expired", 0),
            Some(End::Processed(first, lines)) => {
                let same = key.is_some_and(|key| *first == Token::Key(key));
                let name = if same { "repeated" } else { "used before" };
                return Answer {
                    lines: lines.clone(),
                    ..answer(name, 0)
                };
            }
            None => {}
        }
        let sale = checkout.sale;
        let has_ended = now >= self.sales[sale].end && checkout.paying.is_none();
        if self.sales[sale].closed || has_ended {
            return answer("sale over", 0);
        }
        if self.sales[sale].by_shop {
            return answer("shop confirms", 0);
        }
        if checkout.until.is_some_and(|until| until <= now) {
            self.checkouts.get_mut(code).expect("it is there").end = Some(End::Expired);
            return answer("expired", 0);
        }
        self.sell(code, key.map_or(Token::None, Token::Key))
    }

    /// Units of an item that can be had.
    fn free(&self, sale: usize, item: u32) -> u64 {
        let stock = self.sales[sale].items[item as usize].1;
        stock - self.sold(sale, Some(item), None) - self.held(sale, item)
    }

    fn sell(&mut self, code: &str, token: Token) -> Answer {
        let checkout = &self.checkouts[code];
        let sell = |&(item, quantity): &Line| {
            let sold = match checkout.until {
                Some(_) => checkout.reserves(item),
                None => self.free(checkout.sale, item) >= u64::from(quantity),
            };
            (item, quantity, sold)
        };
        let lines = checkout.lines.iter().map(sell).collect();
        self.process(code, token, lines)
    }

    fn process(&mut self, code: &str, token: Token, lines: Vec<(u32, u32, bool)>) -> Answer {
        let any = lines.iter().any(|(_, _, sold)| *sold);
        let checkout = self.checkouts.get_mut(code).expect("it is there");
        checkout.end = Some(End::Processed(token, lines.clone()));
        let name = if any { "bought" } else { "nothing left" };
        Answer {
            lines,
            ..answer(name, 0)
        }
    }

    /// Begins a payment. The number of the answer says until when it reserves its units.
    pub fn pay(&mut self, code: &str, now: i64) -> Answer {
        let Some(checkout) = self.checkouts.get(code) else {
            return answer("no checkout", 0);
        };
        let sale = &self.sales[checkout.sale];
        match &checkout.end {
            Some(End::Expired) => return answer("expired", 0),
            Some(End::Processed(_, lines)) => {
                let any = lines.iter().any(|(_, _, sold)| *sold);
                let name = if any { "used before" } else { "nothing left" };
                let lines = lines.clone();
                return Answer {
                    lines,
                    ..answer(name, 0)
                };
            }
            None if sale.payment == 0 => return answer("no payments", 0),
            None => {}
        }
        if sale.closed || now >= sale.end && checkout.paying.is_none() {
            return answer("sale over", 0);
        }
        if checkout.until.is_some_and(|until| until <= now) {
            self.checkouts.get_mut(code).expect("it is there").end = Some(End::Expired);
            return answer("expired", 0);
        }
        if checkout.paying.is_none() {
            let is_had = |&(item, quantity): &Line| match checkout.until {
                Some(_) => true,
                None => self.free(checkout.sale, item) >= u64::from(quantity),
            };
            let lost = checkout.lines.iter().filter(|line| !is_had(line));
            let lost: Vec<u32> = lost.map(|&(item, _)| item).collect();
            if lost.len() == checkout.lines.len() {
                let lines = checkout.lines.iter();
                let lines = lines.map(|&(item, units)| (item, units, false)).collect();
                return self.process(code, Token::None, lines);
            }
            // A longer hold stays, but no longer than the last payment of the sale.
            let end = now + sale.payment;
            let last = end + (sale.end - now).max(0);
            let until = end.max(checkout.until.unwrap_or(end).min(last));
            let checkout = self.checkouts.get_mut(code).expect("it is there");
            (checkout.until, checkout.paying) = (Some(until), Some(lost));
        }
        let checkout = &self.checkouts[code];
        let lines = checkout.lines.iter();
        let line = |&(item, units): &Line| (item, units, checkout.reserves(item));
        Answer {
            lines: lines.map(line).collect(),
            ..answer("paying", checkout.until.unwrap_or_default() as u32)
        }
    }

    /// Units of an item that the user may still get by its own limit, those of their open checkout counted.
    fn item_room(&self, sale: usize, user: usize, item: u32) -> u32 {
        let id = &self.sales[sale].items[item as usize].0;
        let Some(limit) = self.sales[sale].item_limits.get(id) else {
            return u32::MAX;
        };
        let open = self
            .open(sale, user)
            .map(|open| &self.checkouts[open].lines);
        let own = open.into_iter().flatten().filter(|(of, _)| *of == item);
        let chosen: u32 = own.map(|(_, units)| units).sum();
        limit.saturating_sub(self.sold(sale, Some(item), Some(user)) as u32 + chosen)
    }

    /// Confirms a payment.
    pub fn confirm(&mut self, code: &str, reference: usize, late: bool, now: i64) -> Answer {
        let Some(checkout) = self.checkouts.get(code) else {
            return answer("no checkout", 0);
        };
        let sale = &self.sales[checkout.sale];
        let takes = !sale.closed && (now < sale.end || sale.payment > 0);
        let is_due = checkout.until.is_some_and(|until| until <= now);
        match &checkout.end {
            Some(End::Processed(first, lines)) => {
                let was_paid = matches!(first, Token::Payment(_));
                let nothing = !lines.iter().any(|(_, _, sold)| *sold);
                let same = *first == Token::Payment(reference) || !was_paid && nothing;
                let name = if same { "repeated" } else { "used before" };
                let lines = lines.clone();
                return Answer {
                    lines,
                    ..answer(name, 0)
                };
            }
            // What was in it is gone with the sale.
            Some(End::Expired) if !late || sale.closed => return answer("expired", 0),
            _ if !takes => return answer("sale over", 0),
            None if now >= sale.end && checkout.paying.is_none() => return answer("sale over", 0),
            None if !is_due => return self.sell(code, Token::Payment(reference)),
            Some(End::Expired) | None => {}
        }
        let (place, user, limit) = (checkout.sale, checkout.user, sale.limit);
        let chosen = checkout.lines.clone();
        self.checkouts.get_mut(code).expect("it is there").end = Some(End::Expired);
        if !late {
            return answer("expired", 0);
        }
        let mut open = self.open(place, user).cloned();
        if let Some(code) = &open {
            let open_checkout = self.checkouts.get_mut(code).expect("it is there");
            if open_checkout.until.is_some_and(|until| until <= now) {
                open_checkout.end = Some(End::Expired);
                open = None;
            }
        }
        let open = open.map_or(0, |open| units(&self.checkouts[&open].lines));
        let mut room = limit - self.sold(place, None, Some(user)) as u32 - open;
        let mut lines = Vec::new();
        for (item, quantity) in chosen {
            let free = self.free(place, item);
            let of_item = self.item_room(place, user, item);
            let sold = quantity <= room.min(of_item) && u64::from(quantity) <= free;
            room -= if sold { quantity } else { 0 };
            lines.push((item, quantity, sold));
        }
        let answer = self.process(code, Token::Payment(reference), lines);
        match answer.name {
            "bought" => Answer {
                name: "bought late",
                ..answer
            },
            _ => answer,
        }
    }

    /// The contents of a checkout once `wanted` was done.
    pub fn contents(&mut self, code: &str, wanted: Wanted<'_>, now: i64) -> Answer {
        let Some(checkout) = self.checkouts.get_mut(code) else {
            return answer("no checkout", 0);
        };
        match &checkout.end {
            Some(End::Expired) => return answer("expired", 0),
            Some(End::Processed(_, lines)) => {
                let lines = lines.clone();
                return Answer {
                    lines,
                    ..answer("used before", 0)
                };
            }
            None => {}
        }
        let sale = &self.sales[checkout.sale];
        if sale.closed || now >= sale.end && checkout.paying.is_none() {
            return answer("sale over", 0);
        }
        if checkout.until.is_some_and(|until| until <= now) {
            checkout.end = Some(End::Expired);
            return answer("expired", 0);
        }
        match wanted {
            Wanted::Look => {}
            Wanted::GiveAllBack => checkout.lines.clear(),
            Wanted::GiveBack(id, quantity) => {
                let item = sale.item(id);
                let line = checkout.lines.iter_mut().find(|(of, _)| Some(*of) == item);
                let Some((_, units)) = line else {
                    return answer("not in it", 0);
                };
                let quantity = quantity.unwrap_or(*units);
                if quantity == 0 || quantity > *units {
                    return answer("quantity", *units);
                }
                *units -= quantity;
                checkout.lines.retain(|(_, units)| *units > 0);
            }
        }
        let lines = checkout.lines.iter();
        let line = |&(item, units): &Line| (item, units, checkout.reserves(item));
        let lines: Vec<_> = lines.map(line).collect();
        if lines.is_empty() {
            self.checkouts.remove(code);
        }
        Answer {
            lines,
            ..answer("contents", 0)
        }
    }

    /// The units of each item of a purchase that were cancelled, in the order of its lines.
    pub fn cancelled_of(&self, code: &str) -> Vec<(u32, u32)> {
        let checkout = &self.checkouts[code];
        let Some(End::Processed(_, lines)) = &checkout.end else {
            return Vec::new();
        };
        let cancelled = || checkout.cancelled.iter().flat_map(|it| &it.lines);
        let units = |item| {
            let own = cancelled().filter(|(of, _)| *of == item);
            (item, own.map(|(_, units)| units).sum())
        };
        let each = lines.iter().map(|&(item, _, _)| units(item));
        each.filter(|(_, units)| *units > 0).collect()
    }

    /// Ends the run-out checkouts that `is_meant`; how many.
    pub fn expire_where(&mut self, now: i64, is_meant: impl Fn(&Checkout) -> bool) -> usize {
        let mut expired = 0;
        for checkout in self.checkouts.values_mut() {
            let is_due = checkout.until.is_some_and(|until| until <= now);
            if checkout.end.is_none() && is_due && is_meant(checkout) {
                checkout.end = Some(End::Expired);
                expired += 1;
            }
        }
        expired
    }

    /// Ends the run-out checkouts of the sales that have not ended, or that wait for payments; how many. The others are ended
    /// by the closing.
    pub fn release(&mut self, now: i64) -> usize {
        let has_ended = |sale: &ModelSale| sale.end <= now && sale.payment == 0;
        let has_ended: Vec<_> = self.sales.iter().map(has_ended).collect();
        self.expire_where(now, |checkout| !has_ended[checkout.sale])
    }

    /// Closes the sales that have ended and whose payments are over, each after what had run out by then; how many.
    pub fn close_ended(&mut self, now: i64) -> usize {
        let is_ended = |sale: &ModelSale| sale.end <= now && !sale.closed;
        let ended = (0..self.sales.len()).filter(|&sale| is_ended(&self.sales[sale]));
        let mut ended: Vec<_> = ended.collect();
        ended.sort_by_key(|&sale| self.sales[sale].end);
        let mut closed = 0;
        for &sale in &ended {
            let until = match self.sales[sale].payment {
                0 => self.sales[sale].end,
                _ => now,
            };
            self.expire_where(until, |_| true);
            let is_paying = |it: &Checkout| it.end.is_none() && it.paying.is_some();
            let mut own = self.checkouts.values().filter(|it| it.sale == sale);
            if !own.any(is_paying) {
                closed += usize::from(self.close(sale));
            }
        }
        closed
    }

    /// Changes a sale with `change`, which says whether it was as wanted already; or why it cannot be changed.
    pub fn change(
        &mut self,
        sale: u32,
        now: i64,
        change: impl FnOnce(&mut ModelSale) -> Result<bool, &'static str>,
    ) -> Result<bool, &'static str> {
        let sale = self
            .sales
            .get_mut(sale as usize - 1)
            .ok_or("no such sale")?;
        if sale.closed || now >= sale.end {
            return Err("over");
        }
        change(sale)
    }

    /// Changes the stock of an item; whether that was done now, or why it cannot be.
    pub fn change_stock(
        &mut self,
        place: u32,
        id: &str,
        units: i64,
        reference: usize,
        now: i64,
    ) -> Result<bool, &'static str> {
        let place = place as usize - 1;
        let sale = self.sales.get(place).ok_or("no such sale")?;
        let item = sale.item(id);
        if let Some((changed, by)) = sale.stock_changes.get(&reference) {
            let is_same = item == Some(*changed) && units == *by;
            return if is_same {
                Ok(false)
            } else {
                Err("ref reused")
            };
        }
        if sale.closed || now >= sale.end {
            return Err("over");
        }
        let item = item.ok_or("no such item")?;
        let (stock, is_single) = (sale.items[item as usize].1, sale.singles[item as usize]);
        if is_single {
            return Err("single");
        }
        let free = stock - self.sold(place, Some(item), None) - self.held(place, item);
        if units < 0 && free < units.unsigned_abs() {
            return Err("in use");
        }
        let sale = &mut self.sales[place];
        let stock = &mut sale.items[item as usize].1;
        *stock = stock.checked_add_signed(units).expect("so many are free");
        sale.stock_changes.insert(reference, (item, units));
        Ok(true)
    }

    /// Cancels units of a purchase.
    pub fn cancel(&mut self, asked: &AskedCancellation<'_>, now: i64) -> Answer {
        let Some(checkout) = self.checkouts.get_mut(asked.code) else {
            return answer("no checkout", 0);
        };
        let Some(End::Processed(_, bought)) = &checkout.end else {
            return answer("not purchased", 0);
        };
        let mut left: Vec<Line> = bought
            .iter()
            .filter(|(_, _, sold)| *sold)
            .map(|&(item, units, _)| (item, units))
            .collect();
        if left.is_empty() {
            return answer("not purchased", 0);
        }
        let sale = &mut self.sales[checkout.sale];
        let item = asked.id.map(|id| sale.item(id));
        let answered = |name, lines: &[Line]| Answer {
            lines: lines
                .iter()
                .map(|&(item, units)| (item, units, true))
                .collect(),
            ..answer(name, 0)
        };
        let mut before = checkout.cancelled.iter();
        if let Some(place) = before.position(|it| it.reference == asked.reference) {
            let it = &checkout.cancelled[place];
            let is_of = |item| it.lines.len() == 1 && item == Some(it.lines[0].0);
            // Whoever names no item wants all that was left then.
            let gone = |of| {
                let until = checkout.cancelled[..=place].iter().flat_map(|it| &it.lines);
                let own = until.filter(move |(item, _)| *item == of);
                own.map(|(_, units)| units).sum::<u32>()
            };
            let took_all = || left.iter().all(|&(of, sold)| gone(of) == sold);
            let is_same = it.restock == asked.restock
                && item.map_or_else(took_all, is_of)
                && asked
                    .quantity
                    .is_none_or(|quantity| quantity == units(&it.lines));
            return match is_same {
                true => answered("cancelled before", &it.lines),
                false => answer("ref reused", 0),
            };
        }
        if sale.closed || now >= sale.end && sale.payment == 0 {
            return answer("over", 0);
        }
        if let Some(item) = item {
            left.retain(|(of, _)| Some(*of) == item);
            if left.is_empty() {
                return answer("not in it", 0);
            }
        }
        for (item, left) in &mut left {
            let cancelled = checkout.cancelled.iter().flat_map(|it| &it.lines);
            let own = cancelled.filter(|(of, _)| of == item);
            *left -= own.map(|(_, units)| units).sum::<u32>();
        }
        left.retain(|(_, units)| *units > 0);
        let Some((_, max)) = left.first_mut() else {
            return answer("all cancelled", 0);
        };
        if let Some(quantity) = asked.quantity {
            if quantity == 0 || quantity > *max {
                return answer("quantity", *max);
            }
            *max = quantity;
        }
        if !asked.restock {
            for &(item, units) in &left {
                sale.items[item as usize].1 -= u64::from(units);
            }
        }
        checkout.cancelled.push(ModelCancellation {
            reference: asked.reference,
            lines: left.clone(),
            restock: asked.restock,
        });
        answered("cancelled", &left)
    }

    /// Closes a sale; `false` when it was closed before.
    pub fn close(&mut self, sale: usize) -> bool {
        for checkout in self
            .checkouts
            .values_mut()
            .filter(|checkout| checkout.sale == sale)
        {
            if checkout.end.is_none() {
                (checkout.until, checkout.paying) = (None, None);
            }
        }
        !std::mem::replace(&mut self.sales[sale].closed, true)
    }
}
