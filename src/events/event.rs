//! The event of a record: its type, and what it says.
//!
//! No event has the code of an open checkout: whoever knows that may purchase.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};

use crate::record::{CancelledLines, CatalogueKind, Lines, Record, SaleChange};
use crate::sale::Sale;
use crate::types::{CheckoutCode, EventType, ItemIndex, Lsn, PurchaseBy, SaleId, Timestamp};

/// The event of a record.
pub(super) struct ShopEvent<'a> {
    pub(super) kind: EventType,
    pub(super) sale: SaleId,
    data: EventData<'a>,
}

/// What an event says, as its `data`.
#[derive(Serialize)]
#[serde(untagged)]
enum EventData<'a> {
    Sale {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        #[serde(serialize_with = "as_text")]
        started_at: Timestamp,
        #[serde(serialize_with = "as_text")]
        ended_at: Timestamp,
        /// The units of all its items, once they are known.
        total_items: Option<u64>,
        max_items_per_user: u32,
        hold_seconds: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        payment_seconds: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        purchase_by: Option<&'static str>,
    },
    OfSale {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
    },
    Extended {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        #[serde(serialize_with = "as_text")]
        ended_at: Timestamp,
    },
    Stock {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        /// Empty until it is listed.
        item_id: String,
        added: i64,
        #[serde(rename = "ref")]
        reference: &'a str,
        #[serde(skip)]
        item: ItemIndex,
    },
    Checkout {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        #[serde(serialize_with = "as_text")]
        code: CheckoutCode,
        user_id: &'a str,
    },
    /// Without the code, with which anybody could purchase.
    Payment {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        user_id: &'a str,
        items: Vec<EventItem>,
        #[serde(serialize_with = "as_text")]
        held_until: Timestamp,
        #[serde(skip)]
        lines: Lines<'a>,
    },
    Purchase {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        #[serde(serialize_with = "as_text")]
        code: CheckoutCode,
        user_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payment_ref: Option<&'a str>,
        items: Vec<EventItem>,
        total_purchased: u64,
        failed_count: u64,
        #[serde(skip)]
        lines: Lines<'a>,
    },
    Cancelled {
        #[serde(serialize_with = "as_text")]
        sale_id: SaleId,
        #[serde(serialize_with = "as_text")]
        code: CheckoutCode,
        user_id: &'a str,
        #[serde(rename = "ref")]
        reference: &'a str,
        items: Vec<EventUnits>,
        total_cancelled: u64,
        restock: bool,
        #[serde(skip)]
        lines: CancelledLines<'a>,
    },
}

/// Units of an item.
#[derive(Serialize)]
struct EventUnits {
    id: String,
    quantity: u32,
}

/// One line of a purchase, or of a checkout that is paid.
#[derive(Serialize)]
struct EventItem {
    id: String,
    quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<bool>,
}

impl<'a> ShopEvent<'a> {
    /// Returns the event of `record`; `None` where it tells shops nothing. A new record is one arm more.
    pub(super) fn of(record: &Record<'a>) -> Option<Self> {
        let event = |kind, sale, data| Some(Self { kind, sale, data });
        let of_checkout = |sale, secret, user_id| EventData::Checkout {
            sale_id: sale,
            code: CheckoutCode { sale, secret },
            user_id,
        };
        match *record {
            Record::SaleCreated { sale, terms } => {
                let payment = terms.payment;
                let by_shop = payment.purchase_by == PurchaseBy::Shop;
                let data = EventData::Sale {
                    sale_id: sale,
                    started_at: terms.started_at,
                    ended_at: terms.ended_at,
                    total_items: units_of(terms.catalogue),
                    max_items_per_user: terms.max_items_per_user,
                    hold_seconds: terms.hold_seconds,
                    payment_seconds: Some(payment.seconds).filter(|&seconds| seconds > 0),
                    purchase_by: by_shop.then(|| payment.purchase_by.name()),
                };
                event(EventType::SaleCreated, sale, data)
            }
            Record::SaleClosed { sale } => {
                let data = EventData::OfSale { sale_id: sale };
                event(EventType::SaleClosed, sale, data)
            }
            Record::SaleChanged { sale, change } => {
                let of_sale = EventData::OfSale { sale_id: sale };
                match change {
                    SaleChange::Opened => event(EventType::SaleOpened, sale, of_sale),
                    SaleChange::Paused => event(EventType::SalePaused, sale, of_sale),
                    SaleChange::Resumed => event(EventType::SaleResumed, sale, of_sale),
                    SaleChange::Extended(ended_at) => {
                        let data = EventData::Extended {
                            sale_id: sale,
                            ended_at,
                        };
                        event(EventType::SaleExtended, sale, data)
                    }
                }
            }
            Record::StockChanged {
                sale,
                item,
                units,
                reference,
            } => {
                let data = EventData::Stock {
                    sale_id: sale,
                    item_id: String::new(),
                    added: units,
                    reference,
                    item,
                };
                event(EventType::StockChanged, sale, data)
            }
            Record::Expired {
                sale, secret, user, ..
            } => event(
                EventType::CheckoutExpired,
                sale,
                of_checkout(sale, secret, user),
            ),
            Record::Released {
                sale,
                secret,
                user,
                line: None,
            } => event(
                EventType::CheckoutReleased,
                sale,
                of_checkout(sale, secret, user),
            ),
            Record::PaymentBegun {
                sale,
                user,
                held_until,
                lines,
                ..
            } => {
                let data = EventData::Payment {
                    sale_id: sale,
                    user_id: user,
                    items: Vec::new(),
                    held_until,
                    lines,
                };
                event(EventType::PaymentBegun, sale, data)
            }
            Record::Purchase {
                sale,
                secret,
                user,
                payment_ref,
                lines,
                ..
            } => {
                let units = |sold| units(lines, sold);
                let (total_purchased, failed_count) = (units(true), units(false));
                let data = EventData::Purchase {
                    sale_id: sale,
                    code: CheckoutCode { sale, secret },
                    user_id: user,
                    payment_ref,
                    items: Vec::new(),
                    total_purchased,
                    failed_count,
                    lines,
                };
                // Of a checkout whose items were all gone there is nothing to deliver.
                (total_purchased > 0)
                    .then(|| event(EventType::PurchaseCompleted, sale, data))
                    .flatten()
            }
            Record::Cancelled {
                sale,
                secret,
                user,
                reference,
                lines,
                restock,
            } => {
                let units = lines.iter().map(|line| u64::from(line.quantity));
                let data = EventData::Cancelled {
                    sale_id: sale,
                    code: CheckoutCode { sale, secret },
                    user_id: user,
                    reference,
                    items: Vec::new(),
                    total_cancelled: units.sum(),
                    restock,
                    lines,
                };
                event(EventType::PurchaseCancelled, sale, data)
            }
            // An open checkout is the buyer's alone. The others are parts of a sale or of snapshots.
            Record::Checkout { .. }
            | Record::Released { line: Some(_), .. }
            | Record::Refused { .. }
            | Record::SaleItems { .. }
            | Record::SaleArchived { .. }
            | Record::KeptKey { .. } => None,
        }
    }

