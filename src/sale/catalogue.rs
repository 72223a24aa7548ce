//! The catalogue of a sale: a generated one, which needs no memory, or an explicit one.

use std::hash::BuildHasher;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use hashbrown::HashTable;

use crate::generated;
use crate::record::NewItem;
use crate::types::{ItemId, ItemIndex, SaleId};

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

/// Listed items, found by id: one text with all ids, names and addresses, and a table of places in it.
#[derive(Default)]
pub struct ExplicitItems {
    texts: String,
    items: Vec<CatalogueEntry>,
    /// Indexes into `items`, by the hash of the id.
    by_id: HashTable<u32>,
}

/// An item's texts follow each other in [`ExplicitItems::texts`]: id, name, address of the picture.
struct CatalogueEntry {
    /// Where they begin.
    start: usize,
    stock: u64,
    id_bytes: u16,
    name_bytes: u16,
    image_url_bytes: u16,
    max_per_user: Option<NonZeroU16>,
}

/// An id with its hash, so that looking it up in many sales hashes it once.
#[derive(Clone, Copy)]
pub struct HashedId<'a> {
    id: &'a str,
    hash: u64,
}

impl<'a> HashedId<'a> {
    /// Hashes `id`.
    #[must_use]
    pub fn new(id: &'a str) -> Self {
        // One for all sales, and drawn anew by each process.
        static HASHER: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);
        let hash = HASHER.hash_one(id);
        Self { id, hash }
    }
}

impl ExplicitItems {
    /// Adds an item, whose texts are those of a record; `false` when its id is there already.
    pub fn push(&mut self, item: &NewItem<'_>) -> bool {
        let id = HashedId::new(item.id);
        if self.find(id).is_some() {
            return false;
        }
        let bytes = |text: &str| u16::try_from(text.len()).expect("a record's texts are short");
        let entry = CatalogueEntry {
            start: self.texts.len(),
            stock: item.stock,
            id_bytes: bytes(item.id),
            name_bytes: bytes(item.name),
            image_url_bytes: bytes(item.image_url),
            max_per_user: item.max_per_user,
        };
        for text in [item.id, item.name, item.image_url] {
            self.texts.push_str(text);
        }
        let index = self.items.len() as u32;
        self.items.push(entry);
        let (texts, items) = (&self.texts, &self.items);
        let hash = |&other: &u32| HashedId::new(items[other as usize].of(texts).id).hash;
        self.by_id.insert_unique(id.hash, index, hash);
        true
    }

    /// Gives back memory that was kept for more items.
    pub fn shrink(&mut self) {
        self.texts.shrink_to_fit();
        self.items.shrink_to_fit();
    }

    /// Memory that the items take, in bytes.
    fn heap_bytes(&self) -> usize {
        self.texts.capacity()
            + self.items.capacity() * size_of::<CatalogueEntry>()
            + self.by_id.allocation_size()
    }

    /// Number of items.
    #[must_use]
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The stock of every item, in order.
    pub fn stocks(&self) -> impl ExactSizeIterator<Item = u64> {
        self.items.iter().map(|item| item.stock)
    }

    /// Returns the lowest limit per user that an item has of its own.
    fn lowest_limit(&self) -> Option<NonZeroU16> {
        self.items.iter().filter_map(|item| item.max_per_user).min()
    }

    /// The items from `first` on, in order.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = NewItem<'_>> {
        let items = self.items.get(first..).unwrap_or_default();
        items.iter().map(|item| item.of(&self.texts))
    }

    fn get(&self, index: ItemIndex) -> NewItem<'_> {
        self.items[index.0 as usize].of(&self.texts)
    }

    fn find(&self, id: HashedId<'_>) -> Option<ItemIndex> {
        let is_same = |&index: &u32| self.get(ItemIndex(index)).id == id.id;
        self.by_id.find(id.hash, is_same).copied().map(ItemIndex)
    }
}

impl CatalogueEntry {
    /// The item, whose texts are among `texts`.
    fn of<'a>(&self, texts: &'a str) -> NewItem<'a> {
        let rest = &texts[self.start..];
        let (id, rest) = rest.split_at(self.id_bytes.into());
        let (name, rest) = rest.split_at(self.name_bytes.into());
        NewItem {
            id,
            name,
            image_url: &rest[..self.image_url_bytes.into()],
            stock: self.stock,
            max_per_user: self.max_per_user,
        }
    }
}

