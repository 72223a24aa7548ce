use super::super::envelope::{Entry, encode};
use super::*;
use crate::record::{CancelledLines, Items, RefusedReason};

/// Returns the first record of `bytes`, with its time and what follows it.
fn decode(bytes: &[u8]) -> Option<(Timestamp, Record<'_>, &[u8])> {
    let (entry, rest) = Entry::split_first(Lsn(1), bytes)?;
    Some((entry.at, entry.record().ok()?, rest))
}

const SALE: SaleId = SaleId(9);
const CANCELLED: [ReleasedLine; 1] = [ReleasedLine {
    item: ItemIndex(7),
    quantity: 2,
}];
const LINES: [PurchasedLine; 2] = [
    PurchasedLine {
        item: ItemIndex(0),
        quantity: 1,
        sold: true,
    },
    PurchasedLine {
        item: ItemIndex(7),
        quantity: 3,
        sold: false,
    },
];
const ITEMS: [NewItem<'static>; 2] = [
    NewItem {
        id: "a",
        name: "A",
        image_url: "",
        stock: 1,
        max_per_user: None,
    },
    NewItem {
        id: "b",
        name: "ß",
        image_url: "/b.svg",
        stock: 1 << 32,
        max_per_user: None,
    },
];

const LIMITED_ITEMS: [NewItem<'static>; 2] = [
    ITEMS[0],
    NewItem {
        max_per_user: NonZeroU16::new(300),
        ..ITEMS[1]
    },
];

const KEY: CheckoutKey<'static> = CheckoutKey {
    key: "a key",
    items_count: 3,
    sale_ends_at: Timestamp(-9),
    held_until: Some(Timestamp(10)),
};

fn samples() -> Vec<Record<'static>> {
    let terms = |catalogue| SaleTerms {
        started_at: Timestamp(-5),
        ended_at: Timestamp(6),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    };
    let generated = CatalogueKind::Generated {
        seed: u64::MAX,
        item_count: 4,
    };
    let paid = |purchase_by| SaleTerms {
        payment: PaymentTerms {
            seconds: 600,
            purchase_by,
        },
        ..terms(generated)
    };
    let explicit = CatalogueKind::Explicit { item_count: 2 };
    let (secret, user, item) = (u128::MAX - 1, "ü", ItemIndex(3));
    let lines = Lines::Slice(&LINES);
    vec![
        Record::SaleItems {
            sale: SALE,
            first: ItemIndex(0),
            items: Items::Slice(&ITEMS),
        },
        Record::SaleItems {
            sale: SALE,
            first: ItemIndex(0),
            items: Items::Slice(&LIMITED_ITEMS),
        },
        Record::SaleCreated {
            sale: SALE,
            terms: terms(generated),
        },
        Record::SaleCreated {
            sale: SALE,
            terms: terms(explicit),
        },
        Record::SaleCreated {
            sale: SALE,
            terms: paid(PurchaseBy::Buyer),
        },
        Record::SaleClosed { sale: SALE },
        Record::SaleChanged {
            sale: SALE,
            change: SaleChange::Paused,
        },
        Record::SaleChanged {
            sale: SALE,
            change: SaleChange::Resumed,
        },
        Record::SaleChanged {
            sale: SALE,
            change: SaleChange::Extended(Timestamp(9)),
        },
        Record::SaleArchived {
            sale: SALE,
            terms: terms(generated),
            closed_at: Timestamp(7),
            closed_lsn: Lsn(u64::MAX),
            total: 4,
            sold: 3,
            added: 0,
        },
        Record::SaleArchived {
            sale: SALE,
            terms: terms(generated),
            closed_at: Timestamp(7),
            closed_lsn: Lsn(u64::MAX),
            total: 4,
            sold: 3,
            added: -1,
        },
        Record::Cancelled {
            sale: SALE,
            secret,
            user,
            reference: "refund-9",
            lines: CancelledLines::Slice(&CANCELLED),
            restock: true,
        },
        Record::StockChanged {
            sale: SALE,
            item,
            units: -5,
            reference: "delivery-7",
        },
        Record::SaleArchived {
            sale: SALE,
            terms: paid(PurchaseBy::Shop),
            closed_at: Timestamp(7),
            closed_lsn: Lsn(8),
            total: 4,
            sold: 3,
            added: 0,
        },
        Record::SaleArchived {
            sale: SALE,
            terms: paid(PurchaseBy::Shop),
            closed_at: Timestamp(7),
            closed_lsn: Lsn(8),
            total: 4,
            sold: 3,
            added: 7,
        },
        Record::Checkout {
            sale: SALE,
            secret,
            user,
            item,
            quantity: 2,
            hold_until: None,
            opens: true,
            key: None,
        },
        Record::Checkout {
            sale: SALE,
            secret,
            user,
            item,
            quantity: 2,
            hold_until: Some(Timestamp(8)),
            opens: false,
            key: None,
        },
        Record::Checkout {
            sale: SALE,
            secret,
            user,
            item,
            quantity: 2,
            hold_until: Some(Timestamp(8)),
            opens: false,
            key: Some(KEY),
        },
        Record::KeptKey {
            sale: SALE,
            secret,
            user,
            item,
            quantity: 2,
            key: CheckoutKey {
                held_until: None,
                ..KEY
            },
        },
        Record::Purchase {
            sale: SALE,
            secret,
            user,
            key: None,
            payment_ref: None,
            lines,
        },
        Record::Purchase {
            sale: SALE,
            secret,
            user,
            key: Some("k"),
            payment_ref: None,
            lines,
        },
        Record::Purchase {
            sale: SALE,
            secret,
            user,
            key: None,
            payment_ref: Some("pay-1"),
            lines,
        },
        Record::PaymentBegun {
            sale: SALE,
            secret,
            user,
            hold_until: Timestamp(11),
            held_until: Timestamp(12),
            lines,
        },
        Record::Expired {
            sale: SALE,
            secret,
            user,
            lines: Lines::NONE,
        },
        Record::Expired {
            sale: SALE,
            secret,
            user,
            lines,
        },
        Record::Released {
            sale: SALE,
            secret,
            user,
            line: None,
        },
        Record::Released {
            sale: SALE,
            secret,
            user,
            line: Some(ReleasedLine { item, quantity: 2 }),
        },
        Record::Refused {
            sale: None,
            user,
            item: "?",
            reason: RefusedReason::ItemNotFound,
        },
        Record::Refused {
            sale: Some(SALE),
            user,
            item: "x",
            reason: RefusedReason::ItemHeld,
        },
    ]
}

