//! Memory as a fold over the journal: applies records and checks that they do not contradict each
//! other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buyers::{BuyerRef, BuyerShard, CheckoutEnd, ClosedCheckout, OpenCheckout};
use super::catalogue::{Catalogue, ExplicitItems};
use super::ended::{EndedSale, EndedSales};
use super::keys::KeyedCheckout;
use super::outcome::PurchaseResult;
use super::registry::Registry;
use super::sale::Sale;
use crate::journal::record::{CatalogueKind, CheckoutKey, Items, Lines, Record, SaleTerms};
use crate::journal::{Entry, JournalError, Opening, Replayed};
use crate::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};

/// What the records so far have led to.
#[derive(Default)]
pub struct State {
    registry: Registry,
    ended: EndedSales,
    /// Items of sales whose creation has not come yet.
    announced: BTreeMap<SaleId, ExplicitItems>,
}

/// A state that was recovered, and what that took.
pub struct Recovered {
    /// The state.
    pub state: State,
    /// The LSN of the snapshot that it began with, 0 for none.
    pub snapshot_lsn: Lsn,
    /// What was replayed behind it.
    pub replayed: Replayed,
}

impl Recovered {
    /// Recovers the state from the newest snapshot and the records behind it, and checks it. Closed
    /// sales that have their file are put away as they come, so that the past takes no memory even
    /// where no snapshot stands for it yet.
    ///
    /// # Errors
    /// Damage, or records that contradict each other.
    pub fn from_journal(opening: &Opening) -> Result<Self, JournalError> {
        let mut state = State::default();
        let snapshot_lsn = opening.restore_snapshot(&mut |entry| state.restore(&entry))?;
        let files = opening.sale_files()?;
        let replayed = opening.replay(snapshot_lsn, &mut |entry| {
            let has_file = |sale: &Arc<Sale>| {
                let ended = EndedSale::of(sale);
                Ok(ended.is_some_and(|ended| files.contains(&ended.file())))
            };
            state.apply_and_put_away(&entry, has_file)
        })?;
        let ended = state.ended.oldest_first().map(EndedSale::file);
        opening.check_sale_files(&files, ended, replayed.last_lsn)?;
        state.check(replayed.last_lsn)?;
        Ok(Self {
            state,
            snapshot_lsn,
            replayed,
        })
    }
}

/// The parts of a checkout record.
struct Chosen<'a> {
    secret: u128,
    user: &'a str,
    line: (ItemIndex, u32),
    hold_until: Option<Timestamp>,
    opens: bool,
    key: Option<CheckoutKey<'a>>,
}

/// The parts of a purchase record.
struct Purchased<'a> {
    secret: u128,
    user: &'a str,
    key: Option<&'a str>,
    lines: Lines<'a>,
}

impl State {
    pub(super) fn into_parts(self) -> (Registry, EndedSales) {
        (self.registry, self.ended)
    }

    /// The numbers of sales whose items have come, and which themselves have not.
    pub(super) fn announced_sales(&self) -> impl Iterator<Item = SaleId> {
        self.announced.keys().copied()
    }

    /// The state of a running engine; exact only while nobody decides anything.
    #[must_use]
    pub fn of_engine(engine: &super::Engine) -> Self {
        // In this order, because sales leave the one for the other.
        let mut registry = Registry::clone(&engine.registry.load());
        let ended = engine.ended.read().clone();
        registry = registry.without(|sale| ended.get(sale.id()).is_some());
        Self {
            registry,
            ended,
            announced: BTreeMap::new(),
        }
    }

    /// The sales in memory, by number.
    #[must_use]
    pub fn sales(&self) -> &[Arc<Sale>] {
        self.registry.all()
    }

    /// The sales of which only this is in memory.
    #[must_use]
    pub fn ended(&self) -> &EndedSales {
        &self.ended
    }

    /// Items of sales whose creation has not come yet.
    pub(super) fn announced(&self) -> impl Iterator<Item = (&SaleId, &ExplicitItems)> {
        self.announced.iter()
    }

