//! Sales that could have happened, drawn from a seed and written into a journal.

use std::collections::BTreeMap;

use flashsale::env::splitmix64;
use flashsale::journal::Journal;
use flashsale::record::{
    CancelledLines, CatalogueKind, Lines, NewItem, Record, ReleasedLine, SaleChange, SaleTerms,
};
use flashsale::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};

/// The first moment of every story, far enough from now that nothing expires while a test runs.
pub const BEGIN_SECONDS: i64 = 4_000_000_000;

/// Somebody's open checkout: its secret and its lines.
type Checkout = (u128, Vec<(u32, u32)>);

/// A purchase: the secret of its code, its user, and the items with their units.
type Bought = (u128, String, Vec<(u32, u32)>);

struct Sale {
    id: SaleId,
    listed: bool,
    left: Vec<u64>,
    /// Purchases: code, user and what was sold.
    bought: Vec<Bought>,
    /// Items that do not exist once.
    many: Vec<usize>,
    ended_at: Timestamp,
    paused: bool,
    open: BTreeMap<String, Checkout>,
}

/// Writes what happens next.
pub struct Story {
    random: u64,
    now: Timestamp,
    sales: Vec<Sale>,
    last_sale: u32,
}

impl Story {
    pub fn new(seed: u64) -> Self {
        Self {
            random: seed,
            now: Timestamp::from_seconds(BEGIN_SECONDS),
            sales: Vec::new(),
            last_sale: 0,
        }
    }

    /// Leaves the next sale to somebody else.
    pub fn skip_sale(&mut self) {
        self.last_sale += 1;
    }

    /// A number below `end`.
    fn draw(&mut self, end: u64) -> u64 {
        splitmix64(&mut self.random) % end
    }

    /// Tells `steps` steps and waits until they are durable; the last record.
    pub fn tell(&mut self, journal: &Journal, steps: usize) -> Lsn {
        let mut last = Lsn::ZERO;
        for _ in 0..steps {
            self.now = Timestamp(self.now.0 + 1000);
            last = match self.draw(200) {
                _ if self.sales.is_empty() => self.open_sale(journal),
                0 => self.open_sale(journal),
                1 => self.close_sale(journal),
                199 => self.change_sale(journal),
                197..=198 => self.change_stock(journal),
                190..=196 => self.cancel(journal),
                2..=120 => self.check_out(journal),
                121..=125 => self.refuse(journal),
                126..=135 => self.end_checkout(journal, false),
                _ => self.end_checkout(journal, true),
            };
            if journal.admit().is_err() {
                journal.wait(last).expect("the disk works");
            }
        }
        journal.wait(last).expect("the disk works");
        last
    }

    pub fn open_sale(&mut self, journal: &Journal) -> Lsn {
        self.last_sale += 1;
        let (id, listed) = (SaleId(self.last_sale), self.draw(2) == 0);
        let count = if listed {
            1 + self.draw(120)
        } else {
            1 + self.draw(500)
        };
        let count = count as u32;
        let stocks: Vec<u64> = (0..count)
            .map(|_| if listed { 1 + self.draw(30) } else { 1 })
            .collect();
        if self.draw(4) == 0 {
            // An attempt that a crash has cut off.
            self.announce(journal, id, &stocks, 1);
        }
        let catalogue = if listed {
            self.announce(journal, id, &stocks, usize::MAX);
            CatalogueKind::Explicit { item_count: count }
        } else {
            let (seed, item_count) = (7, count);
            CatalogueKind::Generated { seed, item_count }
        };
        let terms = SaleTerms {
            started_at: self.now,
            ended_at: self.now.plus_seconds(3600),
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue,
        };
        self.sales.push(Sale {
            id,
            listed,
            bought: Vec::new(),
            many: (0..stocks.len()).filter(|&it| stocks[it] > 1).collect(),
            left: stocks,
            ended_at: terms.ended_at,
            paused: false,
            open: BTreeMap::new(),
        });
        journal.append(self.now, &Record::SaleCreated { sale: id, terms })
    }

    fn announce(&mut self, journal: &Journal, sale: SaleId, stocks: &[u64], records: usize) {
        let ids: Vec<_> = (0..stocks.len())
            .map(|place| format!("\"{sale}\" – №{place}"))
            .collect();
        let items: Vec<_> = ids
            .iter()
            .zip(stocks)
            .map(|(id, &stock)| NewItem {
                id,
                name: "a name",
                image_url: "",
                stock,
                max_per_user: None,
            })
            .collect();
        for record in Record::item_batches(sale, &items).take(records) {
            journal.append(self.now, &record);
        }
    }

