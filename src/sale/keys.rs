//! The idempotency keys that checkouts came with, and what was answered to each.

use hashbrown::HashMap;

use crate::limits::CHECKOUT_KEYS_KEPT;
use crate::record::CheckoutKey;
use crate::types::{ItemIndex, Lsn, Timestamp};

/// A checkout that came with a key: what was asked, and what was answered. The checkout itself may be over
/// since, and the sale end at another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedCheckout {
    /// The key.
    pub key: Box<str>,
    /// The item.
    pub item: ItemIndex,
    /// Units of it.
    pub quantity: u32,
    /// The secret half of the checkout's code.
    pub secret: u128,
    /// Units in the checkout.
    pub items_count: u32,
    /// When the sale was to end.
    pub sale_ends_at: Timestamp,
    /// Until when the units were held, by the wall clock.
    pub held_until: Option<Timestamp>,
    /// The checkout's record.
    pub lsn: Lsn,
}

impl KeyedCheckout {
    /// A checkout with `key`, from the parts of its record, which has the number `lsn`.
    #[must_use]
    pub fn new(
        secret: u128,
        (item, quantity): (ItemIndex, u32),
        key: &CheckoutKey<'_>,
        lsn: Lsn,
    ) -> Self {
        Self {
            key: key.key.into(),
            item,
            quantity,
            secret,
            items_count: key.items_count,
            sale_ends_at: key.sale_ends_at,
            held_until: key.held_until,
            lsn,
        }
    }

    /// The key with what was answered, as records have it.
    #[must_use]
    pub fn key(&self) -> CheckoutKey<'_> {
        CheckoutKey {
            key: &self.key,
            items_count: self.items_count,
            sale_ends_at: self.sale_ends_at,
            held_until: self.held_until,
        }
    }
}

/// The keyed checkouts of some buyers. Beside the buyers, so that one who sends no key takes no room for it.
#[derive(Default)]
pub struct CheckoutKeys {
    by_buyer: HashMap<u32, Vec<KeyedCheckout>, foldhash::fast::RandomState>,
}

impl CheckoutKeys {
    /// Memory that the keys take, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let kept = self.by_buyer.values().map(|kept| {
            let keys: usize = kept.iter().map(|keyed| keyed.key.len()).sum();
            kept.capacity() * size_of::<KeyedCheckout>() + keys
        });
        self.by_buyer.allocation_size() + kept.sum::<usize>()
    }

    /// Returns the checkout that a buyer made with this key.
    #[must_use]
    pub fn find(&self, buyer: u32, key: &str) -> Option<&KeyedCheckout> {
        self.of(buyer).iter().find(|keyed| *keyed.key == *key)
    }

    /// All of a buyer, in the order of their coming.
    #[must_use]
    pub fn of(&self, buyer: u32) -> &[KeyedCheckout] {
        self.by_buyer.get(&buyer).map_or(&[], Vec::as_slice)
    }

    /// Keeps one more; the oldest goes for it where the buyer has as many as are kept in a sale with this
    /// limit per user.
    pub fn keep(&mut self, buyer: u32, keyed: KeyedCheckout, limit: u32) {
        // Most have one.
        let kept = self.by_buyer.entry(buyer);
        let kept = kept.or_insert_with(|| Vec::with_capacity(1));
        if kept.len() as u64 >= u64::from(limit) + u64::from(CHECKOUT_KEYS_KEPT) {
            kept.remove(0);
        }
        kept.push(keyed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(number: u32) -> KeyedCheckout {
        KeyedCheckout {
            key: number.to_string().into(),
            item: ItemIndex(number),
            quantity: 1,
            secret: 1,
            items_count: 1,
            sale_ends_at: Timestamp(1),
            held_until: None,
            lsn: Lsn(1),
        }
    }

    #[test]
    fn the_oldest_key_of_a_buyer_goes_for_the_newest() {
        let (mut keys, limit) = (CheckoutKeys::default(), 3);
        let most = limit + CHECKOUT_KEYS_KEPT;
        keys.keep(7, keyed(0), limit);
        for number in 0..=most {
            keys.keep(8, keyed(number), limit);
        }
        assert_eq!(keys.find(8, "0"), None);
        assert_eq!(keys.find(8, "1"), Some(&keyed(1)));
        assert_eq!(keys.of(8).len(), most as usize);
        // Those of others are their own.
        assert_eq!(keys.of(7), [keyed(0)]);
        assert_eq!(keys.of(9), []);
    }
}