    /// Applies the next record of a snapshot, which may stand for a whole sale.
    ///
    /// # Errors
    /// The record contradicts those before it.
    pub fn restore(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let Some(ended) = EndedSale::from_record(&entry.record) else {
            return self.apply(entry);
        };
        if ended.id.0 <= self.registry.last_id() {
            return Err(JournalError::Contradiction {
                lsn: entry.lsn,
                what: format!("sale {} comes out of order", ended.id),
            });
        }
        self.registry.note_id(ended.id);
        self.ended.insert(ended);
        Ok(())
    }

    /// Leaves only what is known of ended sales of those of which `leaves` says so, which must be closed.
    pub fn put_away(&mut self, leaves: impl Fn(&Sale) -> bool) {
        let closed = |sale: &Sale| sale.is_closed() && leaves(sale);
        for sale in self.registry.all().iter().filter(|sale| closed(sale)) {
            self.ended.extend(EndedSale::of(sale));
        }
        self.registry = self.registry.without(closed);
    }

    /// Applies the next record of a journal, after which nothing is known but the summary of a sale that
    /// it closes, if `leaves` says so: nothing happens to a sale behind its closing.
    ///
    /// # Errors
    /// The record contradicts those before it, or the error of `leaves`.
    pub(super) fn apply_and_put_away(
        &mut self,
        entry: &Entry<'_>,
        leaves: impl FnOnce(&Arc<Sale>) -> Result<bool, JournalError>,
    ) -> Result<(), JournalError> {
        self.apply(entry)?;
        let Record::SaleClosed { sale: id } = entry.record else {
            return Ok(());
        };
        if let Some(sale) = self.registry.get(id) {
            check_sale(sale, entry.lsn)?;
            if leaves(sale)? {
                self.put_away(|sale| sale.id() == id);
            }
        }
        Ok(())
    }

    /// Applies the next record of a journal.
    ///
    /// # Errors
    /// The record contradicts those before it.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let applied = match entry.record {
            Record::SaleItems { sale, first, items } => self.announce(sale, first, items),
            Record::SaleCreated { sale, terms } => self.create(sale, terms),
            Record::SaleClosed { sale } => self.find(sale).map(|sale| {
                sale.close(entry.at, || entry.lsn);
                self.registry.refresh();
            }),
            Record::Checkout {
                sale,
                secret,
                user,
                item,
                quantity,
                hold_until,
                opens,
                key,
            } => {
                let chosen = Chosen {
                    secret,
                    user,
                    line: (item, quantity),
                    hold_until,
                    opens,
                    key,
                };
                self.find(sale)
                    .and_then(|sale| sale.apply_checkout(&chosen, entry.at, entry.lsn))
            }
            Record::KeptKey {
                sale,
                secret,
                user,
                item,
                quantity,
                key,
            } => self.find(sale).and_then(|sale| {
                sale.apply_key(
                    user,
                    keyed_checkout(secret, (item, quantity), &key, entry.lsn),
                )
            }),
            Record::Purchase {
                sale,
                secret,
                user,
                key,
                lines,
            } => {
                let purchased = Purchased {
                    secret,
                    user,
                    key,
                    lines,
                };
                self.find(sale)
                    .and_then(|sale| sale.apply_purchase(&purchased, entry.at, entry.lsn))
            }
            Record::Expired { sale, secret, user } => self
                .find(sale)
                .and_then(|sale| sale.apply_expired(secret, user, entry.at, entry.lsn)),
            Record::SaleArchived { sale, .. } => {
                Err(format!("only a snapshot may stand for sale {sale}"))
            }
            Record::Refused { .. } => Ok(()),
        };
        applied.map_err(|what| JournalError::Contradiction {
            lsn: entry.lsn,
            what,
        })
    }

    /// Checks that every unit of every sale is where it should be.
    ///
    /// # Errors
    /// Names the sale and what does not add up.
    pub fn check(&self, lsn: Lsn) -> Result<(), JournalError> {
        self.sales()
            .iter()
            .try_for_each(|sale| check_sale(sale, lsn))
    }

    fn find(&self, id: SaleId) -> Result<Arc<Sale>, String> {
        self.registry
            .get(id)
            .cloned()
            .ok_or_else(|| match self.ended.get(id) {
                Some(_) => format!("sale {id} has ended, and nothing can happen to it any more"),
                None => format!("there is no sale {id}"),
            })
    }

    fn is_known(&self, id: SaleId) -> bool {
        self.registry.get(id).is_some() || self.ended.get(id).is_some()
    }

    fn announce(&mut self, sale: SaleId, first: ItemIndex, items: Items<'_>) -> Result<(), String> {
        if self.is_known(sale) {
            return Err(format!(
                "items come for sale {sale}, which is there already"
            ));
        }
        let announced = self.announced.entry(sale).or_default();
        if first.0 == 0 {
            // What an attempt left that never became a sale.
            *announced = ExplicitItems::default();
        }
        if announced.count() != first.0 as usize {
            return Err(format!(
                "items from {} on follow {} items",
                first.0,
                announced.count()
            ));
        }
        for item in items.iter() {
            if !announced.push(&item) {
                return Err(format!("item {:?} comes twice", item.id));
            }
        }
        Ok(())
    }

    fn create(&mut self, id: SaleId, terms: SaleTerms) -> Result<(), String> {
        // Not in the order of the numbers: a long list of items takes its time.
        if self.is_known(id) {
            return Err(format!("sale {id} is created twice"));
        }
        let mut announced = self.announced.remove(&id).unwrap_or_default();
        announced.shrink();
        let catalogue = match terms.catalogue {
            CatalogueKind::Generated { seed, item_count } => Catalogue::Generated {
                sale: id,
                seed,
                item_count,
            },
            CatalogueKind::Explicit { item_count } if item_count as usize == announced.count() => {
                Catalogue::Explicit(announced)
            }
            CatalogueKind::Explicit { item_count } => {
                return Err(format!(
                    "sale {id} has {item_count} items, {} came",
                    announced.count()
                ));
            }
        };
        self.registry
            .insert(Arc::new(Sale::new(id, terms, catalogue)));
        Ok(())
    }
}