    /// Returns whether it lacks the units of its sale, which [`Self::note_units`] must note.
    pub(super) fn lacks_units(&self) -> bool {
        let EventData::Sale { total_items, .. } = &self.data else {
            return false;
        };
        total_items.is_none()
    }

    /// Notes the units that its sale began with.
    pub(super) fn note_units(&mut self, units: u64) {
        if let EventData::Sale { total_items, .. } = &mut self.data {
            *total_items = Some(units);
        }
    }

    /// Returns whether it names items, which [`Self::list_items`] must list.
    pub(super) fn names_items(&self) -> bool {
        matches!(
            self.data,
            EventData::Purchase { .. }
                | EventData::Payment { .. }
                | EventData::Cancelled { .. }
                | EventData::Stock { .. }
        )
    }

    /// Lists the items, which are of `sale`.
    pub(super) fn list_items(&mut self, sale: &Sale) {
        let (items, lines, is_sold) = match &mut self.data {
            EventData::Purchase { items, lines, .. } => (items, lines, true),
            EventData::Payment { items, lines, .. } => (items, lines, false),
            EventData::Stock { item_id, item, .. } => {
                *item_id = id_of(sale, *item);
                return;
            }
            EventData::Cancelled { items, lines, .. } => {
                items.extend(lines.iter().map(|line| EventUnits {
                    id: id_of(sale, line.item),
                    quantity: line.quantity,
                }));
                return;
            }
            _ => return,
        };
        items.extend(lines.iter().map(|line| EventItem {
            id: id_of(sale, line.item),
            quantity: line.quantity,
            sold: is_sold.then_some(line.sold),
            reserved: (!is_sold).then_some(line.sold),
        }));
    }

    /// Appends it as a CloudEvent, as that of the record `lsn` of the journal `source`, which was decided at `time`.
    pub(super) fn write(&self, source: &str, lsn: Lsn, time: Timestamp, out: &mut Vec<u8>) {
        let event = CloudEvent {
            specversion: "1.0",
            id: lsn,
            source,
            kind: self.kind.name(),
            subject: EventSubject(self.sale),
            time,
            datacontenttype: "application/json",
            data: &self.data,
        };
        serde_json::to_writer(out, &event).expect("nothing of it can fail");
    }
}

/// Returns the units of a catalogue; `None` where they are in the records of its items.
fn units_of(catalogue: CatalogueKind) -> Option<u64> {
    match catalogue {
        CatalogueKind::Generated { item_count, .. } => Some(item_count.into()),
        CatalogueKind::Explicit { .. } => None,
    }
}

/// Returns the units of the lines that were sold, or were not.
fn units(lines: Lines<'_>, sold: bool) -> u64 {
    let lines = lines.iter().filter(|line| line.sold == sold);
    lines.map(|line| u64::from(line.quantity)).sum()
}

fn id_of(sale: &Sale, item: ItemIndex) -> String {
    let mut id = Vec::new();
    sale.write_item_id(item, &mut id);
    String::from_utf8_lossy(&id).into_owned()
}

/// The envelope of an event, as CloudEvents 1.0 has it.
#[derive(Serialize)]
struct CloudEvent<'e> {
    specversion: &'static str,
    #[serde(serialize_with = "as_text")]
    id: Lsn,
    source: &'e str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(serialize_with = "as_text")]
    subject: EventSubject,
    #[serde(serialize_with = "as_text")]
    time: Timestamp,
    datacontenttype: &'static str,
    data: &'e EventData<'e>,
}

/// What an event is about: its sale.
struct EventSubject(SaleId);

impl Display for EventSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sales/{}", self.0)
    }
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
