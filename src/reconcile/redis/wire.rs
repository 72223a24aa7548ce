//! Changes as the arguments of the call that applies them; `projection.lua` reads the same order.

use std::collections::BTreeMap;

use redis::Cmd;

use super::batch::{Changes, Event, EventKind, RedisBatch};
use super::keys::{EVENTS, SALES, SaleKeys, WATERMARK};
use crate::limits::{REDIS_EVENTS_MIN, REDIS_SALE_SECONDS};
use crate::reconcile::Watermark;
use crate::record::CatalogueKind;
use crate::types::{GeneratedItemId, ItemIndex, SaleId, Timestamp};

/// Where the projection is: its watermark, and the token of whoever fills it, empty for nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct RedisPosition<'a> {
    pub(super) watermark: Watermark,
    pub(super) token: &'a str,
}

/// What must be known of a sale that changes, besides the changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) kind: Option<SaleKind>,
    pub(super) ended_at: Option<Timestamp>,
}

/// Where the items of a sale come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleKind {
    /// Named by their place, of stock 1.
    Generated,
    /// Listed when the sale was created.
    Listed,
}

impl SaleKind {
    /// As the projection spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Listed => "listed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Generated, Self::Listed]
            .into_iter()
            .find(|kind| kind.name() == text)
    }
}

impl From<CatalogueKind> for SaleKind {
    fn from(catalogue: CatalogueKind) -> Self {
        match catalogue {
            CatalogueKind::Generated { .. } => Self::Generated,
            CatalogueKind::Explicit { .. } => Self::Listed,
        }
    }
}

/// All that the changes of a batch need to be sent.
pub(super) struct Resolved<'a> {
    pub(super) batch: &'a RedisBatch,
    pub(super) known: BTreeMap<SaleId, Known>,
    /// The ids of listed items.
    pub(super) ids: BTreeMap<(SaleId, u32), String>,
}

/// The second at which the keys of a sale expire: a time after it was closed, or was to end where that
/// came first. A snapshot knows only the latter.
#[must_use]
pub fn expires_at(closed: Timestamp, ended_at: Timestamp) -> i64 {
    closed
        .min(ended_at)
        .plus_seconds(REDIS_SALE_SECONDS)
        .seconds()
}

impl Resolved<'_> {
    /// Appends keys and arguments.
    pub(super) fn write(&self, from: RedisPosition<'_>, to: RedisPosition<'_>, command: &mut Cmd) {
        let sales = &self.batch.sales;
        command.arg(3 + 5 * sales.len());
        command.arg(&[WATERMARK, SALES, EVENTS]);
        for &sale in sales.keys() {
            command.arg(&SaleKeys::of(sale).all());
        }
        for RedisPosition { watermark, token } in [from, to] {
            command
                .arg(watermark.lsn.0)
                .arg(watermark.fingerprint)
                .arg(token);
        }
        command.arg(REDIS_EVENTS_MIN).arg(sales.len());
        for (&sale, changes) in sales {
            self.write_sale(sale, changes, command);
        }
        command.arg(self.batch.events.len());
        for event in &self.batch.events {
            self.write_event(event, command);
        }
    }

    fn write_sale(&self, sale: SaleId, changes: &Changes, command: &mut Cmd) {
        let known = self.known.get(&sale).cloned().unwrap_or_default();
        command
            .arg(sale.0)
            .arg(known.kind.map_or("", SaleKind::name));
        match &changes.announced {
            None => command.arg("").arg("").arg(0),
            Some(announced) => {
                let units: u64 = announced.items.iter().map(|(_, stock)| stock).sum();
                command
                    .arg(announced.first)
                    .arg(units)
                    .arg(announced.items.len());
                for (index, (id, stock)) in (announced.first..).zip(&announced.items) {
                    command.arg(index).arg(id).arg(stock);
                }
                &mut *command
            }
        };
        match &changes.created {
            None => command.arg(""),
            Some(terms) => {
                let count = terms.catalogue.item_count();
                // The units of listed items are counted where they are.
                command.arg(count).arg(count);
                command
                    .arg(terms.started_at.to_string())
                    .arg(terms.ended_at.to_string());
                command.arg(terms.max_items_per_user)
            }
        };
        command.arg(changes.sold).arg(changes.gone);
        if known.kind == Some(SaleKind::Generated) {
            command.arg(changes.taken.len());
            for (item, is_taken) in &changes.taken {
                command.arg(item).arg(u8::from(*is_taken));
            }
        } else {
            command.arg(changes.lines.len());
            for (&item, units) in &changes.lines {
                // One that is not known is empty, and the call finds that it was lost.
                command.arg(self.id(sale, item)).arg(units);
            }
        }
        command.arg(changes.stocks.len());
        for (&item, units) in &changes.stocks {
            command.arg(self.id(sale, item)).arg(units);
        }
        command.arg(changes.users.len());
        for (user, units) in &changes.users {
            command.arg(user).arg(units);
        }
        command.arg(match changes.paused {
            None => "",
            Some(true) => "paused",
            Some(false) => "open",
        });
        let ended_at = changes.ended_at.map(|ended_at| ended_at.to_string());
        command.arg(ended_at.unwrap_or_default());
        match changes.closed {
            None => command.arg(""),
            Some(at) => command.arg(expires_at(at, known.ended_at.unwrap_or(at))),
        };
    }

    fn id(&self, sale: SaleId, item: u32) -> &str {
        self.ids.get(&(sale, item)).map_or("", String::as_str)
    }

    fn write_event(&self, event: &Event, command: &mut Cmd) {
        command.arg(event.lsn.0).arg(event.kind.name());
        command.arg(event.sale.0).arg(event.at.to_string());
        match &event.kind {
            EventKind::Created | EventKind::Closed => command.arg("").arg("").arg(""),
            EventKind::Changed(change) => {
                let ended_at = change.ended_at().map(|ended_at| ended_at.to_string());
                command.arg("").arg("").arg(ended_at.unwrap_or_default())
            }
            EventKind::StockChanged { item, units } => {
                command.arg("").arg(self.id(event.sale, *item)).arg(units)
            }
            EventKind::Purchased { user, code, lines } => {
                let items = self.items(event.sale, lines);
                command.arg(user).arg(code.to_string()).arg(items)
            }
            EventKind::Cancelled {
                user, code, lines, ..
            } => {
                let items = self.items(event.sale, lines);
                command.arg(user).arg(code.to_string()).arg(items)
            }
        };
        match event.kind {
            EventKind::Cancelled { restock, .. } => command.arg(restock.to_string()),
            _ => command.arg(""),
        };
    }

    /// What was sold or cancelled, as JSON.
    fn items(&self, sale: SaleId, lines: &[(u32, u32)]) -> String {
        let known = self.known.get(&sale);
        let generated = known.is_some_and(|known| known.kind == Some(SaleKind::Generated));
        let item = |&(index, quantity): &(u32, u32)| {
            let id = if generated {
                let index = ItemIndex(index);
                GeneratedItemId { sale, index }.to_string()
            } else {
                self.id(sale, index).to_owned()
            };
            serde_json::json!({ "item": id, "quantity": quantity })
        };
        serde_json::Value::Array(lines.iter().map(item).collect()).to_string()
    }
}
