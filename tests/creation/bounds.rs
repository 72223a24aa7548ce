//! What a new sale may be.

use std::num::NonZeroU16;
use std::sync::Arc;

use flashsale::env::SimulatedDisk;
use flashsale::limits;
use flashsale::record::NewItem;
use flashsale::sale::{CreateError, NewCatalogue};
use flashsale::types::{SaleId, Timestamp};

use crate::creation::gate::Gate;
use crate::creation::hall::{Hall, generated, new_sale};

fn hall() -> Hall {
    Hall::open(
        Arc::new(SimulatedDisk::new()),
        "journal".as_ref(),
        Gate::after(0),
    )
}

const ITEM: NewItem<'static> = NewItem {
    id: "a",
    name: "A",
    image_url: "",
    stock: 1,
    max_per_user: None,
};

#[test]
fn what_is_not_allowed_is_named() {
    let long = "x".repeat(2_000);
    let listed = |item| NewCatalogue::Explicit(vec![ITEM, item]);
    let id = |id| listed(NewItem { id, ..ITEM });
    let other = NewItem { id: "b", ..ITEM };
    let stock = |stock| listed(NewItem { stock, ..other });
    let max_per_user = |limit| {
        listed(NewItem {
            max_per_user: NonZeroU16::new(limit),
            ..other
        })
    };
    let cases = [
        ("total_items", generated(0)),
        ("total_items", generated(limits::SALE_ITEMS_MAX + 1)),
        ("total_items", NewCatalogue::Explicit(Vec::new())),
        ("items[1].id", id("")),
        ("items[1].id", id("a")),
        ("items[1].id", id("ITM-1-1")),
        ("items[1].id", id("a\n")),
        ("items[1].id", id(&long)),
        ("items[1].name", listed(NewItem { name: "", ..other })),
        ("items[1].name", listed(NewItem { name: " ", ..other })),
        (
            "items[1].name",
            listed(NewItem {
                name: &long,
                ..other
            }),
        ),
        (
            "items[1].name",
            listed(NewItem {
                name: "\u{85}",
                ..other
            }),
        ),
        (
            "items[1].image_url",
            listed(NewItem {
                image_url: &long,
                ..other
            }),
        ),
        ("items[1].stock", stock(0)),
        ("items[1].stock", stock(limits::ITEM_STOCK_MAX + 1)),
        ("items[1].max_per_user", max_per_user(1001)),
    ];
    let hall = hall();
    for (expected, catalogue) in cases {
        match hall.create(catalogue.clone()) {
            Err(CreateError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{catalogue:?}: {:?}", other.err()),
        }
    }
    let mut late = new_sale(generated(1));
    late.ended_at = Timestamp(i64::MAX);
    let refused = hall
        .engine
        .create_sale(&late)
        .err()
        .expect("it is too long");
    assert!(refused.to_string().starts_with("ended_at: "), "{refused}");
    assert!(hall.engine.sales().is_empty());
    let most = NewItem {
        stock: limits::ITEM_STOCK_MAX,
        ..other
    };
    let created = hall.create(listed(most)).expect("it is allowed");
    assert_eq!(created.outcome.figures().total, limits::ITEM_STOCK_MAX + 1);
}

#[test]
fn so_many_sales_are_open_at_most() {
    let hall = hall();
    for _ in 0..limits::OPEN_SALES_MAX {
        let _ = hall.create(generated(1)).expect("it is allowed");
    }
    let refused = hall.create(generated(1)).err();
    assert_eq!(refused, Some(CreateError::TooManyOpen));
    assert!(hall.engine.close_sale(SaleId(5)).is_some());
    let created = hall.create(generated(1)).expect("one was closed");
    assert_eq!(created.outcome.id().0 as usize, limits::OPEN_SALES_MAX + 1);
}
