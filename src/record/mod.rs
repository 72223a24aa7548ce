//! The records of the journal. [`envelope`] says what the journal sees of one, `codec` how the rest is written
//! down. A decoded [`Record`] is checked, and need not be again.

pub mod envelope;

mod codec;
mod fields;
mod refused_reason;

use std::fmt;
use std::num::NonZeroU16;

pub use envelope::{Encode, Entry, Undecodable};
pub use fields::FieldValue;
pub use refused_reason::RefusedReason;
pub(crate) use refused_reason::refused_reasons;

use crate::limits::ITEMS_PER_RECORD_MAX;
use crate::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};

/// Something that happened, as the journal keeps it.
#[derive(Clone, Copy, PartialEq)]
pub enum Record<'a> {
    /// Items of a sale that is about to be created. They count only once its
    /// [`Record::SaleCreated`] follows.
    SaleItems {
        /// The sale.
        sale: SaleId,
        /// The place of the first of these items.
        first: ItemIndex,
        /// The items.
        items: Items<'a>,
    },
    /// A sale exists from here on.
    SaleCreated {
        /// The sale.
        sale: SaleId,
        /// Its terms.
        terms: SaleTerms,
    },
    /// A sale has ended for good, and all held units are free.
    SaleClosed {
        /// The sale.
        sale: SaleId,
    },
    /// An administrator changed a sale that is not closed.
    SaleChanged {
        /// The sale.
        sale: SaleId,
        /// What was changed.
        change: SaleChange,
    },
    /// Units were added to the stock of an item, or taken out of it, while its sale is not closed. Each reference has one of them.
    StockChanged {
        /// The sale.
        sale: SaleId,
        /// The item, which does not exist once.
        item: ItemIndex,
        /// Units that were added, or taken out where it is negative; never 0.
        units: i64,
        /// The shop's reference.
        reference: &'a str,
    },
    /// A sale that has ended, without its contents, which are in a file of their own. Only snapshots
    /// have it, in place of all else about the sale.
    SaleArchived {
        /// The sale.
        sale: SaleId,
        /// Its terms.
        terms: SaleTerms,
        /// When it was closed.
        closed_at: Timestamp,
        /// The record that closed it.
        closed_lsn: Lsn,
        /// Units of all its items.
        total: u64,
        /// Units sold.
        sold: u64,
        /// By how many units more or fewer that is than it began with.
        added: i64,
    },
    /// An item was put into a user's open checkout, which this opens when there is none.
    Checkout {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// The item.
        item: ItemIndex,
        /// Units of it.
        quantity: u32,
        /// Until when the units are held; `None` when the sale knows no holds. The same for all
        /// items of a checkout.
        hold_until: Option<Timestamp>,
        /// This is the first item, and the checkout exists from here on. A follower
        /// without a state of its own needs to know.
        opens: bool,
        /// The idempotency key that came with it, and what was answered.
        key: Option<CheckoutKey<'a>>,
    },
    /// A checkout that came with an idempotency key, whatever became of it. Only snapshots and the files of
    /// ended sales have it, behind the records of its buyer: of a checkout that is over they have no other
    /// record.
    KeptKey {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// The item.
        item: ItemIndex,
        /// Units of it.
        quantity: u32,
        /// The key, and what was answered.
        key: CheckoutKey<'a>,
    },
    /// The payment of an open checkout was begun: what could be had of it is reserved until then.
    PaymentBegun {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// Until when, by the steady clock.
        hold_until: Timestamp,
        /// Until when, by the wall clock, as the buyer was told.
        held_until: Timestamp,
        /// All lines of the checkout. `sold` of each says whether it was reserved, to be sold once it is paid.
        lines: Lines<'a>,
    },
    /// A checkout was processed, whatever was sold of it.
    Purchase {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// The idempotency key that came with it.
        key: Option<&'a str>,
        /// The reference of the payment that the shop confirmed; `None` where the buyer purchased. There is no key beside
        /// one.
        payment_ref: Option<&'a str>,
        /// The outcome of every line.
        lines: Lines<'a>,
    },
    /// A shop cancelled units of a purchase. In snapshots and in the files of ended sales it stands before the purchase, whose units are
    /// never counted as sold then: others may have bought them since.
    Cancelled {
        /// The sale.
        sale: SaleId,
        /// The secret half of the code of the checkout that was purchased.
        secret: u128,
        /// The user.
        user: &'a str,
        /// The shop's reference, of which a purchase has one.
        reference: &'a str,
        /// The units.
        lines: CancelledLines<'a>,
        /// Whether they are free again; otherwise they leave the stock.
        restock: bool,
    },
    /// A checkout's hold ran out: it is closed and its units are free again.
    Expired {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// What was in it. Only snapshots have it: a journal has the records that put it there.
        lines: Lines<'a>,
    },
    /// A buyer gave units of an open checkout back. Where nothing is left in it, the checkout is over, and its code with it.
    Released {
        /// The sale.
        sale: SaleId,
        /// The secret half of the checkout's code.
        secret: u128,
        /// The user.
        user: &'a str,
        /// What was given back of it, where something is left; `None` for all that is in it.
        line: Option<ReleasedLine>,
    },
    /// A checkout attempt was refused. Kept only on demand; changes nothing.
    Refused {
        /// The sale, when one was found.
        sale: Option<SaleId>,
        /// The user.
        user: &'a str,
        /// The item as the client named it.
        item: &'a str,
        /// Why.
        reason: RefusedReason,
    },
}

