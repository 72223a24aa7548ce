//! The body of `POST /admin/sales`: the sale to create.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::num::NonZeroU16;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use memchr::memchr_iter;

use simd_json::ErrorType;
use simd_json::tape::Array;

use super::json_document::{FieldErrors, ObjectFields, ObjectPath, kind_of};
use crate::generated;
use crate::http::encoding::without_byte_order_mark;
use crate::http::problem::Problem;
use crate::limits::{
    ADMIN_SEPARATORS_MAX, HOLD_SECONDS_MAX, ITEM_STOCK_MAX, ITEMS_PER_USER_MAX,
    PAYMENT_SECONDS_MAX, SALE_AHEAD_SECONDS_MAX, SALE_ITEMS_MAX, SALE_LATE_SECONDS_MAX,
    SALE_SECONDS_MAX,
};
use crate::sale::{
    NewCatalogue, NewItem, NewSale, REPEATED_ITEM_ID, check_image_url, check_item_id,
    check_item_name,
};
use crate::schedule::{ADDED_SEED, Rotation};
use crate::types::{ItemIndex, PaymentTerms, PurchaseBy, Timestamp, counted};

/// A request to create a sale, with the defaults for everything that it left out.
#[derive(Debug)]
pub(super) struct CreateRequest<'a> {
    started_at: Timestamp,
    ended_at: Timestamp,
    max_items_per_user: u32,
    hold_seconds: u32,
    payment: PaymentTerms,
    goods: Goods<'a>,
}

#[derive(Debug)]
enum Goods<'a> {
    Generated { item_count: u32, seed: u64 },
    Listed(Vec<RequestedItem<'a>>),
}

#[derive(Debug)]
struct RequestedItem<'a> {
    id: Cow<'a, str>,
    name: &'a str,
    image_url: Cow<'a, str>,
    stock: u64,
    max_per_user: Option<NonZeroU16>,
}

const NAMES: [&str; 9] = [
    "started_at",
    "ended_at",
    "total_items",
    "items",
    "max_items_per_user",
    "hold_seconds",
    "payment_seconds",
    "purchase_by",
    "seed",
];

const ITEM_NAMES: [&str; 5] = ["id", "name", "image_url", "stock", "max_per_user"];

type Top<'c, 't, 'a> = ObjectFields<'c, 't, 'a, 9>;

impl<'a> CreateRequest<'a> {
    /// Parses a JSON document, whose strings are unescaped in place.
    pub(super) fn parse(
        json: &'a mut [u8],
        defaults: &Rotation,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let start = json.len() - without_byte_order_mark(json).len();
        let json = &mut json[start..];
        if json.trim_ascii().is_empty() {
            let wrong = "is empty, must be a JSON object";
            return Err(Problem::validation(vec![("body".into(), wrong.into())]));
        }
        let separators = |separator| memchr_iter(separator, json).count();
        if separators(b',') + separators(b':') > ADMIN_SEPARATORS_MAX {
            let wrong = format!("has more values than a sale of {SALE_ITEMS_MAX} items needs");
            return Err(Problem::validation(vec![("body".into(), wrong.into())]));
        }
        let tape = simd_json::to_tape(json).map_err(|error| {
            let wrong = why_no_json(&error, start);
            Problem::validation(vec![("body".into(), wrong.into())])
        })?;
        let mut errors = FieldErrors::default();
        let top = ObjectFields::of(tape.as_value(), &NAMES, ObjectPath::Top, &mut errors);
        let request = top.and_then(|mut top| Self::read(&mut top, defaults, now));
        errors.check()?;
        request.ok_or_else(Problem::internal)
    }

    /// Reads all fields, so that all errors are found. `None` when the goods cannot be read.
    fn read(top: &mut Top<'_, '_, 'a>, defaults: &Rotation, now: Timestamp) -> Option<Self> {
        let (started_at, ended_at) = period(top, defaults, now);
        let max_items_per_user = top.whole32("max_items_per_user", 1..=ITEMS_PER_USER_MAX);
        let hold_seconds = top.whole32("hold_seconds", 0..=HOLD_SECONDS_MAX);
        let payment_seconds = top.whole32("payment_seconds", 0..=PAYMENT_SECONDS_MAX);
        let purchase_by = purchase_by(top);
        let seed = top.whole("seed", 0..=ADDED_SEED - 1);
        let seed = seed.unwrap_or(defaults.seed ^ started_at.seconds().cast_unsigned());
        let seed = seed | ADDED_SEED;
        Some(Self {
            started_at,
            ended_at,
            max_items_per_user: max_items_per_user.unwrap_or(defaults.max_items_per_user),
            hold_seconds: hold_seconds.unwrap_or(defaults.hold_seconds),
            payment: PaymentTerms {
                seconds: payment_seconds.unwrap_or(defaults.payment.seconds),
                purchase_by: purchase_by.unwrap_or(defaults.payment.purchase_by),
            },
            goods: goods(top, seed)?,
        })
    }