fn check_sale(sale: &Sale, lsn: Lsn) -> Result<(), JournalError> {
    sale.check_conserved()
        .map_err(|what| JournalError::Contradiction {
            lsn,
            what: format!("sale {}: {what}", sale.id()),
        })
}

/// A checkout that came with a key, from the parts of its record.
fn keyed_checkout(
    secret: u128,
    (item, quantity): (ItemIndex, u32),
    key: &CheckoutKey<'_>,
    lsn: Lsn,
) -> KeyedCheckout {
    KeyedCheckout {
        key: key.key.into(),
        item,
        quantity,
        secret,
        items_count: key.items_count,
        sale_ends_at: key.sale_ends_at,
        held_until: key.held_until,
        lsn,
    }
}

impl Sale {
    fn check_item(&self, item: ItemIndex) -> Result<(), String> {
        if item.0 < self.item_count() {
            Ok(())
        } else {
            Err(format!("sale {} has no item {}", self.id, item.0))
        }
    }

    fn apply_checkout(&self, chosen: &Chosen<'_>, at: Timestamp, lsn: Lsn) -> Result<(), String> {
        let Chosen {
            secret,
            user,
            line: (item, quantity),
            hold_until,
            opens,
            key,
        } = *chosen;
        self.check_item(item)?;
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        if hold_until.is_some() {
            if !self.inventory.hold(item, quantity, self.taker(reference)) {
                return Err(format!("item {} is held beyond its stock", item.0));
            }
            locked.shard.hold_more(quantity);
        }
        if let Some(key) = key {
            let keyed = keyed_checkout(secret, (item, quantity), &key, lsn);
            self.keep_key(&mut locked.shard, reference, keyed)?;
        }
        match &mut locked.shard.buyer(reference).open {
            None if !opens => Err(format!("user {user:?} adds to a checkout that is not open")),
            None => {
                self.add_code(secret, reference)?;
                let hold = hold_until.map(|until| {
                    self.expect_expiry(until);
                    locked.shard.arm_hold(reference, until, at)
                });
                locked.shard.buyer(reference).open = Some(OpenCheckout {
                    secret,
                    opened_at: at,
                    lsn,
                    hold,
                    lines: smallvec::smallvec![(item, quantity)],
                });
                Ok(())
            }
            Some(open) if opens || open.secret != secret => {
                Err(format!("user {user:?} opens a second checkout"))
            }
            Some(open) if open.hold_until() != hold_until => {
                Err(format!("user {user:?} holds one checkout until two times"))
            }
            Some(open) => {
                open.lines.push((item, quantity));
                open.lsn = lsn;
                Ok(())
            }
        }
    }