    pub fn close_sale(&mut self, journal: &Journal) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        let sale = self.sales.swap_remove(place).id;
        journal.append(self.now, &Record::SaleClosed { sale })
    }

    /// Pauses a sale, lets it go on, or has it end later.
    fn change_sale(&mut self, journal: &Journal) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        let later = self.draw(2) == 0;
        let sale = &mut self.sales[place];
        let change = match (later, sale.paused) {
            (true, _) => {
                sale.ended_at = sale.ended_at.plus_seconds(60);
                SaleChange::Extended(sale.ended_at)
            }
            (false, true) => SaleChange::Resumed,
            (false, false) => SaleChange::Paused,
        };
        sale.paused = match change {
            SaleChange::Paused => true,
            SaleChange::Resumed => false,
            SaleChange::Opened | SaleChange::Extended(_) => sale.paused,
        };
        let sale = sale.id;
        journal.append(self.now, &Record::SaleChanged { sale, change })
    }

    /// Adds units of an item, or takes free ones out; where each exists once, the sale is changed.
    fn change_stock(&mut self, journal: &Journal) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        if self.sales[place].many.is_empty() {
            return self.change_sale(journal);
        }
        let drawn = self.draw(self.sales[place].many.len() as u64) as usize;
        let (adds, units, number) = (self.draw(3) > 0, 1 + self.draw(9), self.draw(u64::MAX));
        let sale = &mut self.sales[place];
        let item = sale.many[drawn];
        let left = &mut sale.left[item];
        let adds = adds || *left < units;
        let units = if adds {
            units.cast_signed()
        } else {
            -units.cast_signed()
        };
        *left = left.checked_add_signed(units).expect("so many are left");
        let record = Record::StockChanged {
            sale: sale.id,
            item: ItemIndex(item as u32),
            units,
            reference: &format!("ref-{number}"),
        };
        journal.append(self.now, &record)
    }

    fn check_out(&mut self, journal: &Journal) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        let user = format!("user {}", self.draw(300));
        let secret = u128::from(self.draw(u64::MAX));
        let item = self.draw(self.sales[place].left.len() as u64) as u32;
        let quantity = if self.sales[place].listed {
            1 + self.draw(5) as u32
        } else {
            1
        };
        let sale = &mut self.sales[place];
        let opens = !sale.open.contains_key(&user);
        let checkout = sale
            .open
            .entry(user.clone())
            .or_insert((secret, Vec::new()));
        checkout.1.push((item, quantity));
        let record = Record::Checkout {
            sale: sale.id,
            secret: checkout.0,
            user: &user,
            item: ItemIndex(item),
            quantity,
            hold_until: None,
            opens,
            key: None,
        };
        journal.append(self.now, &record)
    }

    fn refuse(&mut self, journal: &Journal) -> Lsn {
        let record = Record::Refused {
            sale: None,
            user: "nobody",
            item: "nothing",
            reason: flashsale::record::RefusedReason::ItemNotFound,
        };
        journal.append(self.now, &record)
    }

    fn end_checkout(&mut self, journal: &Journal, purchase: bool) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        let sale = &mut self.sales[place];
        let Some((user, (secret, chosen))) = sale.open.pop_first() else {
            return self.check_out(journal);
        };
        let (id, user) = (sale.id, &*user);
        if !purchase {
            let (sale, line) = (id, None);
            let expired = Record::Expired {
                sale,
                secret,
                user,
                lines: Lines::NONE,
            };
            let given_back = Record::Released {
                sale,
                secret,
                user,
                line,
            };
            let is_expired = secret % 2 == 0;
            let record = if is_expired { expired } else { given_back };
            return journal.append(self.now, &record);
        }
        let mut lines = Vec::new();
        for (item, quantity) in chosen {
            let left = &mut sale.left[item as usize];
            let sold = *left >= u64::from(quantity);
            *left -= if sold { u64::from(quantity) } else { 0 };
            let item = ItemIndex(item);
            lines.push(PurchasedLine {
                item,
                quantity,
                sold,
            });
        }
        let record = Record::Purchase {
            sale: id,
            secret,
            user,
            key: None,
            payment_ref: None,
            lines: Lines::Slice(&lines),
        };
        let lsn = journal.append(self.now, &record);
        let sold = lines.iter().filter(|line| line.sold);
        let sold: Vec<_> = sold.map(|line| (line.item.0, line.quantity)).collect();
        if !sold.is_empty() {
            sale.bought.push((secret, user.to_owned(), sold));
        }
        lsn
    }

    /// Cancels a line of a purchase, which can be had again or not.
    fn cancel(&mut self, journal: &Journal) -> Lsn {
        let place = self.draw(self.sales.len() as u64) as usize;
        let (restock, number) = (self.draw(3) > 0, self.draw(u64::MAX));
        let sale = &mut self.sales[place];
        let Some((secret, user, mut lines)) = sale.bought.pop() else {
            return self.end_checkout(journal, true);
        };
        let (item, quantity) = lines.pop().expect("something was sold");
        if restock {
            sale.left[item as usize] += u64::from(quantity);
        }
        let line = ReleasedLine {
            item: ItemIndex(item),
            quantity,
        };
        let record = Record::Cancelled {
            sale: sale.id,
            secret,
            user: &user,
            reference: &format!("ref-{number}"),
            lines: CancelledLines::Slice(&[line]),
            restock,
        };
        let lsn = journal.append(self.now, &record);
        if !lines.is_empty() {
            sale.bought.push((secret, user, lines));
        }
        lsn
    }

    /// The secrets of checkouts that nobody has processed, as they stand in codes.
    pub fn open_secrets(&self) -> Vec<String> {
        let open = self.sales.iter().flat_map(|sale| sale.open.values());
        open.map(|(secret, _)| format!("{secret:032x}")).collect()
    }

    /// Numbers of the sales that were opened.
    pub fn last_sale(&self) -> u32 {
        self.last_sale
    }
}