impl<'a> Record<'a> {
    /// Returns the records that announce `items` of `sale`, each of a bounded length.
    pub fn item_batches(
        sale: SaleId,
        items: &'a [NewItem<'a>],
    ) -> impl Iterator<Item = Record<'a>> {
        let pieces = items.chunks(ITEMS_PER_RECORD_MAX).enumerate();
        pieces.map(move |(index, piece)| Record::SaleItems {
            sale,
            first: ItemIndex((index * ITEMS_PER_RECORD_MAX) as u32),
            items: Items::Slice(piece),
        })
    }

    /// Returns what a record of this kind is called, and what many of them are.
    #[must_use]
    pub fn kind_names(&self) -> [&'static str; 2] {
        match self {
            Record::SaleItems { .. } => ["list of items", "lists of items"],
            Record::SaleCreated { .. } => ["sale created", "sales created"],
            Record::SaleClosed { .. } => ["sale closed", "sales closed"],
            Record::SaleChanged { .. } => ["change of a sale", "changes of sales"],
            Record::StockChanged { .. } => ["change of a stock", "changes of stocks"],
            Record::SaleArchived { .. } => ["sale archived", "sales archived"],
            Record::Checkout { .. } => ["checkout", "checkouts"],
            Record::KeptKey { .. } => ["key of a checkout", "keys of checkouts"],
            Record::PaymentBegun { .. } => ["payment begun", "payments begun"],
            Record::Purchase { .. } => ["purchase", "purchases"],
            Record::Cancelled { .. } => ["cancellation", "cancellations"],
            Record::Expired { .. } => ["checkout expired", "checkouts expired"],
            Record::Released { .. } => ["checkout given back", "checkouts given back"],
            Record::Refused { .. } => ["refused attempt", "refused attempts"],
        }
    }
}

/// Prints the kind alone: a code in a log could be spent by a reader of the log.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, many] = self.kind_names();
        write!(f, "one of the {many}")
    }
}

/// The idempotency key of a checkout, and what the answer consisted of besides the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CheckoutKey<'a> {
    /// The key.
    pub key: &'a str,
    /// Units in the checkout.
    pub items_count: u32,
    /// When the sale ended, as far as that was known.
    pub sale_ends_at: Timestamp,
    /// Until when the units were held, by the wall clock.
    pub held_until: Option<Timestamp>,
}

/// A change of a sale that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleChange {
    /// It has begun. Recorded only where somebody is told of events; it takes checkouts from its time on in any case.
    Opened,
    /// It takes no checkouts for now.
    Paused,
    /// It takes checkouts again.
    Resumed,
    /// It ends later than it was to: at this time.
    Extended(Timestamp),
}

impl SaleChange {
    /// Returns its name, as the projections spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Extended(_) => "extended",
        }
    }

    /// Returns the new end of the sale, where it has one.
    #[must_use]
    pub fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Extended(ended_at) => Some(ended_at),
            Self::Opened | Self::Paused | Self::Resumed => None,
        }
    }
}

/// Units of one item that a buyer gave back, or that a shop cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedLine {
    /// The item.
    pub item: ItemIndex,
    /// Units of it, at least one, and no more than were in the checkout.
    pub quantity: u32,
}

