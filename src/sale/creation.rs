//! New sales: what is checked before one exists, and how it comes to exist.

use std::sync::Arc;

use super::catalogue::{Catalogue, ExplicitItems};
use super::engine::Engine;
use super::outcome::{Decision, Unavailable};
use super::sale::Sale;
use crate::journal::Record;
use crate::journal::record::{CatalogueKind, NewItem, SaleTerms};
use crate::limits;
use crate::types::{GENERATED_ITEM_PREFIX, ItemId, SaleId, Timestamp};

/// A sale that somebody wants.
#[derive(Clone, Debug)]
pub struct NewSale<'a> {
    /// From when on it sells.
    pub started_at: Timestamp,
    /// From when on it sells no more.
    pub ended_at: Timestamp,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// How long a checkout holds its units; 0 for not at all.
    pub hold_seconds: u32,
    /// What it sells.
    pub catalogue: NewCatalogue<'a>,
}

/// What a new sale sells.
#[derive(Clone, Debug)]
pub enum NewCatalogue<'a> {
    /// Items of stock 1 with names and pictures drawn from a seed.
    Generated {
        /// Number of items.
        item_count: u32,
        /// Determines names and pictures.
        seed: u64,
    },
    /// The given items.
    Explicit(Vec<NewItem<'a>>),
}

/// Why a sale was not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A field's value is not allowed.
    #[error("{field}: {what}")]
    Invalid {
        /// The field, as the HTTP interface names it.
        field: String,
        /// What is allowed.
        what: String,
    },
    /// Nothing is recorded at the moment.
    #[error("the sale could not be recorded")]
    Unavailable(Unavailable),
}

impl Engine {
    /// Creates a sale. Blocks while a long list of items is written; the decision's record is the
    /// one that makes the sale exist.
    ///
    /// # Errors
    /// A value is not allowed, or nothing can be recorded. Then there is no sale.
    pub fn create_sale(&self, new: &NewSale<'_>) -> Result<Decision<Arc<Sale>>, CreateError> {
        check(new)?;
        let _one_at_a_time = self.administration.lock();
        let id = SaleId(self.registry.load().last_id() + 1);
        let (kind, catalogue) = match &new.catalogue {
            NewCatalogue::Generated { item_count, seed } => {
                let (item_count, seed) = (*item_count, *seed);
                let catalogue = Catalogue::Generated {
                    sale: id,
                    seed,
                    item_count,
                };
                (CatalogueKind::Generated { seed, item_count }, catalogue)
            }
            NewCatalogue::Explicit(items) => {
                let catalogue = Catalogue::Explicit(collect(items)?);
                self.record_items(id, items)?;
                (
                    CatalogueKind::Explicit {
                        item_count: items.len() as u32,
                    },
                    catalogue,
                )
            }
        };
        let terms = SaleTerms {
            started_at: new.started_at,
            ended_at: new.ended_at,
            max_items_per_user: new.max_items_per_user,
            hold_seconds: new.hold_seconds,
            catalogue: kind,
        };
        self.admit().map_err(CreateError::Unavailable)?;
        let sale = Arc::new(Sale::new(id, terms, catalogue));
        let lsn = self
            .journal
            .append(self.now(), &Record::SaleCreated { sale: id, terms });
        self.set_registry(self.registry.load().with(Arc::clone(&sale)));
        Ok(Decision::after(lsn, sale))
    }

    /// Records the items, a bounded number at a time, so that buyers of other sales go on.
    fn record_items(&self, sale: SaleId, items: &[NewItem<'_>]) -> Result<(), CreateError> {
        for (index, record) in Record::announcing(sale, items).enumerate() {
            self.admit().map_err(CreateError::Unavailable)?;
            let lsn = self.journal.append(self.now(), &record);
            if index % 16 == 15 {
                let failed = |_| CreateError::Unavailable(Unavailable::Journal);
                self.journal.wait(lsn).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn invalid(field: impl Into<String>, what: impl Into<String>) -> CreateError {
    CreateError::Invalid {
        field: field.into(),
        what: what.into(),
    }
}

fn check(new: &NewSale<'_>) -> Result<(), CreateError> {
    let seconds = new.ended_at.seconds() - new.started_at.seconds();
    if new.ended_at <= new.started_at || seconds > i64::from(limits::SALE_SECONDS_MAX) {
        return Err(invalid(
            "ended_at",
            "must be after started_at, by a year at most",
        ));
    }
    if !(1..=limits::ITEMS_PER_USER_MAX).contains(&new.max_items_per_user) {
        return Err(invalid(
            "max_items_per_user",
            format!("must be 1 to {}", limits::ITEMS_PER_USER_MAX),
        ));
    }
    if new.hold_seconds > limits::HOLD_SECONDS_MAX {
        return Err(invalid(
            "hold_seconds",
            format!("must be 0 to {}", limits::HOLD_SECONDS_MAX),
        ));
    }
    let item_count = match &new.catalogue {
        NewCatalogue::Generated { item_count, .. } => *item_count as usize,
        NewCatalogue::Explicit(items) => items.len(),
    };
    if !(1..=limits::SALE_ITEMS_MAX as usize).contains(&item_count) {
        return Err(invalid(
            "total_items",
            format!("must be 1 to {}", limits::SALE_ITEMS_MAX),
        ));
    }
    Ok(())
}

fn collect(items: &[NewItem<'_>]) -> Result<ExplicitItems, CreateError> {
    let mut collected = ExplicitItems::default();
    for (index, item) in items.iter().enumerate() {
        let field = |name: &str| format!("items[{index}].{name}");
        ItemId::new(item.id).map_err(|wrong| invalid(field("id"), wrong.to_string()))?;
        if item.id.starts_with(GENERATED_ITEM_PREFIX) {
            return Err(invalid(
                field("id"),
                "must not begin with ITM-, as generated ids do",
            ));
        }
        check_text(item.name, limits::ITEM_NAME_BYTES_MAX)
            .map_err(|what| invalid(field("name"), what))?;
        check_text(item.image_url, limits::IMAGE_URL_BYTES_MAX)
            .map_err(|what| invalid(field("image_url"), what))?;
        if !(1..=limits::ITEM_STOCK_MAX).contains(&item.stock) {
            return Err(invalid(
                field("stock"),
                format!("must be 1 to {}", limits::ITEM_STOCK_MAX),
            ));
        }
        if !collected.push(item) {
            return Err(invalid(
                field("id"),
                "is the id of another item of this sale",
            ));
        }
    }
    Ok(collected)
}

fn check_text(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("must be at most {bytes_max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".into());
    }
    Ok(())
}