    /// Returns the sale for the engine.
    pub(super) fn sale(&self) -> NewSale<'_> {
        let catalogue = match &self.goods {
            Goods::Generated { item_count, seed } => NewCatalogue::Generated {
                item_count: *item_count,
                seed: *seed,
            },
            Goods::Listed(items) => {
                NewCatalogue::Explicit(items.iter().map(RequestedItem::item).collect())
            }
        };
        NewSale {
            started_at: self.started_at,
            ended_at: self.ended_at,
            max_items_per_user: self.max_items_per_user,
            hold_seconds: self.hold_seconds,
            payment: self.payment,
            catalogue,
        }
    }
}

/// Returns the error of a body that is no JSON, whose first `skipped` bytes the parser has not seen.
fn why_no_json(error: &simd_json::Error, skipped: usize) -> String {
    let at = skipped + error.index();
    let what = match error.error() {
        // Inside of a string the parser counts from the string's begin, or not at all.
        ErrorType::InvalidEscape
        | ErrorType::InvalidUnicodeEscape
        | ErrorType::InvalidUnicodeCodepoint => {
            ": a string has an escape that is none, or half of a surrogate pair".to_owned()
        }
        ErrorType::InvalidUtf8 => ": it is not UTF-8".to_owned(),
        _ if error.character().is_none() => {
            ": it is cut off, or a string has a control character".to_owned()
        }
        _ => format!(" at byte {at}"),
    };
    format!("is no JSON{what}; must be a JSON object")
}

impl<'a> RequestedItem<'a> {
    /// Reads an item. What has an error is left empty.
    fn read(item: &mut ObjectFields<'_, '_, 'a, 5>, index: ItemIndex, seed: u64) -> Self {
        let id = item.checked_text("id", check_item_id);
        let image_url = item.checked_text("image_url", check_image_url);
        let name = item.required("name", |item, name| {
            item.checked_text(name, check_item_name)
        });
        let stock = item.required("stock", |item, name| item.whole(name, 1..=ITEM_STOCK_MAX));
        let max_per_user = item.whole32("max_per_user", 1..=ITEMS_PER_USER_MAX);
        Self {
            id: id.map_or_else(|| format!("item-{}", index.0 + 1).into(), Cow::Borrowed),
            name: name.unwrap_or_default(),
            image_url: image_url.map_or_else(|| drawn_image(seed, index).into(), Cow::Borrowed),
            stock: stock.unwrap_or_default(),
            max_per_user: max_per_user.and_then(|limit| NonZeroU16::new(limit.try_into().ok()?)),
        }
    }

    fn item(&self) -> NewItem<'_> {
        NewItem {
            id: &self.id,
            name: self.name,
            image_url: &self.image_url,
            stock: self.stock,
            max_per_user: self.max_per_user,
        }
    }
}

/// Returns the address of a picture that the server draws.
fn drawn_image(seed: u64, index: ItemIndex) -> String {
    let mut address = Vec::with_capacity(32);
    generated::write_image_url(seed, index, &mut address);
    String::from_utf8(address).expect("the address is ASCII")
}

/// Reads the start and the end of the sale.
fn period(
    top: &mut Top<'_, '_, '_>,
    defaults: &Rotation,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let (start, end) = (top.time("started_at"), top.time("ended_at"));
    let started_at = start.unwrap_or(Timestamp::from_seconds(now.seconds()));
    let ended_at = end.unwrap_or(started_at.plus_seconds(defaults.interval_seconds));
    if started_at.plus_seconds(SALE_LATE_SECONDS_MAX) < now {
        top.wrong("started_at", "must not lie more than a minute in the past");
    } else if started_at > now.plus_seconds(SALE_AHEAD_SECONDS_MAX) {
        top.wrong("started_at", "must not lie more than a year ahead");
    }
    check_end(top, ended_at, started_at, now);
    (started_at, ended_at)
}