/// The terms of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleTerms {
    /// From when on it sells.
    pub started_at: Timestamp,
    /// From when on it sells no more.
    pub ended_at: Timestamp,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// How long a checkout holds its units; 0 means that it holds none.
    pub hold_seconds: u32,
    /// The terms of paying.
    pub payment: PaymentTerms,
    /// Where the items come from.
    pub catalogue: CatalogueKind,
}

/// The source of a sale's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueKind {
    /// `item_count` items of stock 1, their names and pictures drawn from `seed`.
    Generated {
        /// Determines names and pictures.
        seed: u64,
        /// Number of items.
        item_count: u32,
    },
    /// The items of the [`Record::SaleItems`] before this.
    Explicit {
        /// Number of items.
        item_count: u32,
    },
}

impl CatalogueKind {
    /// Returns the number of items.
    #[must_use]
    pub fn item_count(self) -> u32 {
        match self {
            CatalogueKind::Generated { item_count, .. }
            | CatalogueKind::Explicit { item_count } => item_count,
        }
    }
}

/// One item of an explicit catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewItem<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The address of its picture.
    pub image_url: &'a str,
    /// Units of it.
    pub stock: u64,
    /// Units of it that one user may buy; `None` where only the limit of its sale holds.
    pub max_per_user: Option<NonZeroU16>,
}

/// The lines of a purchase, or of a checkout: from memory, or as they stand in the journal.
#[derive(Clone, Copy, Debug)]
pub enum Lines<'a> {
    /// From memory.
    Slice(&'a [PurchasedLine]),
    /// Encoded one after the other, checked.
    Encoded(&'a [u8]),
}

impl<'a> Lines<'a> {
    /// No lines.
    pub const NONE: Self = Lines::Slice(&[]);

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        match self {
            Lines::Slice(slice) => slice.is_empty(),
            Lines::Encoded(encoded) => encoded.is_empty(),
        }
    }

    /// Returns the lines in order.
    pub fn iter(self) -> impl Iterator<Item = PurchasedLine> + 'a {
        let (slice, encoded) = match self {
            Lines::Slice(slice) => (slice, &[][..]),
            Lines::Encoded(encoded) => (&[][..], encoded),
        };
        slice.iter().copied().chain(codec::decode_lines(encoded))
    }
}

impl PartialEq for Lines<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The lines of a cancellation: from memory, or as they stand in the journal. At least one, each of another item.
#[derive(Clone, Copy, Debug)]
pub enum CancelledLines<'a> {
    /// From memory.
    Slice(&'a [ReleasedLine]),
    /// Encoded one after the other, checked.
    Encoded(&'a [u8]),
}

impl<'a> CancelledLines<'a> {
    /// Returns the lines in order.
    pub fn iter(self) -> impl Iterator<Item = ReleasedLine> + 'a {
        let (slice, encoded) = match self {
            CancelledLines::Slice(slice) => (slice, &[][..]),
            CancelledLines::Encoded(encoded) => (&[][..], encoded),
        };
        slice
            .iter()
            .copied()
            .chain(codec::decode_cancelled_lines(encoded))
    }
}

impl PartialEq for CancelledLines<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The items of a [`Record::SaleItems`]: from memory, or as they stand in the journal.
#[derive(Clone, Copy, Debug)]
pub enum Items<'a> {
    /// From memory.
    Slice(&'a [NewItem<'a>]),
    /// Encoded one after the other, checked.
    Encoded(&'a [u8]),
    /// Encoded one after the other, each with its limit per user, checked.
    EncodedWithLimits(&'a [u8]),
}

impl<'a> Items<'a> {
    /// Returns the items in order.
    pub fn iter(self) -> impl Iterator<Item = NewItem<'a>> {
        let (slice, encoded, has_limits) = match self {
            Items::Slice(slice) => (slice, &[][..], false),
            Items::Encoded(encoded) => (&[][..], encoded, false),
            Items::EncodedWithLimits(encoded) => (&[][..], encoded, true),
        };
        let decoded = codec::decode_items(encoded, has_limits);
        slice.iter().copied().chain(decoded)
    }

    /// Returns whether any of them has a limit per user of its own.
    fn has_limits(self) -> bool {
        self.iter().any(|item| item.max_per_user.is_some())
    }
}

impl PartialEq for Items<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