    /// A key alone, as snapshots have it: its buyer is there.
    fn apply_key(&self, user: &str, keyed: KeyedCheckout) -> Result<(), String> {
        self.check_item(keyed.item)?;
        let mut locked = self.buyers.lock_user(user);
        let Some(reference) = locked.find(user) else {
            return Err(format!(
                "a key of user {user:?} comes before their checkouts"
            ));
        };
        self.keep_key(&mut locked.shard, reference, keyed)
    }

    fn keep_key(
        &self,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        keyed: KeyedCheckout,
    ) -> Result<(), String> {
        if shard.keyed_checkout(reference, &keyed.key).is_some() {
            let user = &shard.buyer(reference).user;
            return Err(format!("an idempotency key of user {user:?} is used twice"));
        }
        shard.keep_key(reference, keyed, self.terms.max_items_per_user);
        Ok(())
    }

    fn add_code(&self, secret: u128, buyer: BuyerRef) -> Result<(), String> {
        if self.buyers.insert_code(secret, buyer) {
            Ok(())
        } else {
            Err(format!("a code of sale {} is used twice", self.id))
        }
    }

    /// A purchase closes its open checkout; in a snapshot it stands alone.
    fn apply_purchase(
        &self,
        purchased: &Purchased<'_>,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let Purchased {
            secret,
            user,
            key,
            lines,
        } = *purchased;
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        let open = locked.shard.take_open_if(reference, secret);
        let held = open.as_ref().is_some_and(|open| open.hold.is_some());
        match open {
            None => self.add_code(secret, reference)?,
            Some(open) => {
                let chosen = open.lines.into_iter();
                if !chosen.eq(lines.iter().map(|line| (line.item, line.quantity))) {
                    return Err(format!("user {user:?} purchases what they did not choose"));
                }
            }
        }
        let buyer = locked.shard.buyer(reference);
        let mut sold_lines = Vec::new();
        for line in lines.iter() {
            self.check_item(line.item)?;
            self.apply_line(line, reference, held)?;
            buyer.bought += if line.sold { line.quantity } else { 0 };
            sold_lines.push(line);
        }
        if buyer.bought > self.terms.max_items_per_user {
            return Err(format!("user {user:?} bought {} units", buyer.bought));
        }
        let result = Arc::new(PurchaseResult {
            lines: sold_lines.into(),
        });
        let end = CheckoutEnd::Processed {
            key: key.map(Into::into),
            result,
        };
        buyer.closed.push(ClosedCheckout {
            secret,
            at,
            lsn,
            end,
        });
        Ok(())
    }

    fn apply_line(
        &self,
        PurchasedLine {
            item,
            quantity,
            sold,
        }: PurchasedLine,
        reference: BuyerRef,
        held: bool,
    ) -> Result<(), String> {
        let taker = self.taker(reference);
        match (held, sold) {
            (true, true) => self.inventory.sell_held(item, quantity, taker),
            (true, false) => return Err(format!("item {} was held and not sold", item.0)),
            (false, false) => {}
            (false, true) if self.inventory.sell(item, quantity, taker) => {}
            (false, true) => return Err(format!("item {} is sold beyond its stock", item.0)),
        }
        Ok(())
    }

    /// An expiry closes its open checkout; in a snapshot it stands alone.
    fn apply_expired(
        &self,
        secret: u128,
        user: &str,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        if let Some(open) = locked.shard.take_open_if(reference, secret) {
            self.end_expired(reference, locked.shard.buyer(reference), open, at, lsn);
            return Ok(());
        }
        self.add_code(secret, reference)?;
        locked.shard.buyer(reference).closed.push(ClosedCheckout {
            secret,
            at,
            lsn,
            end: CheckoutEnd::Expired,
        });
        Ok(())
    }
}