/// Checks the end of a sale. Beside a start that is wrong, an end is wrong when no start would suit it.
fn check_end(
    top: &mut Top<'_, '_, '_>,
    ended_at: Timestamp,
    started_at: Timestamp,
    now: Timestamp,
) {
    let mut starts = (started_at, started_at);
    if top.has_error("started_at") {
        if top.value("ended_at").is_none() {
            return;
        }
        starts = (now, now.plus_seconds(SALE_AHEAD_SECONDS_MAX));
    }
    let (first_start, last_start) = starts;
    if ended_at <= now {
        top.wrong("ended_at", "must be in the future");
    } else if ended_at <= first_start {
        top.wrong("ended_at", "must be after started_at");
    } else if ended_at > last_start.plus_seconds(SALE_SECONDS_MAX) {
        top.wrong("ended_at", "must be at most a year after started_at");
    }
}

/// Reads who purchases.
fn purchase_by(top: &mut Top<'_, '_, '_>) -> Option<PurchaseBy> {
    let by = PurchaseBy::from_name(top.text("purchase_by")?);
    if by.is_none() {
        top.wrong("purchase_by", "must be buyer or shop");
    }
    by
}

/// Reads the goods: a number of generated items, or a list of items.
fn goods<'a>(top: &mut Top<'_, '_, 'a>, seed: u64) -> Option<Goods<'a>> {
    let given = ["total_items", "items"].map(|name| top.value(name).is_some());
    match given {
        [true, false] => {
            let item_count = top.whole32("total_items", 1..=SALE_ITEMS_MAX)?;
            return Some(Goods::Generated { item_count, seed });
        }
        [false, true] => return listed(top, seed).map(Goods::Listed),
        _ => {}
    }
    for name in ["total_items", "items"] {
        top.wrong(name, "exactly one of total_items and items is required");
    }
    None
}

fn listed<'a>(top: &mut Top<'_, '_, 'a>, seed: u64) -> Option<Vec<RequestedItem<'a>>> {
    let value = top.value("items")?;
    let found = match value.as_array() {
        Some(list) if (1..=SALE_ITEMS_MAX as usize).contains(&list.len()) => {
            return Some(read_items(&list, top.errors(), seed));
        }
        Some(list) => format!("has {}", counted(list.len() as u64, "item", "items")),
        None => format!("is {}", kind_of(&value)),
    };
    let wrong = format!("{found}, must be a list of 1 to {SALE_ITEMS_MAX} items");
    top.wrong("items", wrong);
    None
}

/// Reads the items of a list, until there are as many errors as are named.
fn read_items<'a>(
    list: &Array<'_, 'a>,
    errors: &mut FieldErrors,
    seed: u64,
) -> Vec<RequestedItem<'a>> {
    let mut items = Vec::with_capacity(list.len());
    let mut ids = ItemIds::default();
    for (index, value) in (0..).zip(list) {
        if errors.is_full() {
            break;
        }
        let place = ObjectPath::Item(index as usize);
        let Some(mut fields) = ObjectFields::of(value, &ITEM_NAMES, place, errors) else {
            continue;
        };
        let item = RequestedItem::read(&mut fields, ItemIndex(index), seed);
        if !fields.has_error("id") && !ids.insert(&items, &item.id) {
            fields.wrong("id", REPEATED_ITEM_ID);
        }
        items.push(item);
    }
    items
}

/// The ids of the items that were read: positions in their list, by the hash of the id, so that a million of them need
/// little memory.
#[derive(Default)]
struct ItemIds {
    hasher: foldhash::fast::RandomState,
    positions: HashTable<u32>,
}

impl ItemIds {
    /// Adds the id of the item that comes behind `items`; `false` when one of these has it.
    fn insert(&mut self, items: &[RequestedItem<'_>], id: &str) -> bool {
        let hash = |id: &str| self.hasher.hash_one(id);
        let entry = self.positions.entry(
            hash(id),
            |&position| items[position as usize].id == id,
            |&position| hash(&items[position as usize].id),
        );
        match entry {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(items.len() as u32);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
