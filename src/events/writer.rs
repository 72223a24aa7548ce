//! Writes records down as events.

use std::sync::Arc;

use super::event::ShopEvent;
use super::filter::EventFilter;
use super::sales::EventSales;
use super::source::EventSource;
use crate::record::{Entry, Undecodable};
use crate::sale::{NotLoaded, Sale};
use crate::types::{EventType, SaleId};

/// Writes the events of one journal.
pub struct EventWriter {
    source: EventSource,
    sales: EventSales,
}

/// Why an event could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// This build cannot decode the record.
    Undecodable(Undecodable),
    /// The sale whose items it names cannot be loaded.
    Sale(NotLoaded),
}

impl EventWriter {
    /// Creates a writer of the events of the journal `source`, which names items of `sales`.
    #[must_use]
    pub fn new(source: EventSource, sales: EventSales) -> Self {
        Self { source, sales }
    }

    /// Returns the name of the journal.
    #[must_use]
    pub fn source(&self) -> &str {
        self.source.as_str()
    }

    /// Appends what `frame` makes of the event of `entry`, if it has one that `filter` admits, and returns its type and sale.
    ///
    /// # Errors
    /// See [`Unwritten`]; nothing was appended then.
    pub fn write(
        &mut self,
        entry: &Entry<'_>,
        filter: &EventFilter,
        out: &mut Vec<u8>,
        begin: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<(EventType, SaleId)>, Unwritten> {
        let record = entry.record().map_err(Unwritten::Undecodable)?;
        let Some(mut event) = ShopEvent::of(&record) else {
            return Ok(None);
        };
        let (kind, sale) = (event.kind, event.sale);
        if !filter.admits(kind, sale) {
            return Ok(None);
        }
        if event.lacks_units() {
            event.note_units(self.sales.units(sale).map_err(Unwritten::Sale)?);
        }
        if event.names_items() {
            let sale: Arc<Sale> = self.sales.find(sale).map_err(Unwritten::Sale)?;
            event.list_items(&sale);
        }
        begin(out);
        event.write(self.source.as_str(), entry.lsn, entry.at, out);
        Ok(Some((kind, sale)))
    }

    /// Lets go of the sale that was named last.
    pub fn forget(&mut self) {
        self.sales.forget();
    }
}
