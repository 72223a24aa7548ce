//! What a sale sells: a generated catalogue, which needs no memory, or an explicit one.

use hashbrown::HashMap;

use crate::generated;
use crate::journal::record::NewItem;
use crate::types::{GeneratedItemId, ItemIndex, SaleId};

/// The items of a sale.
pub enum Catalogue {
    /// Items of stock 1 whose names and pictures a seed determines.
    Generated {
        /// The sale, which is part of the items' ids.
        sale: SaleId,
        /// Determines names and pictures.
        seed: u64,
        /// Number of items.
        item_count: u32,
    },
    /// Items as somebody listed them.
    Explicit(ExplicitItems),
}

/// Listed items, found by id.
#[derive(Default)]
pub struct ExplicitItems {
    items: Vec<Item>,
    by_id: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
}

struct Item {
    id: Box<str>,
    name: Box<str>,
    image_url: Box<str>,
    stock: u64,
}

impl ExplicitItems {
    /// Adds an item; `false` when its id is there already.
    pub fn push(&mut self, item: &NewItem<'_>) -> bool {
        let index = self.items.len() as u32;
        if self.by_id.contains_key(item.id) {
            return false;
        }
        self.by_id.insert(item.id.into(), index);
        self.items.push(Item {
            id: item.id.into(),
            name: item.name.into(),
            image_url: item.image_url.into(),
            stock: item.stock,
        });
        true
    }

    /// Number of items.
    #[must_use]
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The stock of every item, in order.
    #[must_use]
    pub fn stocks(&self) -> Vec<u64> {
        self.items.iter().map(|item| item.stock).collect()
    }

    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = NewItem<'_>> {
        self.items.iter().map(|item| NewItem {
            id: &item.id,
            name: &item.name,
            image_url: &item.image_url,
            stock: item.stock,
        })
    }
}

impl Catalogue {
    /// Number of items.
    #[must_use]
    pub fn item_count(&self) -> u32 {
        match self {
            Catalogue::Generated { item_count, .. } => *item_count,
            Catalogue::Explicit(items) => items.count() as u32,
        }
    }

    /// The item with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<ItemIndex> {
        match self {
            Catalogue::Explicit(items) => items.by_id.get(id).copied().map(ItemIndex),
            Catalogue::Generated {
                sale, item_count, ..
            } => GeneratedItemId::parse(id)
                .filter(|id| id.sale == *sale && id.index.0 < *item_count)
                .map(|id| id.index),
        }
    }

    /// Appends an item's id.
    pub fn write_id(&self, index: ItemIndex, out: &mut Vec<u8>) {
        match self {
            Catalogue::Generated { sale, .. } => {
                out.extend_from_slice(b"ITM-");
                out.extend_from_slice(itoa::Buffer::new().format(sale.0).as_bytes());
                out.push(b'-');
                out.extend_from_slice(itoa::Buffer::new().format(index.0).as_bytes());
            }
            Catalogue::Explicit(items) => {
                out.extend_from_slice(items.items[index.0 as usize].id.as_bytes());
            }
        }
    }

    /// Appends an item's name.
    pub fn write_name(&self, index: ItemIndex, out: &mut Vec<u8>) {
        match self {
            Catalogue::Generated { seed, .. } => {
                generated::write_name(*seed, index, out);
            }
            Catalogue::Explicit(items) => {
                out.extend_from_slice(items.items[index.0 as usize].name.as_bytes());
            }
        }
    }

    /// Appends the address of an item's picture.
    pub fn write_image_url(&self, index: ItemIndex, out: &mut Vec<u8>) {
        match self {
            Catalogue::Generated { seed, .. } => {
                generated::write_image_url(*seed, index, out);
            }
            Catalogue::Explicit(items) => {
                out.extend_from_slice(items.items[index.0 as usize].image_url.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_seed_determines_the_generated_items() {
        let catalogue = |seed| Catalogue::Generated {
            sale: SaleId(2),
            seed,
            item_count: 50,
        };
        let (a, b, other) = (catalogue(1), catalogue(1), catalogue(2));
        let names = |catalogue: &Catalogue| -> Vec<String> {
            (0..50)
                .map(|i| text(|out| catalogue.write_name(ItemIndex(i), out)))
                .collect()
        };
        assert_eq!(names(&a), names(&b));
        assert_ne!(names(&a), names(&other));
        let id = text(|out| a.write_id(ItemIndex(49), out));
        assert_eq!(id, "ITM-2-49");
        assert_eq!(a.find(&id), Some(ItemIndex(49)));
        assert_eq!(a.find("ITM-2-50"), None);
        assert_eq!(a.find("ITM-3-1"), None);
    }

    #[test]
    fn an_explicit_id_is_there_once() {
        let mut items = ExplicitItems::default();
        let item = NewItem {
            id: "a",
            name: "A",
            image_url: "",
            stock: 3,
        };
        assert!(items.push(&item));
        assert!(!items.push(&item));
        assert_eq!(Catalogue::Explicit(items).find("a"), Some(ItemIndex(0)));
    }
}
