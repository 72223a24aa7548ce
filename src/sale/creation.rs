//! New sales: what is checked before one exists, and how it comes to exist.

use std::sync::Arc;

use super::catalogue::{Catalogue, ExplicitItems};
use super::engine::Engine;
use super::outcome::{Decision, Unavailable};
use super::sale::Sale;
use crate::limits;
use crate::record::{CatalogueKind, NewItem, Record, SaleTerms};
use crate::types::{GENERATED_ITEM_PREFIX, ItemId, PaymentTerms, SaleId, Timestamp, has_control};

/// The error of an id that an item before it has.
pub const REPEATED_ITEM_ID: &str = "is the id of another item of this sale";

/// A sale that somebody wants.
#[derive(Clone, Debug)]
pub struct NewSale<'a> {
    /// From when on it sells.
    pub started_at: Timestamp,
    /// From when on it sells no more.
    pub ended_at: Timestamp,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// Seconds that a checkout holds its units; 0 for not at all.
    pub hold_seconds: u32,
    /// The terms of paying.
    pub payment: PaymentTerms,
    /// Its catalogue.
    pub catalogue: NewCatalogue<'a>,
}

/// The catalogue of a new sale.
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
        /// The allowed values.
        what: String,
    },
    /// As many sales are open, or being created, as may be.
    #[error(
        "{} sales are open, and more may not be; close one first",
        limits::OPEN_SALES_MAX
    )]
    TooManyOpen,
    /// Nothing is recorded at the moment.
    #[error("the sale could not be recorded")]
    Unavailable(Unavailable),
}

impl Engine {
    /// Creates a sale; the decision's record is the one that makes it exist. Blocks the thread while a
    /// long list of items is written, which must not be a worker's: up to seconds, in which buyers and
    /// other creations go on.
    ///
    /// # Errors
    /// A value is not allowed, or nothing can be recorded. Then there is no sale.
    pub fn create_sale(&self, new: &NewSale<'_>) -> Result<Decision<Arc<Sale>>, CreateError> {
        check(new)?;
        let listed = match &new.catalogue {
            NewCatalogue::Explicit(items) => collect(items)?,
            NewCatalogue::Generated { .. } => ExplicitItems::default(),
        };
        let id = self.reserve_number()?;
        let created = self.create_numbered(id, new, listed);
        if created.is_err() {
            self.administration.lock().give_back(id);
        }
        created
    }

    fn reserve_number(&self) -> Result<SaleId, CreateError> {
        let mut numbers = self.administration.lock();
        let registry = self.registry.load();
        if registry.open().len() + numbers.reserved() >= limits::OPEN_SALES_MAX {
            return Err(CreateError::TooManyOpen);
        }
        Ok(numbers.reserve(registry.last_id()))
    }

    /// Creates the sale with a number that is reserved. `listed` are the items of a listed catalogue.
    fn create_numbered(
        &self,
        id: SaleId,
        new: &NewSale<'_>,
        listed: ExplicitItems,
    ) -> Result<Decision<Arc<Sale>>, CreateError> {
        let admitted = match &new.catalogue {
            NewCatalogue::Generated { .. } => self.admit(),
            NewCatalogue::Explicit(items) => self.announce(id, items),
        };
        admitted.map_err(CreateError::Unavailable)?;
        let (kind, catalogue) = match new.catalogue {
            NewCatalogue::Generated { item_count, seed } => {
                let sale = id;
                let kind = CatalogueKind::Generated { seed, item_count };
                (
                    kind,
                    Catalogue::Generated {
                        sale,
                        seed,
                        item_count,
                    },
                )
            }
            NewCatalogue::Explicit(_) => {
                let item_count = listed.count() as u32;
                let kind = CatalogueKind::Explicit { item_count };
                (kind, Catalogue::Explicit(listed))
            }
        };
        let terms = SaleTerms {
            started_at: new.started_at,
            ended_at: new.ended_at,
            max_items_per_user: new.max_items_per_user,
            hold_seconds: new.hold_seconds,
            payment: new.payment,
            catalogue: kind,
        };
        let sale = Arc::new(Sale::new(id, terms, catalogue));
        if self.options.record_openings {
            sale.phase.await_opening();
        }
        let mut numbers = self.administration.lock();
        let record = Record::SaleCreated { sale: id, terms };
        let lsn = self.journal.append(self.now(), &record);
        self.set_registry(self.registry.load().with(Arc::clone(&sale)));
        numbers.used(id);
        Ok(Decision::after(lsn, sale))
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
    if new.payment.seconds > limits::PAYMENT_SECONDS_MAX {
        return Err(invalid(
            "payment_seconds",
            format!("must be 0 to {}", limits::PAYMENT_SECONDS_MAX),
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
        check_item_id(item.id).map_err(|what| invalid(field("id"), what))?;
        check_item_name(item.name).map_err(|what| invalid(field("name"), what))?;
        check_image_url(item.image_url).map_err(|what| invalid(field("image_url"), what))?;
        if !(1..=limits::ITEM_STOCK_MAX).contains(&item.stock) {
            return Err(invalid(
                field("stock"),
                format!("must be 1 to {}", limits::ITEM_STOCK_MAX),
            ));
        }
        let limit = item.max_per_user.map(|limit| u32::from(limit.get()));
        if limit.is_some_and(|limit| limit > limits::ITEMS_PER_USER_MAX) {
            return Err(invalid(
                field("max_per_user"),
                format!("must be 1 to {}", limits::ITEMS_PER_USER_MAX),
            ));
        }
        if !collected.push(item) {
            return Err(invalid(field("id"), REPEATED_ITEM_ID));
        }
    }
    collected.shrink();
    Ok(collected)
}

/// Checks the id of a listed item. Whether another item has it is not known here.
///
/// # Errors
/// Says what is allowed.
pub fn check_item_id(id: &str) -> Result<(), String> {
    ItemId::new(id).map_err(|wrong| wrong.to_string())?;
    if id.starts_with(GENERATED_ITEM_PREFIX) {
        return Err("must not begin with ITM-, as generated ids do".into());
    }
    Ok(())
}

/// Checks the name of a listed item.
///
/// # Errors
/// Says what is allowed.
pub fn check_item_name(name: &str) -> Result<(), String> {
    check_text(name, 1, limits::ITEM_NAME_BYTES_MAX)?;
    if name.trim().is_empty() {
        return Err("must not be blank".into());
    }
    Ok(())
}

/// Checks the address of a listed item's picture.
///
/// # Errors
/// Says what is allowed.
pub fn check_image_url(address: &str) -> Result<(), String> {
    check_text(address, 0, limits::IMAGE_URL_BYTES_MAX)
}

fn check_text(text: &str, bytes_min: usize, bytes_max: usize) -> Result<(), String> {
    if !(bytes_min..=bytes_max).contains(&text.len()) {
        return Err(format!("must be {bytes_min} to {bytes_max} bytes"));
    }
    if has_control(text) {
        return Err("must not contain control characters".into());
    }
    Ok(())
}