#[test]
fn every_record_comes_back_as_it_was() {
    let mut bytes = Vec::new();
    for (index, record) in samples().iter().enumerate() {
        encode(Timestamp(index as i64), record, &mut bytes);
    }
    let mut rest = &bytes[..];
    for (index, record) in samples().iter().enumerate() {
        let (at, decoded, after) = decode(rest).expect("a record");
        assert_eq!((at, decoded), (Timestamp(index as i64), *record));
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn a_key_may_be_as_long_as_is_allowed_and_not_empty() {
    let long = "k".repeat(crate::limits::IDEMPOTENCY_KEY_BYTES_MAX);
    for (key, is_record) in [(&*long, true), ("k", true), ("", false)] {
        let record = Record::KeptKey {
            sale: SALE,
            secret: 1,
            user: "ü",
            item: ItemIndex(3),
            quantity: 2,
            key: CheckoutKey { key, ..KEY },
        };
        let mut bytes = Vec::new();
        encode(Timestamp(1), &record, &mut bytes);
        let decoded = decode(&bytes);
        assert_eq!(decoded.is_some(), is_record, "{key:?}");
        assert!(decoded.is_none_or(|(_, decoded, _)| decoded == record));
    }
}

#[test]
fn a_list_of_items_has_one_encoding() {
    let encoded = |items| {
        let (sale, first) = (SALE, ItemIndex(0));
        let mut bytes = Vec::new();
        let items = Items::Slice(items);
        encode(
            Timestamp(1),
            &Record::SaleItems { sale, first, items },
            &mut bytes,
        );
        bytes
    };
    let [plain, mut limited] = [encoded(&ITEMS), encoded(&LIMITED_ITEMS)];
    assert_eq!(limited.len(), plain.len() + 2 * ITEMS.len());
    assert!(decode(&limited).is_some());
    let end = limited.len();
    limited[end - 2..].fill(0);
    assert!(decode(&limited).is_none(), "none of them has a limit");
}

#[test]
fn a_cut_record_is_none() {
    for record in samples() {
        let mut bytes = Vec::new();
        encode(Timestamp(1), &record, &mut bytes);
        for length in 0..bytes.len() {
            assert!(
                decode(&bytes[..length]).is_none(),
                "{record:?} cut to {length}"
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(kind in 0u8..32, body: Vec<u8>) {
        let mut bytes = ((body.len() + 1) as u32).to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(body);
        if let Some((_, Record::SaleItems { items, .. }, _)) = decode(&bytes) {
            items.iter().for_each(drop);
        }
    }
}
