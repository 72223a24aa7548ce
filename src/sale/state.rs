//! Memory as a fold over the journal: applies records and checks that they do not contradict each
//! other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cancelled::Cancellation;
use super::catalogue::{Catalogue, ExplicitItems};
use super::ended_sale::{EndedSale, EndedSales};
use super::keys::KeyedCheckout;
use super::payment::PaymentStart;
use super::registry::SaleRegistry;
use super::replay::{Chosen, Purchased};
use super::sale::Sale;
use crate::journal::{JournalError, Opening, Replayed};
use crate::record::{CatalogueKind, Entry, Items, Record, SaleTerms};
use crate::types::{ItemIndex, Lsn, SaleId};

/// The state that the records so far have led to.
#[derive(Default)]
pub struct State {
    registry: SaleRegistry,
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
    /// The records replayed behind the snapshot.
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

impl State {
    pub(super) fn into_parts(self) -> (SaleRegistry, EndedSales) {
        (self.registry, self.ended)
    }

    pub(super) fn registry(&self) -> &SaleRegistry {
        &self.registry
    }

    /// Returns a state of the same sales, for an engine that shows what happens to them while this one goes on
    /// ([`FollowingState`](super::FollowingState)).
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            registry: self.registry.clone(),
            ended: self.ended.clone(),
            announced: BTreeMap::new(),
        }
    }

    /// The numbers of sales whose items have come, and which themselves have not.
    pub(super) fn announced_sales(&self) -> impl Iterator<Item = SaleId> {
        self.announced.keys().copied()
    }

    /// The state of a running engine; exact only while nobody decides anything.
    #[must_use]
    pub fn of_engine(engine: &super::Engine) -> Self {
        // In this order, because sales leave the one for the other.
        let mut registry = SaleRegistry::clone(&engine.registry.load());
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
        let record = entry.record()?;
        let Some(ended) = EndedSale::from_record(&record) else {
            return self.apply_record(entry, &record);
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
        let record = entry.record()?;
        self.apply_record(entry, &record)?;
        let Record::SaleClosed { sale: id } = record else {
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
    /// The record contradicts those before it, or this build cannot decode it.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.apply_record(entry, &entry.record()?)
    }

    /// Applies `record`, which was decoded from `entry`.
    pub fn apply_record(
        &mut self,
        entry: &Entry<'_>,
        record: &Record<'_>,
    ) -> Result<(), JournalError> {
        let applied = match *record {
            Record::SaleItems { sale, first, items } => self.announce(sale, first, items),
            Record::SaleCreated { sale, terms } => self.create(sale, terms),
            Record::SaleClosed { sale } => self.find(sale).map(|sale| {
                sale.close(entry.at, || entry.lsn);
                self.registry.refresh();
            }),
            Record::SaleChanged { sale, change } => {
                self.find(sale).and_then(|sale| sale.apply_change(change))
            }
            Record::StockChanged {
                sale,
                item,
                units,
                reference,
            } => self
                .find(sale)
                .and_then(|sale| sale.apply_stock_change(item, units, reference, entry.lsn)),
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
                    KeyedCheckout::new(secret, (item, quantity), &key, entry.lsn),
                )
            }),
            Record::PaymentBegun {
                sale,
                secret,
                user,
                hold_until,
                held_until,
                lines,
            } => {
                let start = PaymentStart {
                    secret,
                    user,
                    hold_until,
                    held_until,
                    lines,
                };
                self.find(sale)
                    .and_then(|sale| sale.apply_payment(&start, entry.at, entry.lsn))
            }
            Record::Purchase {
                sale,
                secret,
                user,
                key,
                payment_ref,
                lines,
            } => {
                let purchased = Purchased {
                    secret,
                    user,
                    key,
                    payment_ref,
                    lines,
                };
                self.find(sale)
                    .and_then(|sale| sale.apply_purchase(&purchased, entry.at, entry.lsn))
            }
            Record::Cancelled {
                sale,
                secret,
                user,
                reference,
                lines,
                restock,
            } => {
                let cancellation = Cancellation {
                    secret,
                    reference: reference.into(),
                    lines: lines.iter().collect(),
                    restock,
                    at: entry.at,
                    lsn: entry.lsn,
                };
                self.find(sale)
                    .and_then(|sale| sale.apply_cancelled(user, cancellation))
            }
            Record::Expired {
                sale,
                secret,
                user,
                lines,
            } => self
                .find(sale)
                .and_then(|sale| sale.apply_expired(secret, user, lines, entry.at, entry.lsn)),
            Record::Released {
                sale,
                secret,
                user,
                line,
            } => self
                .find(sale)
                .and_then(|sale| sale.apply_released(secret, user, line, entry.lsn)),
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
