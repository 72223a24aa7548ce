//! Tests of files that the models compile, too: there no test may run outside of a model.

use crate::env::{Entropy, SeededEntropy};
use crate::limits;
use crate::sale::buyers::BuyerRef;
use crate::sale::codes::Codes;
use crate::sale::inventory::{Balance, Gap, Inventory, Taker};
use crate::sale::stock::{Availability, Units};
use crate::sync::Ordering;
use crate::types::ItemIndex;

#[test]
fn codes_lead_to_their_buyers() {
    let (codes, entropy) = (Codes::default(), SeededEntropy::new(7));
    let secrets: Vec<u128> = (0..10_000).map(|_| entropy.bits_128()).collect();
    for (number, &secret) in secrets.iter().enumerate() {
        assert_eq!(codes.find(secret), None);
        assert!(codes.insert(secret, BuyerRef(number as u32)));
    }
    for (number, &secret) in secrets.iter().enumerate() {
        assert_eq!(codes.find(secret), Some(BuyerRef(number as u32)));
        assert!(!codes.insert(secret, BuyerRef(0)));
    }
}

#[test]
fn a_half_belongs_to_one_code_only() {
    let codes = Codes::default();
    assert!(codes.insert(5, BuyerRef(1)));
    assert!(!codes.insert(5 | 1 << 100, BuyerRef(2)));
    assert_eq!(
        codes.find(5 | 1 << 100),
        Some(BuyerRef(1)),
        "for the buyer to refuse"
    );
}

#[test]
fn every_counter_moves_its_units_alike() {
    let stocks = [1, 5, 2_000, limits::ITEM_STOCK_MAX];
    let inventory = Inventory::of(stocks.into_iter());
    let taker = Taker { buyer: 3, lane: 1 };
    let units = |item| {
        let Units { free, held, sold } = inventory.units(item);
        (free, held, sold)
    };
    for (item, stock) in (0..).map(ItemIndex).zip(stocks) {
        assert!(inventory.hold(item, 1, taker));
        assert_eq!(units(item), (stock - 1, 1, 0));
        inventory.release(item, 1, taker);
        assert!(inventory.hold(item, 1, taker));
        inventory.sell_held(item, 1, taker);
        assert_eq!(units(item), (stock - 1, 0, 1));
        assert_eq!(inventory.stock(item), stock);
    }
    let few = ItemIndex(1);
    assert!(!inventory.sell(few, 5, taker), "four are left");
    assert!(inventory.hold(few, 4, taker));
    assert_eq!(inventory.availability(few, 4), Availability::Held);
    assert_eq!(inventory.availability(few, 5), Availability::SoldOut);
    assert!(inventory.check_conserved(4).is_ok());
    assert_eq!(inventory.total(), stocks.iter().sum::<u64>());
}

#[test]
fn what_is_sold_twice_does_not_add_up() {
    let (inventory, taker) = (Inventory::singles(2), Taker { buyer: 1, lane: 0 });
    assert!((0..2).all(|item| inventory.sell(ItemIndex(item), 1, taker)));
    assert_eq!(inventory.balance(2), Balance::Even);
    inventory.totals(0).sold.fetch_add(1, Ordering::Relaxed);
    let gap = Gap {
        sold: -1,
        ..Gap::default()
    };
    assert_eq!(inventory.balance(2), Balance::Uneven(gap));
    assert!(inventory.check_conserved(2).is_err());
    assert_eq!(inventory.totals_now().sold, 2, "as it is shown");
}

#[test]
fn what_is_given_back_twice_does_not_add_up() {
    let inventory = Inventory::of([5].into_iter());
    inventory.totals(0).held.fetch_sub(1, Ordering::Relaxed);
    let gap = Gap {
        held: 1,
        ..Gap::default()
    };
    assert_eq!(inventory.balance(1), Balance::Uneven(gap));
}

#[test]
fn a_buyer_who_sends_no_key_takes_no_room_for_it() {
    use super::baskets::OpenCheckout;
    use super::buyers::Buyer;
    use super::keys::KeyedCheckout;

    let sizes = [
        size_of::<Buyer>(),
        size_of::<OpenCheckout>(),
        size_of::<KeyedCheckout>(),
    ];
    // What docs/operations.md says of memory rests on these.
    assert_eq!(sizes, [128, 80, 80]);
}