impl Catalogue {
    /// Memory that it takes besides itself, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Generated { .. } => 0,
            Self::Explicit(items) => items.heap_bytes(),
        }
    }

    /// Number of items.
    #[must_use]
    pub fn item_count(&self) -> u32 {
        match self {
            Catalogue::Generated { item_count, .. } => *item_count,
            Catalogue::Explicit(items) => items.count() as u32,
        }
    }

    /// Returns the units that an item began with.
    #[must_use]
    pub fn stock(&self, index: ItemIndex) -> u64 {
        match self {
            Catalogue::Generated { .. } => 1,
            Catalogue::Explicit(items) => items.get(index).stock,
        }
    }

    /// Returns the units that all items began with.
    #[must_use]
    pub fn units(&self) -> u64 {
        match self {
            Catalogue::Generated { item_count, .. } => u64::from(*item_count),
            Catalogue::Explicit(items) => items.stocks().sum(),
        }
    }

    /// Returns the units of an item that one user may buy, where it has a limit of its own.
    #[must_use]
    pub fn max_per_user(&self, index: ItemIndex) -> Option<u32> {
        match self {
            Self::Generated { .. } => None,
            Self::Explicit(items) => items.items[index.0 as usize].max_per_user,
        }
        .map(|limit| limit.get().into())
    }

    /// Returns the lowest limit per user that an item has of its own; `None` where none has any.
    #[must_use]
    pub fn lowest_limit(&self) -> Option<u32> {
        match self {
            Self::Generated { .. } => None,
            Self::Explicit(items) => items.lowest_limit(),
        }
        .map(|limit| limit.get().into())
    }

    /// The item with this id.
    #[must_use]
    pub fn find(&self, id: ItemId<'_>) -> Option<ItemIndex> {
        match self {
            Catalogue::Explicit(items) => items.find(HashedId::new(id.as_str())),
            Catalogue::Generated {
                sale, item_count, ..
            } => id
                .generated()
                .filter(|id| id.sale == *sale && id.index.0 < *item_count)
                .map(|id| id.index),
        }
    }

    /// The listed item with this id; a generated one is not looked for.
    #[must_use]
    pub fn find_listed(&self, id: HashedId<'_>) -> Option<ItemIndex> {
        match self {
            Catalogue::Explicit(items) => items.find(id),
            Catalogue::Generated { .. } => None,
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
                out.extend_from_slice(items.get(index).id.as_bytes());
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
                out.extend_from_slice(items.get(index).name.as_bytes());
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
                out.extend_from_slice(items.get(index).image_url.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn find(catalogue: &Catalogue, id: &str) -> Option<ItemIndex> {
        catalogue.find(ItemId::new(id).expect("an id"))
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
                .map(|i| text_of(|out| catalogue.write_name(ItemIndex(i), out)))
                .collect()
        };
        assert_eq!(names(&a), names(&b));
        assert_ne!(names(&a), names(&other));
        let id = text_of(|out| a.write_id(ItemIndex(49), out));
        assert_eq!(id, "ITM-2-49");
        assert_eq!(find(&a, &id), Some(ItemIndex(49)));
        assert_eq!(find(&a, "ITM-2-50"), None);
        assert_eq!(find(&a, "ITM-3-1"), None);
    }

    #[test]
    fn listed_items_keep_their_texts() {
        let text = |n: usize, letter: &str| letter.repeat(n % 7);
        let texts: Vec<_> = (0..1000)
            .map(|n| (format!("ä{n}"), text(n, "名"), text(n + 3, "u")))
            .collect();
        let list = texts
            .iter()
            .zip(1..)
            .map(|((id, name, image_url), stock)| NewItem {
                id,
                name,
                image_url,
                stock,
                max_per_user: None,
            });
        let mut items = ExplicitItems::default();
        assert!(list.clone().all(|item| items.push(&item)));
        items.shrink();
        let owned = |item: NewItem<'_>| {
            let NewItem {
                id,
                name,
                image_url,
                ..
            } = item;
            (id.to_owned(), name.to_owned(), image_url.to_owned())
        };
        let seen = |first| items.iter_from(first).map(owned).collect::<Vec<_>>();
        assert_eq!(seen(0), texts);
        assert_eq!(seen(990), texts[990..]);
        assert_eq!(items.iter_from(1000).count(), 0);
        let catalogue = Catalogue::Explicit(items);
        for (index, item) in (0..).map(ItemIndex).zip(list) {
            assert_eq!(find(&catalogue, item.id), Some(index));
            assert_eq!(catalogue.find_listed(HashedId::new(item.id)), Some(index));
            assert_eq!(text_of(|out| catalogue.write_name(index, out)), item.name);
        }
        assert_eq!(find(&catalogue, "ä"), None);
    }

    #[test]
    fn an_explicit_id_is_there_once() {
        let mut items = ExplicitItems::default();
        let item = NewItem {
            id: "a",
            name: "A",
            image_url: "",
            stock: 3,
            max_per_user: None,
        };
        assert!(items.push(&item));
        assert!(!items.push(&item));
        let catalogue = Catalogue::Explicit(items);
        assert_eq!(find(&catalogue, "a"), Some(ItemIndex(0)));
    }
}
